//! Converts columns of JavaScript times from milliseconds to microseconds in place.

use super::from_ms_f64;
use crate::util::simd::Pair;

/// Words that are converted together, with one branch for all of them.
const BLOCK: usize = 8;

/// Converts milliseconds to microseconds in place. Words hold the bits of a double before and of an
/// `i64` after.
///
/// Invalid times become `none`. Otherwise it converts as [`from_ms_f64`], with a fast path for
/// whole milliseconds, the usual case.
pub fn from_ms_in_place(words: &mut [u64], none: i64) {
    let (mut blocks, rest) = words.as_chunks_mut::<BLOCK>();
    while !blocks.is_empty() {
        let converted = from_whole_ms(blocks);
        blocks = blocks.get_mut(converted..).unwrap_or_default();
        let Some((block, later)) = blocks.split_first_mut() else { break };
        from_ms_slowly(block, none);
        blocks = later;
    }
    from_ms_slowly(rest, none);
}

/// Adding this to a whole number within ±2^51 leaves that number in the low bits of the double. The
/// conversion itself has no vector instruction.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// Sign and exponent of a double. Those of [`SHIFT`] are unchanged by adding such a number.
const EXPONENT: u64 = 0xfff << 52;

/// The start of 2020 in microseconds. Times within ±2^51 of it, 71 years, take the fast path.
const CENTRE: f64 = 1_577_836_800_000_000.0;

/// The bits to subtract so that microseconds since the epoch remain.
const BITS_TO_SUBTRACT: u64 = SHIFT.to_bits().wrapping_sub(1_577_836_800_000_000);

/// Converts leading blocks that contain only whole milliseconds of the years 1949 to 2090. Returns
/// their number.
// A separate function without calls, so that compilers of the module keep its loop variables in
// registers.
#[inline(never)]
fn from_whole_ms(blocks: &mut [[u64; BLOCK]]) -> usize {
    let mut converted = 0;
    for block in blocks {
        let (micros, unlike) = micros_of(block);
        if unlike.any_of(-1) {
            break;
        }
        *block = micros;
        converted += 1;
    }
    converted
}

/// Returns the block in microseconds, and non-zero bits if it contains anything else.
#[inline(always)]
fn micros_of(block: &[u64; BLOCK]) -> ([u64; BLOCK], Pair) {
    let shift = SHIFT.to_bits();
    // Both are exact in these years.
    let shifted = block.map(|word| (f64::from_bits(word) * 1_000.0 + (SHIFT - CENTRE)).to_bits());
    let whole = block.map(|word| ((f64::from_bits(word) + SHIFT) - SHIFT).to_bits());
    let mut unlike = [0; BLOCK];
    for (((unlike, word), whole), shifted) in unlike.iter_mut().zip(block).zip(whole).zip(shifted) {
        *unlike = ((whole ^ word) | ((shifted ^ shift) & EXPONENT)).cast_signed();
    }
    let unlike = Pair::all(&unlike).into_iter().fold(Pair::splat(0), Pair::or);
    (shifted.map(|shifted| shifted.wrapping_sub(BITS_TO_SUBTRACT)), unlike)
}

#[cold]
fn from_ms_slowly(words: &mut [u64], none: i64) {
    for word in words {
        *word = from_ms_f64(f64::from_bits(*word)).unwrap_or(none).cast_unsigned();
    }
}
