//! Encoded keys: a byte encoding that preserves the order of values and marks the end of each
//! field.
//!
//! A key is the concatenation of its fields. Comparing the bytes of two keys compares them field by
//! field: false < true < numbers (by exact decimal value) < strings (by their UTF-8 bytes) < null. No
//! encoded field is a prefix of another one, so keys of several fields are unambiguous. Each value
//! has exactly one encoding.
//!
//! | field | bytes |
//! |---|---|
//! | false | `01` |
//! | true | `02` |
//! | a number below 0 | `03 00`, then magnitude with every bit flipped |
//! | 0 | `03 01` |
//! | a number above 0 | `03 02`, then magnitude |
//! | a string | `04`, its UTF-8 with `00` written as `01 01` and `01` as `01 02`, then `00` |
//! | null, with `source.on_null_key = "keep"` | `05` |
//!
//! A magnitude is 0.DIGITS · 10^point. The point is `point + 128` as one byte if that is 1 to 254.
//! Otherwise it is `FF` (large) or `00` (small), and `point + 2^31` as four bytes, big-endian. Then
//! follow the digits, two in a byte, as their value + 1; an odd last digit is followed by a 0. `00`
//! ends it. The encoding follows FoundationDB's tuple layer; with its escape, `00 FF`, the empty
//! string would be a prefix of others.
//!
//! The encoding can represent any decimal. The engine accepts two kinds of numbers in keys:
//! integers within the range of doubles, and the shortest decimals of doubles (as ECMAScript prints
//! them). JavaScript can read and write both without loss.

mod encode;
mod fields;
mod fingerprint;
mod number;
#[cfg(test)]
mod tests;
mod text;

#[cfg(feature = "host")]
pub use encode::push_number;
pub use encode::{push_bool, push_f64, push_null, push_number_text, push_str};
#[cfg(feature = "text")]
pub(crate) use encode::{push_plain_str, push_scaled};
pub use fields::{Fields, KeyField, KeyNumber, fields, text, validate};
pub(crate) use fields::{field_bytes, is_encoded, is_null, is_same_type, validate_with};
pub use fingerprint::fingerprint;
#[cfg(feature = "text")]
pub(crate) use number::is_small_key_number;
pub(crate) use number::{is_certain_key_number, is_integer, is_key_number};
pub(crate) use text::{find_text, find_text_first, needs_escape};

const FALSE: u8 = 0x01;
const TRUE: u8 = 0x02;
const NUMBER: u8 = 0x03;
const STRING: u8 = 0x04;
const NULL: u8 = 0x05;

const NEGATIVE: u8 = 0x00;
const ZERO: u8 = 0x01;
const POSITIVE: u8 = 0x02;

/// Ends a string or a magnitude.
const END: u8 = 0x00;
/// Marks an escaped byte of a string, which is at most this one: the next byte is the escaped one,
/// plus 1.
const ESCAPE: u8 = 0x01;

const POINT_BIAS: i32 = 128;
const LARGE_POINT: u8 = 0xff;
const SMALL_POINT: u8 = 0x00;

fn flip_of(negative: bool) -> u8 {
    if negative { 0xff } else { 0x00 }
}
