//! NDJSON: one pass over a line checks that it is JSON and finds the needed fields.

use super::names::Names;
use super::scan::{MAX_DEPTH, Scanner, SyntaxError};
use super::value::{Kind, Value};

/// The result of scanning a line.
pub(in crate::text) enum Line {
    /// An object, whose values are in `slots`: the end of the line, and whether its UTF-8 must
    /// still be checked.
    Object { end: usize, check_utf8: bool },
    /// Another value.
    Other,
    /// Invalid JSON, or an incomplete line.
    Broken(SyntaxError),
}

/// Scans the line at `start`, and stores the values of the needed fields in `slots`.
#[inline]
pub(in crate::text) fn scan_line(
    bytes: &[u8],
    start: usize,
    names: &mut Names,
    slots: &mut [Value],
) -> Line {
    slots.iter_mut().for_each(|slot| slot.kind = Kind::Missing);
    let mut scanner = Scanner::new(bytes, start);
    scanner.skip_space();
    let is_object = scanner.peek() == Some(b'{');
    let scanned = if is_object {
        object(&mut scanner, names, slots)
    } else {
        scanner.value(MAX_DEPTH, &mut { Value::MISSING })
    };
    let ended = scanned.and_then(|()| {
        scanner.skip_space();
        match scanner.peek() {
            Some(b'\n') | None => Some(()),
            Some(_) => scanner.fail("the end of the line"),
        }
    });
    match ended {
        None => Line::Broken(scanner.into_error()),
        Some(()) if is_object => {
            Line::Object { end: scanner.at, check_utf8: scanner.may_be_beyond_ascii() }
        }
        Some(()) => Line::Other,
    }
}

/// Scans the object at the scanner's position.
#[inline]
fn object(scanner: &mut Scanner<'_>, names: &mut Names, slots: &mut [Value]) -> Option<()> {
    let mut unneeded = Value::MISSING;
    scanner.at += 1;
    scanner.skip_space();
    if scanner.peek() == Some(b'}') {
        scanner.at += 1;
        return Some(());
    }
    let mut member = 0;
    loop {
        let slot = names.read(scanner, member)?;
        scanner.value(MAX_DEPTH - 1, slots.get_mut(slot).unwrap_or(&mut unneeded))?;
        scanner.skip_space();
        match scanner.peek() {
            Some(b',') => scanner.at += 1,
            Some(b'}') => {
                scanner.at += 1;
                return Some(());
            }
            _ => return scanner.fail("',' or '}'"),
        }
        scanner.skip_space();
        member += 1;
    }
}
