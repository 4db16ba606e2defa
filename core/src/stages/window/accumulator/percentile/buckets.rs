//! Values counted in logarithmic buckets: 64 to an octave, found by the bits of the number.

use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// Buckets of an octave: the widest is 1/64 of its least value, so its middle is at most 1/128 away from any.
const BUCKETS: usize = 64;
/// Bits of a double behind those that choose the bucket.
const REST_BITS: u32 = 46;
/// Octaves that are kept of each sign; what is below the greatest so many is only counted.
const MAX_OCTAVES: usize = 64;
/// No block.
const NO_BLOCK: u8 = u8::MAX;

/// What is left of many values: how many fell into each bucket.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Buckets {
    count: u64,
    zeros: u64,
    min: f64,
    max: f64,
    negative: Side,
    positive: Side,
}

/// The magnitudes of one sign. 256 bytes an octave that has values.
#[derive(Debug, Clone, Default, PartialEq)]
struct Side {
    /// The lowest octave that is kept, as in the exponent of a double; those of subnormals go on below 1.
    bottom: i32,
    /// The block of each octave from `bottom` on.
    places: Vec<u8>,
    blocks: Vec<[u32; BUCKETS]>,
    /// Values of lower octaves.
    folded: u64,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self {
            count: 0,
            zeros: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            negative: Side::default(),
            positive: Side::default(),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Values below the octaves that are kept.
    pub(super) fn folded(&self) -> u64 {
        self.negative.folded.saturating_add(self.positive.folded)
    }

    /// Counts `value` `times`; a bucket counts to 2^32 − 1.
    #[inline]
    pub(super) fn add(&mut self, value: f64, times: u64) {
        self.count = self.count.saturating_add(times);
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
        if value > 0.0 {
            self.positive.add(value.to_bits(), times);
        } else if value < 0.0 {
            self.negative.add((-value).to_bits(), times);
        } else {
            self.zeros = self.zeros.saturating_add(times);
        }
    }

    /// Of different values, each with how often it came.
    pub(super) fn of_pairs(pairs: &[(f64, u64)]) -> Self {
        let mut buckets = Self::new();
        buckets.add_pairs(pairs);
        buckets
    }

    pub(super) fn add_pairs(&mut self, pairs: &[(f64, u64)]) {
        pairs.iter().for_each(|(value, times)| self.add(*value, *times));
    }

    /// Adds what `other` has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.min = if other.min < self.min { other.min } else { self.min };
        self.max = if other.max > self.max { other.max } else { self.max };
        self.negative.merge(&other.negative);
        self.positive.merge(&other.positive);
    }

    /// What stands for the values around rank `rank`, and how many from that rank on it stands for.
    pub(super) fn at(&self, mut rank: u64) -> (f64, u64) {
        let (value, left) = self
            .negative
            .at_from_above(&mut rank)
            .map(|(magnitude, left)| (-magnitude, left))
            .or_else(|| {
                let near_zero = self.folded().saturating_add(self.zeros);
                match near_zero.checked_sub(rank).filter(|left| *left > 0) {
                    Some(left) => Some((0.0, left)),
                    None => {
                        rank -= near_zero;
                        None
                    }
                }
            })
            .or_else(|| self.positive.at_from_below(&mut rank))
            .unwrap_or((self.max, 1));
        (value.clamp(self.min, self.max), left)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let of = |side: &Side| side.places.capacity() + size_of_val(side.blocks.as_slice());
        size_of::<Self>() + of(&self.negative) + of(&self.positive)
    }

    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.zeros);
        writer.f64s([self.min, self.max].into_iter());
        self.negative.save(writer);
        self.positive.save(writer);
    }

    /// Reads what [`Buckets::save`] wrote of `count` values.
    pub(super) fn load(count: u64, reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        let zeros = reader.u64()?;
        let [min, max] = [(); 2].map(|()| reader.u64().map(f64::from_bits));
        let (min, max) = (min?, max?);
        if !(min.is_finite() && max.is_finite() && min <= max) {
            return Err(SnapshotError::Damaged("a sketch without extremes"));
        }
        let (negative, positive) = (Side::load(reader)?, Side::load(reader)?);
        Ok(Self { count, zeros, min, max, negative, positive })
    }
}

impl Side {
    #[inline]
    fn add(&mut self, magnitude: u64, times: u64) {
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

    fn merge(&mut self, other: &Self) {
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
    fn octaves(&self) -> impl DoubleEndedIterator<Item = (i32, &[u32; BUCKETS])> {
        self.places.iter().enumerate().filter_map(|(place, block)| {
            let octave = self.bottom.saturating_add(i32::try_from(place).unwrap_or(0));
            Some((octave, self.blocks.get(*block as usize)?))
        })
    }

    fn at_from_below(&self, rank: &mut u64) -> Option<(f64, u64)> {
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

    fn at_from_above(&self, rank: &mut u64) -> Option<(f64, u64)> {
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

    fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.folded);
        writer.length(self.octaves().count());
        for (octave, counts) in self.octaves() {
            writer.i64(i64::from(octave));
            writer.u32s(counts.iter().copied());
        }
    }

    fn load(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
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
fn split(magnitude: u64) -> (i32, usize) {
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

/// The middle of a bucket.
fn middle(octave: i32, bucket: usize) -> f64 {
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

    fn of(values: &[f64]) -> Buckets {
        let mut buckets = Buckets::new();
        values.iter().for_each(|value| buckets.add(*value, 1));
        buckets
    }

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

    #[test]
    fn ranks_go_from_the_least_to_the_greatest() {
        let values = [-100.0, -1.0, -1.0, 0.0, 0.0, 0.5, 7.0, 7.0, 1e300];
        let buckets = of(&values);
        for (rank, value) in (0..).zip(values) {
            let (found, _) = buckets.at(rank);
            assert!((found - value).abs() <= value.abs() / 128.0, "{rank}: {found} {value}");
        }
        assert_eq!(buckets.at(1).1, 2);
        assert_eq!(buckets.at(3).1, 2);
    }

    #[test]
    fn the_greatest_octaves_are_kept_whatever_the_order() {
        let mut values: Vec<f64> =
            (0..100_u64).map(|octave| f64::from_bits((octave * 9 + 100) << 52)).collect();
        values.extend(values.clone().iter().map(|value| -value));
        let due = of(&values);
        assert_eq!(due.folded(), 72);
        assert_eq!(due.positive.blocks.len(), MAX_OCTAVES);
        for step in [3, 7, 11] {
            let shuffled: Vec<f64> =
                (0..values.len()).map(|at| values[at * step % values.len()]).collect();
            let found = of(&shuffled);
            assert_eq!(found.folded(), 72);
            assert!((0..200).all(|rank| found.at(rank) == due.at(rank)));
            assert_eq!(found.positive.bottom, due.positive.bottom);
        }
        assert_eq!(due.at(100).0, 0.0);
    }
}
