//! Names from data in messages.

use core::fmt::{self, Write as _};

/// A name from data or from a description in a message: its control characters are escaped, so that
/// it stays on one line and cannot move the cursor of a terminal.
///
/// ```
/// use stream_processor_core::Escaped;
/// assert_eq!(Escaped("a\nb\u{1b}[2J").to_string(), "a\\nb\\u{1b}[2J");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character.is_control() {
            true => write!(f, "{}", character.escape_default()),
            false => f.write_char(character),
        })
    }
}
