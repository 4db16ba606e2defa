//! Keys as bytes: an encoding that keeps the order of the values and tells every field's end.
//!
//! A key is the concatenation of its fields. Comparing the bytes of two keys compares them field by field:
//! false < true < numbers (by exact decimal value) < strings (by their UTF-8 bytes). No encoded field is a prefix of
//! another one, so keys of several fields never run into each other. Each value has exactly one encoding.
//!
//! | field | bytes |
//! |---|---|
//! | false | `01` |
//! | true | `02` |
//! | a number below 0 | `03 00`, then magnitude with every bit flipped |
//! | 0 | `03 01` |
//! | a number above 0 | `03 02`, then magnitude |
//! | a string | `04`, its UTF-8 with `00` written as `01 01` and `01` as `01 02`, then `00` |
//!
//! A magnitude is 0.DIGITS · 10^point: `point + 128` as one byte when that is 1 to 254, otherwise `FF` (large) or `00`
//! (small) and `point + 2^31` as four bytes, big-endian; then the digits, two a byte, as their value + 1 (an odd last
//! digit is followed by a 0); then `00`. The idea is that of FoundationDB's tuples; their escape, `00 FF`, would make the
//! empty string a prefix of others.

use crate::number::{Decimal, parse_f64, write_layout};
use core::iter::FusedIterator;
use std::borrow::Cow;
use xxhash_rust::xxh3::xxh3_128;

const FALSE: u8 = 0x01;
const TRUE: u8 = 0x02;
const NUMBER: u8 = 0x03;
const STRING: u8 = 0x04;

const NEGATIVE: u8 = 0x00;
const ZERO: u8 = 0x01;
const POSITIVE: u8 = 0x02;

/// Ends a string or a magnitude.
const END: u8 = 0x00;
/// In a string: the next byte is one more than what it stands for, which is a byte up to this one.
const ESCAPE: u8 = 0x01;

const POINT_BIAS: i32 = 128;
const LARGE_POINT: u8 = 0xff;
const SMALL_POINT: u8 = 0x00;

/// The bit of a double that is never set where it is smaller than 2.
const GREAT: u64 = 1 << 62;

/// An encoded value as a number that tells it from all others: what a column of kind [`crate::InputKind::Text`] holds.
///
/// It is made of 63 bits of XXH3 (128 bits, seed 0), so two different values are taken for one with a chance of 2^-63. It is
/// always finite.
/// ```
/// use stream_processor_core::key;
/// let of = |text: &str| {
///     let mut value = Vec::new();
///     key::push_str(&mut value, text);
///     key::fingerprint(&value)
/// };
/// assert!(of("eu") == of("eu") && of("eu") != of("us") && of("").is_finite());
/// ```
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
pub fn fingerprint(value: &[u8]) -> f64 {
    f64::from_bits(xxh3_128(value) as u64 & !GREAT)
}

/// Appends a string field.
#[inline]
pub fn push_str(key: &mut Vec<u8>, value: &str) {
    key.push(STRING);
    let bytes = value.as_bytes();
    if bytes.iter().any(|&byte| byte <= ESCAPE) {
        for &byte in bytes {
            if byte <= ESCAPE {
                key.extend_from_slice(&[ESCAPE, byte + 1]);
            } else {
                key.push(byte);
            }
        }
    } else {
        key.extend_from_slice(bytes);
    }
    key.push(END);
}

/// Appends a string field: `text[start..end]`, which is UTF-8 without U+0000 and U+0001.
#[cfg(feature = "text")]
#[inline]
pub(crate) fn push_plain_str(key: &mut Vec<u8>, text: &[u8], start: usize, end: usize) {
    key.push(STRING);
    // A copy of 16 bytes, cut afterwards, is a move or two; a copy of any length is a call.
    match text.get(start..).and_then(|text| text.first_chunk::<16>()) {
        Some(chunk) if end - start <= chunk.len() => {
            let before = key.len();
            key.extend_from_slice(chunk);
            key.truncate(before + end - start);
        }
        _ => key.extend_from_slice(text.get(start..end).unwrap_or(&[])),
    }
    key.push(END);
}

