//! XXH3 (128 bits, seed 0) of a string between two known parts, without copying the string.

use xxhash_rust::xxh3::xxh3_128;

use super::canonical::STRING;
use crate::data::batch::Identity;

/// Minimum length of a string that is hashed here.
const SHORTEST: usize = 16;
/// Maximum length of the whole input that is hashed here.
const LONGEST: usize = 128;
/// Maximum number of bytes before the string.
const HEAD: usize = 32;

const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME_4: u64 = 0x85eb_ca77_c2b2_ae63;

/// The part of the XXH3 secret that inputs of up to 128 bytes need.
const SECRET: [[u64; 4]; 4] = [
    [0xbe4b_a423_396c_feb8, 0x1cad_21f7_2c81_017c, 0xdb97_9083_e96d_d4de, 0x1f67_b3b7_a4a4_4072],
    [0x78e5_c0cc_4ee6_79cb, 0x2172_ffcc_7dd0_5a82, 0x8e24_43f7_7446_08b8, 0x4c26_3a81_e690_35e0],
    [0xcb00_c391_bb52_283c, 0xa32e_531b_8b65_d088, 0x4ef9_0da2_9748_6471, 0xd8ac_dea9_46ef_1938],
    [0x3f34_9ce3_3f76_faa8, 0x1d4f_0bc7_c7bb_dcf9, 0x3159_b4cd_4be0_518a, 0x6473_78d9_c97e_9fc8],
];

/// An [`Identity`] under computation. Two fields stay in registers; an array would pass through
/// memory and stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash {
    low: u64,
    high: u64,
}

impl Hash {
    /// The hash that stands for [`NO_IDENTITY`](crate::data::batch::NO_IDENTITY).
    pub(super) const NONE: Self = Self { low: 0, high: 0 };

    /// Creates a hash that is never [`Hash::NONE`].
    #[inline]
    fn new(low: u64, high: u64) -> Self {
        Self { low: if low | high == 0 { 1 } else { low }, high }
    }

    #[inline]
    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }

    #[inline]
    pub(super) fn identity(self) -> Identity {
        [self.low, self.high]
    }
}

/// Returns the hash of `bytes`.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "each half is what is left")]
pub(super) fn hash_of(bytes: &[u8]) -> Hash {
    let hash = xxh3_128(bytes);
    Hash::new(hash as u64, (hash >> 64) as u64)
}

/// The bytes before a string, padded with zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    bytes: [u8; HEAD + 8],
    length: usize,
}

impl Head {
    /// Returns `head` followed by the tag of a string; `None` if that is too long.
    pub(super) fn of_string(head: &[u8]) -> Option<Self> {
        Self::new(&[head, &[STRING]].concat())
    }

    fn new(head: &[u8]) -> Option<Self> {
        let mut bytes = [0; HEAD + 8];
        bytes.iter_mut().zip(head).for_each(|(to, byte)| *to = *byte);
        (head.len() <= HEAD).then_some(Self { bytes, length: head.len() })
    }
}

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// The bytes to hash: a string and the parts before and after it.
struct HashInput<'a> {
    head: &'a Head,
    string: &'a [u8],
}

impl HashInput<'_> {
    /// Returns the 16 bytes at `at`, which do not reach the end.
    #[inline]
    fn pair(&self, at: usize) -> Option<[u64; 2]> {
        Some([self.word(at)?, self.word(at + 8)?])
    }

    #[inline]
    fn word(&self, at: usize) -> Option<u64> {
        let Some(before) = self.head.length.checked_sub(at + 1) else {
            return word_at(self.string, at - self.head.length);
        };
        let in_head = word_at(&self.head.bytes, at)?;
        if before >= 7 {
            return Some(in_head);
        }
        Some(in_head | word_at(self.string, 0)? << (8 * (before + 1)))
    }

    /// Returns the last 16 bytes, of which the final one is 0.
    #[inline]
    fn last(&self) -> Option<[u64; 2]> {
        let end = self.string.len();
        Some([word_at(self.string, end - 15)?, word_at(self.string, end - 8)? >> 8])
    }
}

#[inline]
fn folded([low, high]: [u64; 2], secret: [u64; 2]) -> u64 {
    #[allow(clippy::cast_possible_truncation, reason = "each half is what is left")]
    let halves = |product: u128| (product as u64, (product >> 64) as u64);
    let (low, high) = halves(u128::from(low ^ secret[0]) * u128::from(high ^ secret[1]));
    low ^ high
}

#[inline]
fn mix(state: &mut [u64; 2], front: [u64; 2], back: [u64; 2], secret: &[u64; 4]) {
    let [low, high] = state;
    let [s0, s1, s2, s3] = *secret;
    *low = low.wrapping_add(folded(front, [s0, s1])) ^ back[0].wrapping_add(back[1]);
    *high = high.wrapping_add(folded(back, [s2, s3])) ^ front[0].wrapping_add(front[1]);
}

#[inline]
fn avalanche(value: u64) -> u64 {
    let mixed = (value ^ value >> 37).wrapping_mul(0x1656_6791_9e37_79f9);
    mixed ^ mixed >> 32
}

/// Returns the hash of `head`, `string` and a zero byte; [`Hash::NONE`] for lengths that are not
/// handled here.
#[inline]
pub(super) fn hash_of_string(head: &Head, string: &[u8]) -> Hash {
    quick_hash(head, string).unwrap_or(Hash::NONE)
}

#[inline(always)]
fn quick_hash(head: &Head, string: &[u8]) -> Option<Hash> {
    let length = head.length + string.len() + 1;
    if string.len() < SHORTEST || length > LONGEST {
        return None;
    }
    let input = HashInput { head, string };
    let mut state = [(length as u64).wrapping_mul(PRIME_1), 0];
    let last = input.last()?;
    let [first, second, third, fourth] = &SECRET;
    if length > 32 {
        if length > 64 {
            if length > 96 {
                let (front, back) = (input.pair(48)?, input.pair(length - 64)?);
                mix(&mut state, front, back, fourth);
            }
            mix(&mut state, input.pair(32)?, input.pair(length - 48)?, third);
        }
        mix(&mut state, input.pair(16)?, input.pair(length - 32)?, second);
    }
    mix(&mut state, input.pair(0)?, last, first);
    let [low, high] = state;
    let both = low
        .wrapping_mul(PRIME_1)
        .wrapping_add(high.wrapping_mul(PRIME_4))
        .wrapping_add((length as u64).wrapping_mul(PRIME_2));
    Some(Hash::new(avalanche(low.wrapping_add(high)), avalanche(both).wrapping_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_string_agrees_with_hash_of_concatenation() {
        let text: Vec<u8> = (0..200_u32).map(|at| (at * 151 % 251) as u8).collect();
        for head in 0..=HEAD + 1 {
            for length in 0..150 {
                let (before, string) = (&text[..head], &text[40..40 + length]);
                let whole = [before, string, &[0]].concat();
                let told = Head::new(before).and_then(|head| quick_hash(&head, string));
                let possible = head <= HEAD && length >= SHORTEST && whole.len() <= LONGEST;
                assert_eq!(told, possible.then(|| hash_of(&whole)), "{head} {length}");
            }
        }
    }
}
