//! Strict JSON scanner: finds the ends of values and checks them, without building anything.
//!
//! A line feed is never white space here: it ends the scanned line. So no scan leaves its line.

use super::value::{Kind, Value};
use super::words::{HIGH_BITS, last_word, special};
use crate::number::scan_json_number;

/// Maximum nesting of arrays and objects.
pub(in crate::text) const MAX_DEPTH: u32 = 128;

/// The position at which a line stops being JSON, and what was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::text) struct SyntaxError {
    pub(in crate::text) at: usize,
    pub(in crate::text) expected: &'static str,
}

/// A position in bytes. If a scan fails, it returns `None`, and the position is that of the error.
///
/// Results are small, and values are written in place: what fits registers is not copied through
/// memory.
pub(in crate::text) struct Scanner<'a> {
    pub(in crate::text) bytes: &'a [u8],
    pub(in crate::text) at: usize,
    /// Bitwise or of the bytes of all scanned strings: shows whether any was not ASCII.
    seen: u64,
    /// After a failure, what was expected.
    expected: &'static str,
}

impl<'a> Scanner<'a> {
    pub(in crate::text) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, seen: 0, expected: "" }
    }

    /// Returns true if strings contain non-ASCII bytes. May also return true because of bytes
    /// shortly after a string.
    pub(in crate::text) fn may_be_beyond_ascii(&self) -> bool {
        self.seen & HIGH_BITS != 0
    }

    /// Returns the error after a failure.
    pub(in crate::text) fn into_error(self) -> SyntaxError {
        SyntaxError { at: self.at, expected: self.expected }
    }

    /// Fails because `expected` is not at this position.
    #[cold]
    pub(in crate::text) fn fail<T>(&mut self, expected: &'static str) -> Option<T> {
        self.expected = expected;
        None
    }

    #[inline]
    pub(in crate::text) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(in crate::text) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Returns true if only white space follows in the line or, with `only`, in the bytes.
    #[inline]
    pub(in crate::text) fn is_at_end(&mut self, only: bool) -> bool {
        self.skip_space();
        self.peek().is_none_or(|byte| byte == b'\n' && !only)
    }

    /// Skips a string whose opening quote was consumed. Returns whether it has escapes.
    #[inline(always)]
    fn string(&mut self) -> Option<Kind> {
        let mut kind = Kind::String;
        loop {
            self.skip_plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Some(kind);
                }
                Some(b'\\') => {
                    kind = Kind::EscapedString;
                    self.escape()?;
                }
                Some(0..=0x1f) => {
                    return self.fail("an escape such as \\n for a control character");
                }
                Some(byte) => {
                    self.seen |= u64::from(byte);
                    self.at += 1;
                }
                None => return self.fail("the string's closing quote"),
            }
        }
    }

    /// Skips to the next quote, backslash or control character, or near the end of the bytes.
    #[inline]
    fn skip_plain(&mut self) {
        while let Some((low, rest)) =
            self.bytes.get(self.at..).and_then(|rest| rest.split_first_chunk::<8>())
            && let Some(high) = rest.first_chunk::<8>()
        {
            let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
            self.seen |= low | high;
            let (in_low, in_high) = (special(low), special(high));
            if in_low | in_high != 0 {
                let bits = if in_low != 0 {
                    in_low.trailing_zeros()
                } else {
                    64 + in_high.trailing_zeros()
                };
                self.at += (bits / 8) as usize;
                return;
            }
            self.at += 16;
        }
        self.skip_last_plain();
    }

    /// Does the same as [`Scanner::skip_plain`] for the last 15 bytes.
    #[inline(never)]
    fn skip_last_plain(&mut self) {
        loop {
            let word = last_word(self.bytes, self.at);
            self.seen |= word;
            // The padding after the end looks like control characters.
            let special = special(word);
            if special != 0 {
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    /// Skips the escape at the backslash. Escaped surrogates must come in pairs.
    #[cold]
    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let start = self.at;
                match self.unicode_escape()? {
                    0xdc00..=0xdfff => {
                        self.at = start;
                        return self.fail("a high surrogate before this low one");
                    }
                    0xd800..=0xdbff => self.low_surrogate()?,
                    _ => {}
                }
            }
            _ => return self.fail("an escape: one of \" \\ / b f n r t u"),
        }
        Some(())
    }

    /// Skips the escape that must follow a high surrogate.
    fn low_surrogate(&mut self) -> Option<()> {
        let start = self.at;
        if self.bytes.get(start..start + 2) == Some(b"\\u") {
            self.at += 1;
            if let 0xdc00..=0xdfff = self.unicode_escape()? {
                return Some(());
            }
            self.at = start;
        }
        self.fail("the low surrogate that belongs to the high one")
    }

    /// Skips `uXXXX`, and returns the code unit.
    fn unicode_escape(&mut self) -> Option<u16> {
        let mut unit = 0;
        for _ in 0..4 {
            self.at += 1;
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit.and_then(|digit| u16::try_from(digit).ok()) else {
                return self.fail("four hexadecimal digits");
            };
            unit = unit << 4 | digit;
        }
        self.at += 1;
        Some(unit)
    }

    /// Skips the value at this position and stores it in `value`. Arrays and objects may be nested
    /// `depth` levels.
    #[inline(always)]
    pub(in crate::text) fn value(&mut self, depth: u32, value: &mut Value) -> Option<()> {
        let start = self.at;
        let first = self.peek().unwrap_or(0);
        if first == b'"' {
            self.at += 1;
            let kind = self.string()?;
            value.set(kind, start + 1, self.at - 1);
        } else if first.is_ascii_digit() || first == b'-' {
            match scan_json_number(self.bytes, start, &mut value.number) {
                Ok(end) => self.at = end,
                Err(at) => {
                    self.at = at;
                    return self.fail("a digit (and no leading zero)");
                }
            }
            value.set(Kind::Number, start, self.at);
        } else {
            let kind = self.other_value(depth)?;
            value.set(kind, start, self.at);
        }
        Some(())
    }

    /// Skips a value that is neither a string nor a number.
    #[cold]
    fn other_value(&mut self, depth: u32) -> Option<Kind> {
        if let Some(bracket @ (b'{' | b'[')) = self.peek() {
            self.compound(depth)?;
            return Some(if bracket == b'{' { Kind::Object } else { Kind::Array });
        }
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let words = [(&b"true"[..], Kind::True), (b"false", Kind::False), (b"null", Kind::Null)];
        let Some(&(word, kind)) = words.iter().find(|(word, _)| rest.starts_with(word)) else {
            return self.fail("a value");
        };
        self.at += word.len();
        Some(kind)
    }

    /// Skips an array or object of at most `max_depth` levels. Not recursive: one bit per level
    /// stores its kind of bracket.
    fn compound(&mut self, max_depth: u32) -> Option<()> {
        let mut unneeded = Value::MISSING;
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            let mut closed;
            if let Some(bracket @ (b'{' | b'[')) = self.peek() {
                if depth == max_depth {
                    return self.fail("no deeper nesting: 128 levels at most");
                }
                depth += 1;
                let is_object = bracket == b'{';
                objects = objects << 1 | u128::from(is_object);
                self.at += 1;
                self.skip_space();
                // `]` and `}` are two after their opening brackets.
                closed = self.peek() == Some(bracket + 2);
                if !closed && is_object {
                    self.name()?;
                }
            } else {
                // All brackets were consumed above, so this value has no nesting.
                self.value(0, &mut unneeded)?;
                closed = self.after_value(objects & 1 == 1)?;
            }
            while closed {
                self.at += 1;
                depth -= 1;
                objects >>= 1;
                if depth == 0 {
                    return Some(());
                }
                closed = self.after_value(objects & 1 == 1)?;
            }
        }
    }

    /// Continues after a value in an array or object. Returns true at a closing bracket; otherwise
    /// skips a comma and, in an object, a name.
    fn after_value(&mut self, in_object: bool) -> Option<bool> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                if in_object {
                    self.name()?;
                }
                Some(false)
            }
            Some(b'}') if in_object => Some(true),
            Some(b']') if !in_object => Some(true),
            _ if in_object => self.fail("',' or '}'"),
            _ => self.fail("',' or ']'"),
        }
    }

    /// Skips a name, its colon and white space. Returns whether it has escapes, and the end of its
    /// text.
    pub(in crate::text) fn name(&mut self) -> Option<(Kind, usize)> {
        if self.peek() != Some(b'"') {
            return self.fail("a field name in quotes");
        }
        self.at += 1;
        let kind = self.string()?;
        let end = self.at - 1;
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fail("':'");
        }
        self.at += 1;
        self.skip_space();
        Some((kind, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans a whole text: returns its kind, or the position of the error.
    fn scan(text: &str) -> Result<Kind, usize> {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        let mut value = Value::MISSING;
        let scanned = scanner.value(MAX_DEPTH, &mut value);
        if scanned.is_some() && scanner.at == text.len() { Ok(value.kind) } else { Err(scanner.at) }
    }

    #[test]
    fn valid_json_is_scanned_to_its_end() {
        for (text, kind) in [
            ("\"\"", Kind::String),
            ("\"a long string without any escapes in it\"", Kind::String),
            ("\"é😀 beyond ascii\"", Kind::String),
            (r#""a\"b\\\/\b\f\n\r\tA😀""#, Kind::EscapedString),
            ("-12.5e+3", Kind::Number),
            ("true", Kind::True),
            ("false", Kind::False),
            ("null", Kind::Null),
            ("[]", Kind::Array),
            ("{}", Kind::Object),
            (r#"[1,[],{},{"a":[{"b":null}]}, "x" , [ [ ] ] ]"#, Kind::Array),
            (r#"{ "a" : 1 , "b" : { } , "" : "" }"#, Kind::Object),
        ] {
            assert_eq!(scan(text), Ok(kind), "{text}");
        }
    }

    #[test]
    fn scan_error_is_at_first_invalid_byte() {
        for (text, at) in [
            ("", 0),
            ("nul", 0),
            ("True", 0),
            ("\"abc", 4),
            ("\"a\nb\"", 2),
            ("\"a long string, then a\x01\"", 22),
            (r#""\x""#, 2),
            (r#""\u12g4""#, 5),
            (r#""\ud800""#, 7),
            (r#""\ud800\n""#, 7),
            (r#""\ud800A""#, 7),
            (r#""\udc00""#, 2),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[1}", 2),
            ("{\"a\":1]", 6),
            ("{,}", 1),
            ("{\"a\":1,}", 7),
            ("{\"a\"}", 4),
            ("{a:1}", 1),
            ("[1\n]", 2),
            ("1x", 1),
            ("\u{feff}1", 0),
            ("\u{a0}1", 0),
        ] {
            assert_eq!(scan(text), Err(at), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| "[{\"a\":".repeat(depth / 2) + "1" + &"}]".repeat(depth / 2);
        assert_eq!(scan(&nested(128)), Ok(Kind::Array));
        assert_eq!(scan(&nested(130)), Err(64 * 6));
        assert_eq!(scan(&"[".repeat(1_000_000)), Err(128));
    }
}
