//! Look-up of keys with one string field by the string, without encoding it.

use super::{ESCAPE, STRING};
use crate::util::byte_table::ByteTable;
use crate::util::id_table::NONE;
use crate::util::short_bytes::{Head, SHORT, head_at, head_before_end};

/// The bytes that the encoding adds to a string without escapes: its tag and its end.
const ENCLOSING_BYTES: usize = 2;

/// Returns whether the encoding of a string has escapes.
#[inline]
pub(crate) fn needs_escape(text: &[u8]) -> bool {
    // Ids mostly have 16 to 32 bytes, and a loop would cost as much as the rest of the look-up.
    match (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        (Some(first), Some(last)) if text.len() <= 32 => {
            contains_escape(first) | contains_escape(last)
        }
        _ => contains_escape(text),
    }
}

#[inline]
fn contains_escape(text: &[u8]) -> bool {
    // Without an early exit, compilers vectorize the loop.
    text.iter().fold(false, |any, byte| any | (*byte <= ESCAPE))
}

/// Returns the id of the key that is the string of `len` bytes at `start` of `text`, which has no
/// escapes.
#[inline(always)]
pub(crate) fn find_text(table: &ByteTable, text: &[u8], start: usize, len: usize) -> u32 {
    match head_at(text, start, len) {
        // The end byte is a zero, as are all bytes of a head behind its run.
        Some(head) if len + ENCLOSING_BYTES <= SHORT => {
            table.find_short(enclose(head), len + ENCLOSING_BYTES)
        }
        _ => table.find_enclosed(STRING, text.get(start..start + len).unwrap_or_default()),
    }
}

/// Does the same without a call: only for short strings found in their first two table slots, and
/// not at the end of `text`. [`NONE`] does not mean that the key is unknown.
#[inline(always)]
pub(crate) fn find_text_first(table: &ByteTable, text: &[u8], start: usize, len: usize) -> u32 {
    match head_before_end(text, start, len) {
        Some(head) if len + ENCLOSING_BYTES <= SHORT => {
            table.find_short_first(enclose(head), len + ENCLOSING_BYTES)
        }
        _ => NONE,
    }
}

/// Returns the head of the key that encodes a string, from the head of the string.
#[inline(always)]
fn enclose([low, high]: Head) -> Head {
    [low << 8 | u64::from(STRING), high << 8 | low >> 56]
}
