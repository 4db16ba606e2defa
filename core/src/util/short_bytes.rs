//! Short runs of bytes as two numbers: compared and hashed without a loop.

use bytemuck::cast;

/// The longest run that has a head.
pub(crate) const SHORT: usize = 16;

/// The first 16 bytes of a run of at most as many, zero behind its end: two little-endian numbers.
pub(crate) type Head = [u64; 2];

/// The head of `run`, if it is short.
#[inline(always)]
pub(crate) fn head_of(run: &[u8]) -> Option<Head> {
    let len = run.len();
    if len > SHORT {
        return None;
    }
    // Two reads that overlap, of 8 or 4 bytes each; what was read twice is shifted out.
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

/// The head of the run of `len` bytes that begins at `start` of `bytes`, if it is short. It ends within them.
#[inline(always)]
pub(crate) fn head_at(bytes: &[u8], start: usize, len: usize) -> Option<Head> {
    match head_before_end(bytes, start, len) {
        None if len <= SHORT => head_of(bytes.get(start..start + len).unwrap_or_default()),
        found => found,
    }
}

/// The same if it does not begin among the last bytes, for which it would take calls.
#[inline(always)]
pub(crate) fn head_before_end(bytes: &[u8], start: usize, len: usize) -> Option<Head> {
    let [low, high] = KEPT.get(len)?;
    let [first, second]: Head = cast(*bytes.get(start..)?.first_chunk::<SHORT>()?);
    Some([first & low, second & high])
}

/// The bits of a head that a run of each length has.
#[rustfmt::skip]
const KEPT: [Head; SHORT + 1] = [
    kept(0), kept(1), kept(2), kept(3), kept(4), kept(5), kept(6), kept(7), kept(8),
    kept(9), kept(10), kept(11), kept(12), kept(13), kept(14), kept(15), kept(16),
];

const fn kept(len: u32) -> Head {
    [bits(8 * len), bits((8 * len).saturating_sub(64))]
}

/// A number whose lowest `count` bits are set, or all.
const fn bits(count: u32) -> u64 {
    if count < 64 { (1 << count) - 1 } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_the_bytes_and_zeros() {
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
