//! Short runs of bytes as two numbers, which are compared and hashed without a loop.

use bytemuck::cast;

/// The length of the longest run that has a head.
pub(crate) const SHORT: usize = 16;

/// The first 16 bytes of a run of at most 16, zero-padded at the end: two little-endian numbers.
pub(crate) type Head = [u64; 2];

/// Returns the head of `run`, if it is short.
#[inline(always)]
pub(crate) fn head_of(run: &[u8]) -> Option<Head> {
    let len = run.len();
    if len > SHORT {
        return None;
    }
    // Two overlapping reads of 8 or 4 bytes each; the overlap is shifted out.
    if let (Some(first), Some(last)) = (run.first_chunk(), run.last_chunk()) {
        let high = if len == 8 { 0 } else { u64::from_le_bytes(*last) >> (8 * (SHORT - len)) };
        return Some([u64::from_le_bytes(*first), high]);
    }
    if let (Some(first), Some(last)) = (run.first_chunk(), run.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return Some([u64::from(first) | u64::from(last) << (8 * (len - 4)), 0]);
    }
    Some([run.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)), 0])
}

/// Returns the head of the run of `len` bytes at `start` of `bytes`, if it is short. The run must
/// end within `bytes`.
#[inline(always)]
pub(crate) fn head_at(bytes: &[u8], start: usize, len: usize) -> Option<Head> {
    match head_before_end(bytes, start, len) {
        None if len <= SHORT => head_of(bytes.get(start..start + len).unwrap_or_default()),
        found => found,
    }
}

/// Does the same for runs that do not start within the last 15 bytes, which would take calls.
#[inline(always)]
pub(crate) fn head_before_end(bytes: &[u8], start: usize, len: usize) -> Option<Head> {
    let [low, high] = HEAD_MASKS.get(len)?;
    let [first, second]: Head = cast(*bytes.get(start..)?.first_chunk::<SHORT>()?);
    Some([first & low, second & high])
}

/// The bits of a head that belong to a run of each length.
#[rustfmt::skip]
const HEAD_MASKS: [Head; SHORT + 1] = [
    head_mask(0), head_mask(1), head_mask(2), head_mask(3), head_mask(4), head_mask(5), head_mask(6), head_mask(7), head_mask(8),
    head_mask(9), head_mask(10), head_mask(11), head_mask(12), head_mask(13), head_mask(14), head_mask(15), head_mask(16),
];

const fn head_mask(len: u32) -> Head {
    [low_bits(8 * len), low_bits((8 * len).saturating_sub(64))]
}

/// Returns a number whose lowest `count` bits, at most 64, are set.
const fn low_bits(count: u32) -> u64 {
    if count < 64 { (1 << count) - 1 } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_the_bytes_padded_with_zeros() {
        let bytes: Vec<u8> = (1..=60).collect();
        for start in 0..bytes.len() {
            for len in 0..=bytes.len() - start {
                let run = &bytes[start..start + len];
                let expected = (len <= SHORT).then(|| {
                    let mut padded = [0; SHORT];
                    padded[..len].copy_from_slice(run);
                    [0, 8].map(|at| u64::from_le_bytes(padded[at..at + 8].try_into().unwrap()))
                });
                assert_eq!(head_of(run), expected, "{start}, {len}");
                assert_eq!(head_at(&bytes, start, len), expected, "{start}, {len}");
            }
        }
    }
}
