//! The magnitudes of one sign, counted in buckets: 64 to an octave, found by the bits of the number.

use super::MAX_OCTAVES;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// Buckets of an octave: the widest is 1/64 of its least value, so its middle is at most 1/128 away from any.
pub(super) const BUCKETS: usize = 64;
/// Bits of a double behind those that choose the bucket.
const REST_BITS: u32 = 46;
/// No block.
const NO_BLOCK: u8 = u8::MAX;

/// The magnitudes of one sign. 256 bytes an octave that has values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Side {
    /// The lowest octave that is kept, as in the exponent of a double; those of subnormals go on below 1.
    bottom: i32,
    /// The block of each octave from `bottom` on.
    places: Vec<u8>,
    blocks: Vec<[u32; BUCKETS]>,
    /// Values of lower octaves.
    folded: u64,
}

impl Side {
    /// Of octaves, the lowest first, and values of lower ones.
    pub(super) fn of(folded: u64, octaves: impl Iterator<Item = (i32, [u32; BUCKETS])>) -> Self {
        let mut side = Self { folded, ..Self::default() };
        for (octave, counts) in octaves {
            if let Some(known) = side.open(octave) {
                *known = counts;
            }
        }
        side
    }

    /// Values of octaves below those that are kept.
    pub(super) fn folded(&self) -> u64 {
        self.folded
    }

    /// How many octaves have values, and the lowest that is kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, i32) {
        (self.blocks.len(), self.bottom)
    }

    /// What it counts for in the bytes of a stage: its octaves, and a few bytes for those between.
    pub(super) fn counted_bytes(&self) -> u64 {
        size_of_val(self.blocks.as_slice()) as u64
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() + size_of_val(self.blocks.as_slice())
    }

    #[inline]
    pub(super) fn add(&mut self, magnitude: u64, times: u64) {
        let (octave, bucket) = split(magnitude);
        if let Some(count) = self.bucket(octave, bucket) {
            *count = count.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        } else {
            self.add_beyond(octave, bucket, times);
        }
    }

    #[inline]
    fn bucket(&mut self, octave: i32, bucket: usize) -> Option<&mut u32> {
        self.block(octave)?.get_mut(bucket)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.folded = self.folded.saturating_add(other.folded);
        // From the highest on: what this side cannot keep is folded at once.
        for (octave, counts) in other.octaves().rev() {
            match self.block(octave) {
                Some(known) => add_counts(known, counts),
                None => match self.open(octave) {
                    Some(known) => *known = *counts,
                    None => self.folded = self.folded.saturating_add(total(counts)),
                },
            }
        }
    }

    fn block(&mut self, octave: i32) -> Option<&mut [u32; BUCKETS]> {
        let place = octave.wrapping_sub(self.bottom).cast_unsigned() as usize;
        self.blocks.get_mut(*self.places.get(place)? as usize)
    }

    /// The same for an octave that has no block yet.
    #[cold]
    fn add_beyond(&mut self, octave: i32, bucket: usize, times: u64) {
        match self.open(octave).and_then(|counts| counts.get_mut(bucket)) {
            Some(count) => *count = u32::try_from(times).unwrap_or(u32::MAX),
            None => self.folded = self.folded.saturating_add(times),
        }
    }

    /// An empty block for an octave that has none; nothing where it lies below all that are kept.
    fn open(&mut self, octave: i32) -> Option<&mut [u32; BUCKETS]> {
        let block = if self.blocks.len() < MAX_OCTAVES {
            self.blocks.reserve_exact(1);
            self.blocks.push([0; BUCKETS]);
            u8::try_from(self.blocks.len() - 1).unwrap_or(NO_BLOCK)
        } else if octave < self.bottom {
            return None;
        } else {
            self.fold_lowest()
        };
        self.reach(octave);
        let place = octave.wrapping_sub(self.bottom).cast_unsigned() as usize;
        *self.places.get_mut(place)? = block;
        self.blocks.get_mut(block as usize)
    }

    /// Empties the block of the lowest octave and returns it.
    fn fold_lowest(&mut self) -> u8 {
        let block = self.places.first().copied().unwrap_or(NO_BLOCK);
        if let Some(counts) = self.blocks.get_mut(block as usize) {
            self.folded = self.folded.saturating_add(total(counts));
            *counts = [0; BUCKETS];
        }
        let others = self.places.iter().skip(1).take_while(|place| **place == NO_BLOCK).count();
        let gone = (1 + others).min(self.places.len());
        self.places.drain(..gone);
        self.bottom += i32::try_from(gone).unwrap_or(0);
        block
    }

    /// Makes a place for `octave`.
    fn reach(&mut self, octave: i32) {
        if self.places.is_empty() {
            self.bottom = octave;
        }
        let below = usize::try_from(self.bottom - octave).unwrap_or(0);
        self.places.splice(..0, core::iter::repeat_n(NO_BLOCK, below));
        self.bottom = self.bottom.min(octave);
        let needed = usize::try_from(octave - self.bottom).unwrap_or(0) + 1;
        if self.places.len() < needed {
            self.places.resize(needed, NO_BLOCK);
        }
    }

    /// The octaves that have values, from the lowest on.
    pub(super) fn octaves(&self) -> impl DoubleEndedIterator<Item = (i32, &[u32; BUCKETS])> {
        self.places.iter().enumerate().filter_map(|(place, block)| {
            let octave = self.bottom.saturating_add(i32::try_from(place).unwrap_or(0));
            Some((octave, self.blocks.get(*block as usize)?))
        })
    }

    pub(super) fn at_from_below(&self, rank: &mut u64) -> Option<(f64, u64)> {
        for (octave, counts) in self.octaves() {
            if skips(counts, rank) {
                continue;
            }
            for (bucket, count) in counts.iter().enumerate() {
                if let Some(left) = left_of(*count, rank) {
                    return Some((middle(octave, bucket), left));
                }
            }
        }
        None
    }

    pub(super) fn at_from_above(&self, rank: &mut u64) -> Option<(f64, u64)> {
        for (octave, counts) in self.octaves().rev() {
            if skips(counts, rank) {
                continue;
            }
            for (bucket, count) in counts.iter().enumerate().rev() {
                if let Some(left) = left_of(*count, rank) {
                    return Some((middle(octave, bucket), left));
                }
            }
        }
        None
    }

    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.folded);
        writer.length(self.octaves().count());
        for (octave, counts) in self.octaves() {
            writer.i64(i64::from(octave));
            writer.u32s(counts.iter().copied());
        }
    }

    pub(super) fn load(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        const DAMAGED: SnapshotError = SnapshotError::Damaged("octaves of a sketch are wrong");
        let mut side = Self { folded: reader.u64()?, ..Self::default() };
        let octaves = reader.length()?;
        if octaves > MAX_OCTAVES {
            return Err(DAMAGED);
        }
        for block in 0..octaves {
            let octave = reader.i64()?;
            let octave = i32::try_from(octave).map_err(|_| DAMAGED)?;
            let top = i32::try_from(side.places.len()).map_err(|_| DAMAGED)? + side.bottom;
            let valid = (LOWEST_OCTAVE..=HIGHEST_OCTAVE).contains(&octave);
            if !valid || (block > 0 && octave < top) {
                return Err(DAMAGED);
            }
            side.reach(octave);
            if let Some(place) = side.places.last_mut() {
                *place = u8::try_from(block).unwrap_or(NO_BLOCK);
            }
            let mut counts = [0; BUCKETS];
            for (count, saved) in counts.iter_mut().zip(reader.u32s(BUCKETS)?) {
                *count = saved;
            }
            side.blocks.push(counts);
        }
        Ok(side)
    }
}

