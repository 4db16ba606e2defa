//! Looking up keys that are one string each by the string alone.

use super::{ESCAPE, STRING};
use crate::util::byte_table::ByteTable;
use crate::util::id_table::NONE;
use crate::util::short_bytes::{Head, SHORT, head_at, head_before_end};

/// Bytes of a key that is one string without escapes, beside those of the string.
const AROUND: usize = 2;

/// Whether the encoding of a string is more than the string between two bytes.
#[inline]
pub(crate) fn needs_escape(text: &[u8]) -> bool {
    // Ids are mostly as long as this, and a loop costs as much as all else that is done with them.
    match (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        (Some(first), Some(last)) if text.len() <= 32 => have_escape(first) | have_escape(last),
        _ => have_escape(text),
    }
}

#[inline]
fn have_escape(text: &[u8]) -> bool {
    // Without an early end compilers make vector instructions of it.
    text.iter().fold(false, |any, byte| any | (*byte <= ESCAPE))
}

/// The id of the key that is the string of `len` bytes at `start` of `text`, which needs no escape.
#[inline(always)]
pub(crate) fn find_text(table: &ByteTable, text: &[u8], start: usize, len: usize) -> u32 {
    match head_at(text, start, len) {
        // The end is a zero, as all is behind it.
        Some(head) if len + AROUND <= SHORT => table.find_short(around(head), len + AROUND),
        _ => table.find_around(STRING, text.get(start..start + len).unwrap_or_default()),
    }
}

/// The same without a call, so only for short strings that are where they are looked for first, and that are not the last
/// ones of `text`.
#[inline(always)]
pub(crate) fn find_text_first(table: &ByteTable, text: &[u8], start: usize, len: usize) -> u32 {
    match head_before_end(text, start, len) {
        Some(head) if len + AROUND <= SHORT => table.find_short_first(around(head), len + AROUND),
        _ => NONE,
    }
}

/// The head of a key that is one string, by the string's.
#[inline(always)]
fn around([low, high]: Head) -> Head {
    [low << 8 | u64::from(STRING), high << 8 | low >> 56]
}
