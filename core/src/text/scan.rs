//! Strict JSON, scanned without building anything: where values end, and whether they are JSON at all.
//!
//! A line feed is never white space here: it ends the line that is being scanned. So no scan leaves its line.

use super::value::{Kind, Value};
use crate::number::scan_json_number;

/// How deep arrays and objects may stand in each other.
pub(super) const MAX_DEPTH: u32 = 128;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Where a line stops being JSON, and what would have been right there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

/// A scanner's place in its bytes.
pub(super) struct Scanner<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// The bytes of strings seen so far, or'ed: tells whether any was beyond ASCII.
    seen: u64,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, seen: 0 }
    }

    /// Whether strings hold bytes beyond ASCII. May say so for the sake of bytes shortly after a string.
    pub(super) fn may_be_beyond_ascii(&self) -> bool {
        self.seen & HIGH_BITS != 0
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn error<T>(&self, expected: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at, expected })
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes behind a string whose opening quote has been taken: its text between the quotes, and whether it has escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        let mut kind = Kind::String;
        loop {
            self.skip_plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Value::new(kind, start, self.at - 1));
                }
                Some(b'\\') => {
                    kind = Kind::EscapedString;
                    self.escape()?;
                }
                Some(0..=0x1f) => {
                    return self.error("an escape such as \\n for a control character");
                }
                Some(byte) => {
                    self.seen |= u64::from(byte);
                    self.at += 1;
                }
                None => return self.error("the string's closing quote"),
            }
        }
    }

    /// Goes on to the next quote, backslash or control character, or near the end of the bytes.
    #[inline]
    fn skip_plain(&mut self) {
        while let Some(chunk) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            self.seen |= word;
            // Subtracting borrows into a byte's high bit where the byte was too small. What follows the first such byte
            // may be wrong, so only the first one counts.
            let quotes = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
            let backslashes = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
            let controls = word.wrapping_sub(ONES * 0x20);
            let found = (quotes | backslashes | controls) & !word & HIGH_BITS;
            if found != 0 {
                self.at += (found.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    /// Goes behind the escape at the backslash. Escaped surrogates must stand in pairs.
    #[cold]
    fn escape(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => match self.unicode_escape()? {
                0xdc00..=0xdfff => {
                    return self.error("no low surrogate without a high one before it");
                }
                0xd800..=0xdbff => {
                    let at = self.at;
                    let low = self.bytes.get(at..at + 2) == Some(b"\\u") && {
                        self.at += 1;
                        (0xdc00..=0xdfff).contains(&self.unicode_escape()?)
                    };
                    if !low {
                        self.at = at;
                        return self.error("the low surrogate that belongs to the high one");
                    }
                }
                _ => {}
            },
            _ => return self.error("an escape: one of \" \\ / b f n r t u"),
        }
        Ok(())
    }

    /// Goes behind `uXXXX`: the code unit.
    fn unicode_escape(&mut self) -> Result<u16, SyntaxError> {
        let mut unit = 0;
        for _ in 0..4 {
            self.at += 1;
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit.and_then(|digit| u16::try_from(digit).ok()) else {
                return self.error("four hexadecimal digits");
            };
            unit = unit << 4 | digit;
        }
        self.at += 1;
        Ok(unit)
    }

    /// Goes behind the value at this place. Arrays and objects in it may be `depth` deep.
    #[inline]
    pub(super) fn value(&mut self, depth: u32) -> Result<Value, SyntaxError> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string()
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{' | b'[') => self.compound(depth),
            _ => self.word(),
        }
    }

    #[inline]
    fn number(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        match scan_json_number(self.bytes, start) {
            Ok((number, end)) => {
                self.at = end;
                Ok(Value { number, ..Value::new(Kind::Number, start, end) })
            }
            Err(at) => Err(SyntaxError { at, expected: "a digit (and no leading zero)" }),
        }
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let words = [(&b"true"[..], Kind::True), (b"false", Kind::False), (b"null", Kind::Null)];
        let Some(&(word, kind)) = words.iter().find(|(word, _)| rest.starts_with(word)) else {
            return self.error("a value");
        };
        let start = self.at;
        self.at += word.len();
        Ok(Value::new(kind, start, self.at))
    }

    /// Goes behind an array or object, at most `max_depth` deep. No recursion: one bit a level remembers its bracket.
    #[cold]
    fn compound(&mut self, max_depth: u32) -> Result<Value, SyntaxError> {
        let start = self.at;
        let kind = if self.peek() == Some(b'{') { Kind::Object } else { Kind::Array };
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            let mut closed = true;
            if let Some(bracket @ (b'{' | b'[')) = self.peek() {
                if depth == max_depth {
                    return self.error("no deeper nesting: 128 levels at most");
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
                self.value(0)?;
            }
            while closed {
                if depth == 0 {
                    return Ok(Value::new(kind, start, self.at));
                }
                self.skip_space();
                let in_object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.skip_space();
                        if in_object {
                            self.name()?;
                        }
                        closed = false;
                    }
                    Some(b'}') if in_object => {}
                    Some(b']') if !in_object => {}
                    _ if in_object => return self.error("',' or '}'"),
                    _ => return self.error("',' or ']'"),
                }
                if closed {
                    self.at += 1;
                    depth -= 1;
                    objects >>= 1;
                }
            }
        }
    }

    /// Goes behind a name, its colon and white space, to the value.
    pub(super) fn name(&mut self) -> Result<Value, SyntaxError> {
        if self.peek() != Some(b'"') {
            return self.error("a field name in quotes");
        }
        self.at += 1;
        let name = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.error("':'");
        }
        self.at += 1;
        self.skip_space();
        Ok(name)
    }
}

/// Appends the text that a scanned string with escapes stands for.
pub(super) fn unescape(string: &[u8], out: &mut Vec<u8>) {
    let mut rest = string;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let [escape, after @ ..] = rest else { return };
        rest = after;
        match escape {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (character, after) = escaped_character(rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            plain => out.push(*plain),
        }
    }
}

/// The character of the `XXXX` at the front, or of `XXXX\uXXXX`, and what follows.
fn escaped_character(text: &[u8]) -> (char, &[u8]) {
    let unit = |digits: &[u8; 4]| {
        digits
            .iter()
            .fold(0, |unit, &digit| unit << 4 | char::from(digit).to_digit(16).unwrap_or(0))
    };
    let Some((high, rest)) = text.split_first_chunk::<4>() else { return ('\u{fffd}', &[]) };
    let high = unit(high);
    if let (0xd800..=0xdbff, Some(([b'\\', b'u', low @ ..], rest))) =
        (high, rest.split_first_chunk::<6>())
    {
        let code = 0x10000 + ((high & 0x3ff) << 10 | unit(low) & 0x3ff);
        return (char::from_u32(code).unwrap_or('\u{fffd}'), rest);
    }
    (char::from_u32(high).unwrap_or('\u{fffd}'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a whole text scans: its kind, or where the error is.
    fn scan(text: &str) -> Result<Kind, usize> {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        let value = scanner.value(MAX_DEPTH).map_err(|error| error.at)?;
        if scanner.at == text.len() { Ok(value.kind) } else { Err(scanner.at) }
    }

    #[test]
    fn values_are_json() {
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
    fn what_is_not_json_stops_where_it_goes_wrong() {
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
            (r#""\udc00""#, 7),
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

    #[test]
    fn escapes_are_undone() {
        let mut out = Vec::new();
        unescape(br#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000z"#, &mut out);
        assert_eq!(out, "a\"\\/\u{8}\u{c}\n\r\té😀\0z".as_bytes());
    }
}