/// Appends a boolean field.
#[inline]
pub fn push_bool(key: &mut Vec<u8>, value: bool) {
    key.push(if value { TRUE } else { FALSE });
}

/// Appends a number field: its exact value.
pub fn push_number(key: &mut Vec<u8>, value: &Decimal<'_>) {
    push_digits(key, value.is_negative(), value.point(), value.digits());
}

/// Appends a number field from a JSON number's text; false, and nothing appended, if the text is no number.
pub fn push_number_text(key: &mut Vec<u8>, text: &[u8]) -> bool {
    let decimal = Decimal::parse(text);
    if let Some(value) = &decimal {
        push_number(key, value);
    }
    decimal.is_some()
}

/// Appends the number mantissa · 10^exponent, negated if `negative`, for exponents of a few digits.
#[cfg(feature = "text")]
pub(crate) fn push_scaled(key: &mut Vec<u8>, negative: bool, mantissa: u64, exponent: i32) {
    if mantissa == 0 {
        key.extend_from_slice(&[NUMBER, ZERO]);
        return;
    }
    let (mut mantissa, mut exponent) = (mantissa, exponent);
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    let digits = mantissa.ilog10() + 1;
    push_head(key, negative, exponent + digits.cast_signed());
    // From the last pair to the first; an odd last digit makes a pair with a 0.
    let mut pairs = [0; 10];
    let mut unused = pairs.len();
    let mut odd = digits % 2 == 1;
    for pair in pairs.iter_mut().rev() {
        let value = if odd { (mantissa % 10) as u8 * 10 } else { (mantissa % 100) as u8 };
        mantissa /= if odd { 10 } else { 100 };
        odd = false;
        *pair = (value + 1) ^ flip_of(negative);
        unused -= 1;
        if mantissa == 0 {
            break;
        }
    }
    key.extend_from_slice(pairs.get(unused..).unwrap_or(&[]));
    key.push(END ^ flip_of(negative));
}

/// Appends a number field: the decimal value that ECMAScript prints for `value`.
///
/// False, and nothing appended, for NaN and the infinities, which JSON cannot say.
pub fn push_f64(key: &mut Vec<u8>, value: f64) -> bool {
    value.is_finite()
        && push_number_text(key, ryu_js::Buffer::new().format_finite(value).as_bytes())
}

/// Appends the number 0.DIGITS · 10^point.
fn push_digits(
    key: &mut Vec<u8>,
    negative: bool,
    point: i32,
    mut digits: impl Iterator<Item = u8>,
) {
    let Some(first) = digits.next() else {
        key.extend_from_slice(&[NUMBER, ZERO]);
        return;
    };
    push_head(key, negative, point);
    let flip = flip_of(negative);
    let mut high = Some(first);
    while let Some(digit) = high {
        let pair = digit * 10 + digits.next().unwrap_or(0);
        key.push((pair + 1) ^ flip);
        high = digits.next();
    }
    key.push(END ^ flip);
}

/// Appends what stands before the digits of a number.
fn push_head(key: &mut Vec<u8>, negative: bool, point: i32) {
    let flip = flip_of(negative);
    key.extend_from_slice(&[NUMBER, if negative { NEGATIVE } else { POSITIVE }]);
    match u8::try_from(point + POINT_BIAS) {
        Ok(short @ 1..=254) => key.push(short ^ flip),
        _ => {
            key.push(if point > 0 { LARGE_POINT } else { SMALL_POINT } ^ flip);
            let biased = point.cast_unsigned() ^ (1 << 31);
            key.extend(biased.to_be_bytes().map(|byte| byte ^ flip));
        }
    }
}

fn flip_of(negative: bool) -> u8 {
    if negative { 0xff } else { 0x00 }
}

/// One field of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyField<'a> {
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(KeyNumber<'a>),
    /// A string; borrowed unless it contains U+0000 or U+0001.
    String(Cow<'a, str>),
}

impl KeyField<'_> {
    /// Appends the field as JSON: `true`, `3`, `"svc-1"`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => crate::json::write_string(text, out),
            _ => self.write_text(out),
        }
    }

    /// Appends the field as plain text, strings without quotes: `true`, `3`, `svc-1`.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Number(number) => number.write(out),
            Self::String(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// A number in a key: exact, borrowed from the encoded bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyNumber<'a> {
    negative: bool,
    point: i32,
    /// Encoded pairs of digits, flipped where `negative`, without the end.
    pairs: &'a [u8],
}

