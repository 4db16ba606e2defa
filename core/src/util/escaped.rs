//! Names from data in messages.

use core::fmt::{self, Write as _};

/// A name from data or from a description in a message: its control characters and the marks of text
/// direction are escaped, so that it stays on one line, cannot move the cursor of a terminal, and
/// reads in the order of its characters.
///
/// ```
/// use stream_processor_core::Escaped;
/// assert_eq!(Escaped("a\nb\u{1b}[2J").to_string(), "a\\nb\\u{1b}[2J");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match is_escaped(character) {
            true => write!(f, "{}", character.escape_default()),
            false => f.write_char(character),
        })
    }
}

/// Returns true if [`Escaped`] escapes the character.
pub(crate) fn is_escaped(character: char) -> bool {
    const LINE_ENDS_AND_DIRECTIONS: [core::ops::RangeInclusive<char>; 4] = [
        '\u{61c}'..='\u{61c}',
        '\u{200e}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2066}'..='\u{2069}',
    ];
    character.is_control()
        || LINE_ENDS_AND_DIRECTIONS.iter().any(|range| range.contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_line_ends_and_directions_are_escaped() {
        for character in [
            '\0', '\u{7}', '\n', '\u{1b}', '\u{7f}', '\u{9b}', '\u{200f}', '\u{2028}', '\u{202e}',
            '\u{2069}',
        ] {
            let text = Escaped(&format!("a{character}b")).to_string();
            assert_eq!(text, format!("a{}b", character.escape_default()));
            // Quoted values in messages are safe, too.
            assert!(!format!("{:?}", character.to_string()).contains(character), "{text}");
        }
        assert_eq!(Escaped("é 😀 שלום \u{200d}").to_string(), "é 😀 שלום \u{200d}");
    }
}
