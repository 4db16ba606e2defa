//! Encoding of key fields.

use super::text::needs_escape;
use super::{
    END, ESCAPE, FALSE, LARGE_POINT, NEGATIVE, NULL, NUMBER, POINT_BIAS, POSITIVE, SMALL_POINT,
    STRING, TRUE, ZERO, flip_of,
};
use crate::number::Decimal;

/// Appends a string field.
#[inline]
pub fn push_str(key: &mut Vec<u8>, value: &str) {
    key.push(STRING);
    let bytes = value.as_bytes();
    if needs_escape(bytes) {
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
    // A copy of 16 bytes, truncated afterwards, compiles to one or two moves; a copy of variable
    // length is a call.
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

/// Appends a null field, for pipelines with [`crate::spec::OnNullKey::Keep`].
pub fn push_null(key: &mut Vec<u8>) {
    key.push(NULL);
}

/// Appends a number field: its exact value.
#[cfg_attr(
    not(feature = "host"),
    allow(unreachable_pub, reason = "the feature `host` makes it public")
)]
pub fn push_number(key: &mut Vec<u8>, value: &Decimal<'_>) {
    push_digits(key, value.is_negative(), value.point(), value.digits());
}

/// Appends a number field from a JSON number's text. Returns `false`, and appends nothing, if the
/// text is not a number.
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
    // From the last pair of digits to the first. An odd last digit forms a pair with a 0.
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

/// Appends a number field with the decimal value that ECMAScript prints for `value`.
///
/// Returns `false`, and appends nothing, for NaN and the infinities, which JSON cannot represent.
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

/// Appends the bytes of a number before its digits.
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
