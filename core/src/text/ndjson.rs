//! NDJSON: one pass over a line checks that it is JSON and finds the fields that are needed.

use super::names::Names;
use super::scan::{MAX_DEPTH, Scanner, SyntaxError};
use super::value::Value;
use memchr::memchr;

/// What a line turned out to be.
pub(super) enum Line {
    /// An object: `slots` has its values. The line's end, and whether its UTF-8 has yet to be checked.
    Object { end: usize, check_utf8: bool },
    /// Another value.
    Other,
    /// No JSON; or its end is not in sight.
    Broken(SyntaxError),
}

/// Scans the line at `start`, putting the values of the needed fields into `slots`.
#[inline]
pub(super) fn scan_line(
    bytes: &[u8],
    start: usize,
    names: &mut Names,
    slots: &mut [Value],
) -> Line {
    slots.fill(Value::MISSING);
    let mut scanner = Scanner::new(bytes, start);
    scanner.skip_space();
    let scanned = if scanner.peek() == Some(b'{') {
        object(&mut scanner, names, slots).map(|()| true)
    } else {
        scanner.value(MAX_DEPTH).map(|_| false)
    };
    let scanned = scanned.and_then(|is_object| {
        scanner.skip_space();
        match scanner.peek() {
            Some(b'\n') | None => Ok(is_object),
            Some(_) => scanner.error("the end of the line"),
        }
    });
    match scanned {
        Ok(true) => Line::Object { end: scanner.at, check_utf8: scanner.may_be_beyond_ascii() },
        Ok(false) => Line::Other,
        Err(error) => Line::Broken(error),
    }
}

/// Scans the object at the scanner's place.
#[inline]
fn object(
    scanner: &mut Scanner<'_>,
    names: &mut Names,
    slots: &mut [Value],
) -> Result<(), SyntaxError> {
    scanner.at += 1;
    scanner.skip_space();
    if scanner.peek() == Some(b'}') {
        scanner.at += 1;
        return Ok(());
    }
    let mut member = 0;
    loop {
        let slot = names.read(scanner, member)?;
        let value = scanner.value(MAX_DEPTH - 1)?;
        if let Some(slot) = slots.get_mut(slot) {
            *slot = value;
        }
        scanner.skip_space();
        match scanner.peek() {
            Some(b',') => scanner.at += 1,
            Some(b'}') => {
                scanner.at += 1;
                return Ok(());
            }
            _ => return scanner.error("',' or '}'"),
        }
        scanner.skip_space();
        member += 1;
    }
}

/// Where the line at `start` ends, if that is in `bytes`.
pub(super) fn line_end(bytes: &[u8], start: usize) -> Option<usize> {
    Some(start + memchr(b'\n', bytes.get(start..)?)?)
}
