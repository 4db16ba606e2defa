//! Decoding of key fields, and validation of keys from outside.

use core::iter::FusedIterator;
use std::borrow::Cow;

use super::{
    END, ESCAPE, FALSE, LARGE_POINT, NEGATIVE, NULL, NUMBER, POINT_BIAS, POSITIVE, STRING, TRUE,
    ZERO, flip_of, is_certain_key_number, is_integer, is_key_number,
};
use crate::number::{Decimal, parse_f64, write_layout};
use crate::spec::OnNullKey;

/// 2^53: all integers up to it are exact as doubles. It has 16 digits.
const MAX_EXACT: u64 = 1 << 53;
const EXACT_DIGITS: usize = 16;
/// The number of digits before the decimal point of the largest double.
const MAX_WHOLE_DIGITS: usize = 309;

/// One field of a key.
/// ```
/// use stream_processor_core::key::{self, KeyField};
/// let mut key = Vec::new();
/// key::push_str(&mut key, "eu");
/// assert_eq!(key::fields(&key).next(), Some(KeyField::String("eu".into())));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyField<'a> {
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(KeyNumber<'a>),
    /// A string; borrowed unless it contains U+0000 or U+0001.
    String(Cow<'a, str>),
    /// A missing value, in pipelines with [`crate::spec::OnNullKey::Keep`].
    Null,
}

impl KeyField<'_> {
    /// Appends the field as JSON: `true`, `3`, `"svc-1"`, `null`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => crate::util::json::write_string(text, out),
            Self::Null => out.extend_from_slice(b"null"),
            _ => self.write_text(out),
        }
    }

    /// Appends the field as plain text, strings without quotes: `true`, `3`, `svc-1`. Appends
    /// nothing for null.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Number(number) => number.write(out),
            Self::String(text) => out.extend_from_slice(text.as_bytes()),
            Self::Null => {}
        }
    }
}

/// A number in a key: exact, borrowed from the encoded bytes.
/// ```
/// use stream_processor_core::key::{self, KeyField};
/// let mut key = Vec::new();
/// key::push_f64(&mut key, 7.5);
/// let Some(KeyField::Number(number)) = key::fields(&key).next() else { panic!("a number") };
/// assert_eq!(number.to_f64(), 7.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyNumber<'a> {
    negative: bool,
    point: i32,
    /// Encoded pairs of digits, with flipped bits if `negative`, without the end byte.
    pairs: &'a [u8],
}

impl KeyNumber<'_> {
    /// Appends the number as ECMAScript prints it, with all of its digits.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_layout(self.negative, self.point, self.digit_count(), self.digits(), out);
    }

    /// Appends the number as plain digits if it is an integer beyond ±2^53 within the range of
    /// doubles. Otherwise returns `false` and appends nothing.
    pub fn write_big_integer(&self, out: &mut Vec<u8>) -> bool {
        let count = self.digit_count();
        let Ok(whole @ EXACT_DIGITS..=MAX_WHOLE_DIGITS) = usize::try_from(self.point) else {
            return false;
        };
        let zeros = core::iter::repeat_n(0, whole.saturating_sub(count));
        let digits = self.digits().chain(zeros);
        let is_exact =
            || digits.clone().fold(0, |all, digit| all * 10 + u64::from(digit)) <= MAX_EXACT;
        if !is_integer(self.point, count) || whole == EXACT_DIGITS && is_exact() {
            return false;
        }
        if self.negative {
            out.push(b'-');
        }
        out.extend(digits.map(|digit| b'0' + digit));
        true
    }

    /// Returns whether the keys of events may contain the number.
    fn is_allowed(&self) -> bool {
        is_certain_key_number(self.point, self.digit_count()) || {
            let mut text = Vec::with_capacity(24);
            self.write(&mut text);
            let number = Decimal::parse(&text);
            number.is_some_and(|number| is_key_number(&number, || parse_f64(&text)))
        }
    }

    /// Returns the nearest double; infinite beyond the largest one.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        let beyond = if self.negative { f64::NEG_INFINITY } else { f64::INFINITY };
        parse_f64(&text).unwrap_or(beyond)
    }

    /// Returns the significant digits, each 0 to 9.
    fn digits(&self) -> impl Iterator<Item = u8> + Clone {
        self.values().flat_map(|pair| [pair / 10, pair % 10]).take(self.digit_count())
    }

    /// Returns the number of significant digits. An odd last digit is stored in a pair with a 0.
    fn digit_count(&self) -> usize {
        let odd = self.values().next_back().is_some_and(|pair| pair % 10 == 0);
        self.pairs.len() * 2 - usize::from(odd)
    }

    /// Returns the pairs of digits, each 0 to 99.
    fn values(&self) -> impl DoubleEndedIterator<Item = u8> + Clone {
        let flip = flip_of(self.negative);
        self.pairs.iter().map(move |&pair| (pair ^ flip).wrapping_sub(1))
    }
}