impl KeyNumber<'_> {
    /// Appends the number as [`Decimal::write`] does.
    pub fn write(&self, out: &mut Vec<u8>) {
        let odd = self.values().next_back().is_some_and(|pair| pair % 10 == 0);
        let count = self.pairs.len() * 2 - usize::from(odd);
        let digits = self.values().flat_map(|pair| [pair / 10, pair % 10]).take(count);
        write_layout(self.negative, self.point, count, digits, out);
    }

    /// The nearest double; infinite beyond the largest one.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        let beyond = if self.negative { f64::NEG_INFINITY } else { f64::INFINITY };
        parse_f64(&text).unwrap_or(beyond)
    }

    /// The pairs of digits, each 0 to 99.
    fn values(&self) -> impl DoubleEndedIterator<Item = u8> {
        let flip = flip_of(self.negative);
        self.pairs.iter().map(move |&pair| (pair ^ flip).wrapping_sub(1))
    }
}

/// The fields of an encoded key, in order. Ends at the first byte that begins no field.
#[must_use]
pub fn fields(key: &[u8]) -> Fields<'_> {
    Fields { rest: key }
}

/// The bytes of field `field` of a key; empty where it has none.
pub(crate) fn field_bytes(key: &[u8], field: usize) -> &[u8] {
    let mut all = fields(key);
    let skipped = all.by_ref().take(field).count();
    let rest = all.rest;
    let is_there = skipped == field && all.next().is_some();
    let len = if is_there { rest.len() - all.rest.len() } else { 0 };
    rest.get(..len).unwrap_or_default()
}

/// Whether two fields are both boolean, both numbers or both strings.
pub(crate) fn is_same_type(a: &[u8], b: &[u8]) -> bool {
    let kind = |field: &[u8]| field.first().map(|tag| if *tag == TRUE { FALSE } else { *tag });
    kind(a) == kind(b)
}

/// Whether `key` is the encoding of a key with `field_count` fields. For bytes from outside.
#[must_use]
pub fn validate(key: &[u8], field_count: usize) -> bool {
    let mut fields = fields(key);
    fields.by_ref().take(field_count).count() == field_count && fields.rest.is_empty()
}

/// The iterator of [`fields()`].
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
            _ => return None,
        };
        self.rest = rest;
        Some(field)
    }
}

impl FusedIterator for Fields<'_> {}

/// Reads a string up to its end; `None` if it has none, has an escape that [`push_str`] does not write, or is not UTF-8.
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

