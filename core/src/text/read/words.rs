//! Examines text eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Marks quotes, backslashes and control characters among eight bytes by their high bits. Only the
/// first mark is certain.
#[inline]
pub(super) fn special(word: u64) -> u64 {
    // A subtraction borrows into the high bit of a byte that was too small, and may also borrow
    // from the next byte.
    let quotes = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    let controls = word.wrapping_sub(ONES * 0x20);
    (quotes | backslashes | controls) & !word & HIGH_BITS
}

/// Returns the eight bytes at `at` of `bytes`, padded with zeros after the end. Returns zeros if
/// `bytes` has fewer than eight bytes.
#[inline]
pub(super) fn last_word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(chunk) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*chunk);
    }
    let chunk = bytes.last_chunk::<8>().copied().unwrap_or_default();
    if rest.is_empty() { 0 } else { u64::from_le_bytes(chunk) >> (8 * (8 - rest.len())) }
}
