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
//!
//! The encoding has room for any decimal. The engine takes keys with two kinds of them: integers within the range of
//! doubles, and the shortest decimals of doubles (what ECMAScript prints). JavaScript can hand out and take back both
//! unchanged.

mod encode;
mod fields;
mod fingerprint;
mod number;
#[cfg(test)]
mod tests;
mod text;

pub use encode::{push_bool, push_f64, push_number, push_number_text, push_str};
#[cfg(feature = "text")]
pub(crate) use encode::{push_plain_str, push_scaled};
pub use fields::{Fields, KeyField, KeyNumber, fields, validate};
pub(crate) use fields::{field_bytes, is_encoded, is_same_type};
pub use fingerprint::fingerprint;
#[cfg(feature = "text")]
pub(crate) use number::is_small_key_number;
pub(crate) use number::{is_certain_key_number, is_integer, is_key_number};
pub(crate) use text::{find_text, find_text_first, needs_escape};

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

fn flip_of(negative: bool) -> u8 {
    if negative { 0xff } else { 0x00 }
}