const LOWEST_OCTAVE: i32 = -51;
const HIGHEST_OCTAVE: i32 = 2046;

/// The octave and the bucket of a positive number.
#[inline]
pub(super) fn split(magnitude: u64) -> (i32, usize) {
    let bucket = |bits: u64| usize::try_from(bits % BUCKETS as u64).unwrap_or(0);
    match i32::try_from(magnitude >> 52).unwrap_or(HIGHEST_OCTAVE) {
        0 => {
            // A subnormal: its own leading bit tells the octave.
            let leading = magnitude.checked_ilog2().unwrap_or(0);
            let shifted = (magnitude << (51 - leading)) >> (51 - 6);
            (leading.cast_signed() - 51, bucket(shifted))
        }
        octave => (octave, bucket(magnitude >> REST_BITS)),
    }
}

/// The octave of a number that is not 0.
pub(super) fn octave_of(value: f64) -> i32 {
    split(value.abs().to_bits()).0
}

/// What stands for a number where numbers are counted in buckets.
pub(super) fn bucketed(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let (octave, bucket) = split(value.abs().to_bits());
    middle(octave, bucket).copysign(value)
}

/// The middle of a bucket.
pub(super) fn middle(octave: i32, bucket: usize) -> f64 {
    if let Ok(exponent @ 1..) = u64::try_from(octave) {
        let bits = (exponent << 52) | ((bucket as u64) << REST_BITS) | (1 << (REST_BITS - 1));
        return f64::from_bits(bits);
    }
    let leading = (octave + 51).clamp(0, 51).cast_unsigned();
    let least = ((BUCKETS as u64 | bucket as u64) << 45) >> (51 - leading);
    let half = (1_u64 << 44) >> (51 - leading);
    f64::from_bits(least + half)
}

fn add_counts(known: &mut [u32; BUCKETS], more: &[u32; BUCKETS]) {
    for (count, more) in known.iter_mut().zip(more) {
        *count = count.saturating_add(*more);
    }
}

fn total(counts: &[u32; BUCKETS]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

/// Whether `rank` lies behind all of `counts`; then it is counted from there.
fn skips(counts: &[u32; BUCKETS], rank: &mut u64) -> bool {
    let total = total(counts);
    if *rank < total {
        return false;
    }
    *rank -= total;
    true
}

/// How many of `count` values stand at `rank` and behind; none: it is counted from there.
fn left_of(count: u32, rank: &mut u64) -> Option<u64> {
    let count = u64::from(count);
    if *rank < count {
        return Some(count - *rank);
    }
    *rank -= count;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_near_every_number_down_to_the_smallest() {
        let mut bits: u64 = 1;
        while bits < f64::MAX.to_bits() {
            for magnitude in [bits, bits + bits / 7, bits + bits / 3] {
                let magnitude = magnitude.min(f64::MAX.to_bits());
                let value = f64::from_bits(magnitude);
                let (octave, bucket) = split(magnitude);
                let error = (middle(octave, bucket) - value).abs();
                assert!(error <= value / 128.0, "{value:e} {octave} {bucket}");
            }
            bits += bits / 50 + 1;
        }
    }
}
