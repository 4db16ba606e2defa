//! JSON arrays of keys and of single values, read by the same rules as the fields of events.

use super::scan::{MAX_DEPTH, Scanner};
use super::value::{Kind, Value};
use crate::Error;
use crate::key::push_null;

const NOT_AN_ARRAY: Error = Error::MalformedBlock("the keys are not a JSON array");
const TOO_LONG: Error = Error::MalformedBlock("there are too many keys, or they are too long");

/// Reads a JSON array of keys: appends their encodings to `bytes`, and the end of each to
/// `offsets`.
///
/// A key is a string, a number, a boolean or null, or an array of these if there are several
/// `fields`.
///
/// # Errors
/// [`Error::InvalidKey`] for a key of another form, [`Error::MalformedBlock`] if the text is not an
/// array of keys.
pub(crate) fn read_keys(
    text: &str,
    fields: usize,
    bytes: &mut Vec<u8>,
    offsets: &mut Vec<u32>,
) -> Result<(), Error> {
    let mut index = 0;
    read_array(text, |scanner| {
        if !push_key(scanner, fields, bytes)? {
            return Some(Err(Error::InvalidKey { index, fields }));
        }
        index += 1;
        Some(u32::try_from(bytes.len()).map_err(|_| TOO_LONG).map(|end| offsets.push(end)))
    })
}

/// Reads a JSON array of strings, numbers and booleans, and returns the [`crate::key::fingerprint`]
/// of each.
///
/// # Errors
/// As [`read_keys`].
pub(crate) fn read_fingerprints(text: &str) -> Result<Vec<f64>, Error> {
    let (mut found, mut scratch) = (Vec::new(), Vec::new());
    read_array(text, |scanner| {
        let mut value = Value::MISSING;
        scanner.value(MAX_DEPTH, &mut value)?;
        let fingerprint = value.fingerprint(scanner.bytes, true, &mut scratch);
        let invalid = Error::InvalidKey { index: found.len(), fields: 1 };
        Some(fingerprint.map_err(|_| invalid).map(|number| found.push(number)))
    })?;
    Ok(found)
}

/// Reads `text` as an array, each element by `take`, which returns `None` for invalid JSON.
fn read_array(
    text: &str,
    mut take: impl FnMut(&mut Scanner<'_>) -> Option<Result<(), Error>>,
) -> Result<(), Error> {
    let mut scanner = Scanner::new(text.as_bytes(), 0);
    let mut outcome = Ok(());
    skip_space(&mut scanner);
    let read = elements(&mut scanner, |scanner| {
        outcome = take(scanner)?;
        outcome.is_ok().then_some(())
    });
    outcome?;
    skip_space(&mut scanner);
    if read.is_some() && scanner.peek().is_none() { Ok(()) } else { Err(NOT_AN_ARRAY) }
}

/// Appends the key at the scanner's position. Returns false if it has another form, `None` for
/// invalid JSON.
fn push_key(scanner: &mut Scanner<'_>, fields: usize, bytes: &mut Vec<u8>) -> Option<bool> {
    let (mut count, mut valid) = (0, true);
    let mut push = |scanner: &mut Scanner<'_>| {
        let mut value = Value::MISSING;
        scanner.value(MAX_DEPTH, &mut value)?;
        count += 1;
        if value.kind == Kind::Null {
            push_null(bytes);
        } else {
            valid &= value.push_key(scanner.bytes, bytes).is_ok();
        }
        Some(())
    };
    if fields != 1 && scanner.peek() == Some(b'[') {
        elements(scanner, push)?;
    } else {
        push(scanner)?;
    }
    Some(valid && count == fields)
}

/// Skips the array at the scanner's position, and calls `take` at each element. Returns `None` if
/// it is not an array.
fn elements(
    scanner: &mut Scanner<'_>,
    mut take: impl FnMut(&mut Scanner<'_>) -> Option<()>,
) -> Option<()> {
    if scanner.peek() != Some(b'[') {
        return None;
    }
    scanner.at += 1;
    skip_space(scanner);
    if scanner.peek() == Some(b']') {
        scanner.at += 1;
        return Some(());
    }
    loop {
        take(scanner)?;
        skip_space(scanner);
        let after = scanner.peek();
        scanner.at += 1;
        match after {
            Some(b',') => skip_space(scanner),
            Some(b']') => return Some(()),
            _ => return None,
        }
    }
}

/// Skips white space, including line feeds.
fn skip_space(scanner: &mut Scanner<'_>) {
    scanner.skip_space();
    while scanner.peek() == Some(b'\n') {
        scanner.at += 1;
        scanner.skip_space();
    }
}