/// Returns the fields of an encoded key, in order. Ends at the first byte that starts no valid
/// field.
#[must_use]
pub fn fields(key: &[u8]) -> Fields<'_> {
    Fields { rest: key }
}

/// Returns an encoded key as text: strings without quotes, numbers and booleans as in JSON, nothing
/// for null, several fields separated by commas.
/// ```
/// use stream_processor_core::key;
/// let mut api = Vec::new();
/// key::push_str(&mut api, "api");
/// assert_eq!(key::text(&api), "api");
/// ```
#[must_use]
pub fn text(key: &[u8]) -> Cow<'_, str> {
    let mut all = fields(key);
    let first = all.next();
    if let (Some(KeyField::String(text)), true) = (&first, all.rest.is_empty()) {
        return text.clone();
    }
    let mut text = Vec::new();
    for (index, field) in first.into_iter().chain(all).enumerate() {
        if index > 0 {
            text.push(b',');
        }
        field.write_text(&mut text);
    }
    String::from_utf8(text).unwrap_or_default().into()
}

/// Returns the bytes of field number `field` of a key; empty if there is none.
pub(crate) fn field_bytes(key: &[u8], field: usize) -> &[u8] {
    let mut all = fields(key);
    let skipped = all.by_ref().take(field).count();
    let rest = all.rest;
    let is_there = skipped == field && all.next().is_some();
    let len = if is_there { rest.len() - all.rest.len() } else { 0 };
    rest.get(..len).unwrap_or_default()
}

/// Returns true if `field` encodes null.
pub(crate) fn is_null(field: &[u8]) -> bool {
    field == [NULL]
}

/// Returns whether two fields are both booleans, both numbers or both strings.
pub(crate) fn is_same_type(a: &[u8], b: &[u8]) -> bool {
    let kind = |field: &[u8]| field.first().map(|tag| if *tag == TRUE { FALSE } else { *tag });
    kind(a) == kind(b)
}

/// Returns whether `key` encodes a key of `field_count` fields that events may have. Numbers must
/// be integers within the range of doubles, or the shortest decimals of doubles. Null is no value.
/// For bytes from outside.
#[must_use]
pub fn validate(key: &[u8], field_count: usize) -> bool {
    validate_with(key, field_count, OnNullKey::Reject)
}

/// Does the same for keys that may have null fields if these are kept.
pub(crate) fn validate_with(key: &[u8], field_count: usize, on_null_key: OnNullKey) -> bool {
    let allowed = |field: &KeyField<'_>| match field {
        KeyField::Number(number) => number.is_allowed(),
        KeyField::Null => on_null_key == OnNullKey::Keep,
        KeyField::Bool(_) | KeyField::String(_) => true,
    };
    all_fields(key, field_count, allowed)
}

/// Returns whether `key` encodes a key of `field_count` fields with any numbers. For snapshots:
/// earlier versions allowed all numbers.
pub(crate) fn is_encoded(key: &[u8], field_count: usize) -> bool {
    all_fields(key, field_count, |_| true)
}