/// Reads a magnitude up to its end; `None` if it is not one that [`push_number`] writes.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Vec<u8> {
        let mut key = Vec::new();
        assert!(push_number_text(&mut key, text.as_bytes()));
        key
    }

    fn string(text: &str) -> Vec<u8> {
        let mut key = Vec::new();
        push_str(&mut key, text);
        key
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        assert_eq!(string("a\0\u{1}b"), b"\x04a\x01\x01\x01\x02b\x00");
        assert_eq!(number("0"), [3, 1]);
        assert_eq!(number("-0.0"), [3, 1]);
        assert_eq!(number("1"), [3, 2, 129, 11, 0]);
        assert_eq!(number("123"), [3, 2, 131, 13, 31, 0]);
        assert_eq!(number("-123"), [3, 0, !131, !13, !31, 0xff]);
        assert_eq!(number("1e200"), [3, 2, 0xff, 0x80, 0, 0, 201, 11, 0]);
        assert_eq!(number("1e-200"), [3, 2, 0, 0x7f, 0xff, 0xff, 0x39, 11, 0]);
    }

    #[test]
    fn bytes_order_as_values_do() {
        let mut keys = vec![vec![FALSE], vec![TRUE]];
        let numbers = [
            "-1e999999999999",
            "-1e300",
            "-1e126",
            "-1e125",
            "-124",
            "-123.5",
            "-123",
            "-2",
            "-1",
            "-0.1",
            "-1e-300",
            "0",
            "1e-999999999999",
            "1e-300",
            "1e-130",
            "1e-129",
            "1e-128",
            "0.1",
            "0.15",
            "1",
            "1.01",
            "9007199254740992",
            "9007199254740993",
            "1e125",
            "1e126",
            "1e127",
            "1e300",
        ];
        keys.extend(numbers.map(number));
        keys.extend(
            ["", "\0", "\0a", "\u{1}", "\u{2}", "a", "a\0", "a\0b", "aa", "b", "é", "\u{10ffff}"]
                .map(string),
        );
        assert!(keys.is_sorted_by(|a, b| a < b));
        for (a, b) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
            assert!(a == b || !b.starts_with(a), "{a:?} is a prefix of {b:?}");
        }
    }

    #[test]
    fn fields_come_back_as_they_went_in() {
        let mut key = Vec::new();
        push_str(&mut key, "svc \"1\"");
        push_bool(&mut key, true);
        assert!(push_number_text(&mut key, b"-12.50"));
        assert!(push_f64(&mut key, 1e21));
        push_str(&mut key, "a\0b");
        assert!(push_f64(&mut key, -0.0));
        let mut json = Vec::new();
        for field in fields(&key) {
            field.write_json(&mut json);
            json.push(b' ');
        }
        let expected = br#""svc \"1\"" true -12.5 1e+21 "a\u0000b" 0 "#;
        assert_eq!(String::from_utf8_lossy(&json), String::from_utf8_lossy(expected));
        assert!(validate(&key, 6));
        assert!(!validate(&key, 5));
        assert!(!validate(&key, 7));
        assert!(validate(&[], 0));
        let Some(KeyField::Number(number)) = fields(&key).nth(2) else { panic!("a number") };
        assert_eq!(number.to_f64(), -12.5);
    }

    #[test]
    fn what_is_no_number_is_not_appended() {
        let mut key = Vec::new();
        assert!(!push_f64(&mut key, f64::NAN));
        assert!(!push_f64(&mut key, f64::INFINITY));
        assert!(!push_number_text(&mut key, b"abc"));
        assert!(key.is_empty());
    }

    #[test]
    fn other_bytes_are_not_valid() {
        for bytes in [
            &[0][..],
            &[5],
            &[3],
            &[3, 3],
            &[3, 2],
            &[3, 2, 129],
            &[3, 2, 129, 0],                        // no digits
            &[3, 2, 129, 11],                       // no end
            &[3, 2, 129, 2, 0],                     // a leading zero
            &[3, 2, 129, 11, 1, 0],                 // trailing zeros
            &[3, 2, 129, 101, 0],                   // no pair of digits
            &[3, 2, 0xff, 0x80, 0, 0, 1, 11, 0],    // a short point written long
            &[3, 2, 0xff, 0xff, 0xff, 0, 0, 11, 0], // beyond the largest point
            &[4, b'a'],
            &[4, 0xff, 0],
            &[4, 0, 0],
            &[4, 1, 0],
            &[4, 1, 3, 0],
            &[4, 1, 1],
        ] {
            assert!(!validate(bytes, 1), "{bytes:?}");
        }
    }

    #[cfg(feature = "text")]
    #[test]
    fn scanned_numbers_are_encoded_as_their_text_is() {
        let mantissas =
            [0, 1, 9, 10, 99, 100, 101, 12_345, 1_700_000_000_123, u64::MAX, u64::MAX - 5];
        let exponents = [-400, -200, -130, -20, -3, -1, 0, 1, 2, 19, 107, 126, 127, 400];
        for (mantissa, exponent) in
            mantissas.iter().flat_map(|m| exponents.iter().map(move |e| (*m, *e)))
        {
            for (negative, sign) in [(false, ""), (true, "-")] {
                let mut key = Vec::new();
                push_scaled(&mut key, negative, mantissa, exponent);
                assert_eq!(key, number(&format!("{sign}{mantissa}e{exponent}")));
            }
        }
    }
}