/// Returns whether `key` has exactly `field_count` fields, and all are `allowed`.
fn all_fields(key: &[u8], field_count: usize, allowed: impl Fn(&KeyField<'_>) -> bool) -> bool {
    if field_count == 1 && is_plain_string(key) {
        return true;
    }
    let mut fields = fields(key);
    fields.by_ref().take(field_count).filter(allowed).count() == field_count
        && fields.rest.is_empty()
}

/// Returns whether `key` is one string of ASCII characters without escapes, as most keys are.
fn is_plain_string(key: &[u8]) -> bool {
    let plain = |all: bool, byte: &u8| all & byte.is_ascii() & (*byte > ESCAPE);
    matches!(key, [STRING, text @ .., END] if text.iter().fold(true, plain))
}

/// The iterator of [`fields()`].
/// ```
/// use stream_processor_core::key::{self};
/// let mut key = Vec::new();
/// key::push_str(&mut key, "eu");
/// key::push_bool(&mut key, true);
/// assert_eq!(key::fields(&key).count(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = KeyField<'a>;

    fn next(&mut self) -> Option<KeyField<'a>> {
        let (field, rest) = match *self.rest {
            [FALSE, ref rest @ ..] => (KeyField::Bool(false), rest),
            [TRUE, ref rest @ ..] => (KeyField::Bool(true), rest),
            [NUMBER, ZERO, ref rest @ ..] => {
                (KeyField::Number(KeyNumber { negative: false, point: 0, pairs: &[] }), rest)
            }
            [NUMBER, class @ (NEGATIVE | POSITIVE), ref rest @ ..] => {
                let (number, rest) = read_magnitude(class == NEGATIVE, rest)?;
                (KeyField::Number(number), rest)
            }
            [STRING, ref rest @ ..] => {
                let (text, rest) = read_string(rest)?;
                (KeyField::String(text), rest)
            }
            [NULL, ref rest @ ..] => (KeyField::Null, rest),
            _ => return None,
        };
        self.rest = rest;
        Some(field)
    }
}

impl FusedIterator for Fields<'_> {}

/// Reads a string up to its end. Returns `None` if it has no end, has an escape that [`push_str`]
/// does not write, or is not UTF-8.
fn read_string(bytes: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == END)?;
    let (escaped, rest) = bytes.split_at_checked(end)?;
    let rest = rest.get(1..)?;
    if !escaped.contains(&ESCAPE) {
        return Some((Cow::Borrowed(core::str::from_utf8(escaped).ok()?), rest));
    }
    let mut text = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        text.push(match byte {
            ESCAPE => bytes.next()?.checked_sub(1).filter(|&byte| byte <= ESCAPE)?,
            plain => plain,
        });
    }
    Some((String::from_utf8(text).ok()?.into(), rest))
}

/// Reads a magnitude up to its end. Returns `None` if [`push_number`] would not write it so.
fn read_magnitude(negative: bool, bytes: &[u8]) -> Option<(KeyNumber<'_>, &[u8])> {
    let flip = flip_of(negative);
    let (&first, rest) = bytes.split_first()?;
    let (point, rest) = match first ^ flip {
        short @ 1..=254 => (i32::from(short) - POINT_BIAS, rest),
        long => {
            let (biased, rest) = rest.split_first_chunk::<4>()?;
            let biased = u32::from_be_bytes(biased.map(|byte| byte ^ flip));
            let point = (biased ^ (1 << 31)).cast_signed();
            let max = Decimal::MAX_POINT;
            let canonical = if long == LARGE_POINT { 127..=max } else { -max..=-128 };
            canonical.contains(&point).then_some((point, rest))?
        }
    };
    let end = rest.iter().position(|&byte| byte ^ flip == END)?;
    let (pairs, rest) = rest.split_at_checked(end)?;
    let number = KeyNumber { negative, point, pairs };
    let digits_are_valid = number.values().all(|pair| pair <= 99)
        && number.values().next().is_some_and(|first| first >= 10)
        && number.values().next_back().is_some_and(|last| last != 0);
    Some((digits_are_valid.then_some(number)?, rest.get(1..)?))
}
