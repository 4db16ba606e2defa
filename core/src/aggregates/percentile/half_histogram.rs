//! Counts of the magnitudes of one sign by logarithmic bucket.

use super::MAX_OCTAVES;
use super::buckets::{
    BUCKETS_PER_OCTAVE, HIGHEST_OCTAVE, LOWEST_OCTAVE, bucket_middle, normal_octave_and_bucket,
    octave_and_bucket,
};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// Marks an octave without values.
const NO_BLOCK: u8 = u8::MAX;

/// The counts of the magnitudes of one sign: 256 bytes for each octave that has values.
///
/// ```text
/// octave            lowest_octave   +1        +2        +3
/// block_of_octave       0         NO_BLOCK     2         1
/// blocks            [64 counts]             [64 counts] [64 counts]
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HalfHistogram {
    /// The lowest octave with a block, as the exponent of a double. Octaves of subnormals continue
    /// below 1.
    lowest_octave: i32,
    /// The index of the block of each octave from `lowest_octave` on.
    block_of_octave: Vec<u8>,
    blocks: Vec<[u32; BUCKETS_PER_OCTAVE]>,
    /// Number of values in octaves below those that are kept.
    folded: u64,
}

impl HalfHistogram {
    /// Returns the number of values in octaves below those that are kept.
    pub(super) fn folded(&self) -> u64 {
        self.folded
    }

    /// Returns the number of octaves with values, and the lowest one.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, i32) {
        (self.blocks.len(), self.lowest_octave)
    }

    /// Returns the bytes of the blocks for the memory budget; the index of octaves is negligible.
    pub(super) fn counted_bytes(&self) -> u64 {
        size_of_val(self.blocks.as_slice()) as u64
    }

    /// The greatest value of [`HalfHistogram::counted_bytes`].
    pub(super) const MAX_BYTES: u64 =
        MAX_OCTAVES as u64 * size_of::<[u32; BUCKETS_PER_OCTAVE]>() as u64;

    /// Returns true if adding a magnitude, given by its bits, needs another block.
    pub(super) fn grows(&self, magnitude: u64) -> bool {
        let (octave, _) = octave_and_bucket(magnitude);
        let index = octave.wrapping_sub(self.lowest_octave).cast_unsigned() as usize;
        self.blocks.len() < MAX_OCTAVES
            && self.block_of_octave.get(index).is_none_or(|block| *block == NO_BLOCK)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.block_of_octave.capacity() + size_of_val(self.blocks.as_slice())
    }

    /// Adds a magnitude, given by its bits, `times`.
    #[inline]
    pub(super) fn add(&mut self, magnitude: u64, times: u64) {
        let (octave, bucket) = octave_and_bucket(magnitude);
        if let Some(count) = self.bucket(octave, bucket) {
            *count = count.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        } else {
            self.add_beyond(octave, bucket, times);
        }
    }

    /// Adds a number once, given by its bits. Returns false, and adds nothing, if it is negative,
    /// zero or subnormal, or if its octave has no block.
    #[inline(always)]
    pub(super) fn add_normal(&mut self, bits: u64) -> bool {
        let Some((octave, bucket)) = normal_octave_and_bucket(bits) else { return false };
        let Some(count) = self.bucket(octave, bucket) else { return false };
        *count = count.saturating_add(1);
        true
    }

    #[inline]
    fn bucket(&mut self, octave: i32, bucket: usize) -> Option<&mut u32> {
        self.block(octave)?.get_mut(bucket)
    }

    /// Merges `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.folded = self.folded.saturating_add(other.folded);
        // In descending order, so that an octave that cannot be kept is folded at once.
        for (octave, counts) in other.octaves().rev() {
            match self.block(octave) {
                Some(known) => add_counts(known, counts),
                None => match self.allocate_block(octave) {
                    Some(known) => *known = *counts,
                    None => self.folded = self.folded.saturating_add(total(counts)),
                },
            }
        }
    }

    /// Removes a magnitude, given by its bits, `times`. It was added before, and none is folded.
    #[inline]
    pub(super) fn remove(&mut self, magnitude: u64, times: u64) {
        let (octave, bucket) = octave_and_bucket(magnitude);
        let Some(count) = self.bucket(octave, bucket) else { return };
        *count = count.saturating_sub(u32::try_from(times).unwrap_or(u32::MAX));
        if *count == 0 {
            self.release_if_empty(octave);
        }
    }

    /// Removes the counts of `other`, which was merged before, without folded values.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (octave, counts) in other.octaves() {
            let Some(known) = self.block(octave) else { continue };
            for (count, less) in known.iter_mut().zip(counts) {
                *count = count.saturating_sub(*less);
            }
            self.release_if_empty(octave);
        }
    }

    /// Returns the number of buckets with values.
    pub(super) fn nonzero_buckets(&self) -> usize {
        self.blocks.as_flattened().iter().filter(|count| **count > 0).count()
    }

    /// Removes the block of `octave` if it has no values.
    fn release_if_empty(&mut self, octave: i32) {
        if self.block(octave).is_some_and(|counts| counts.iter().all(|count| *count == 0)) {
            self.release(octave);
        }
    }

    /// Removes the block of `octave`, which has one.
    #[cold]
    fn release(&mut self, octave: i32) {
        let index = octave.wrapping_sub(self.lowest_octave).cast_unsigned() as usize;
        let Some(entry) = self.block_of_octave.get_mut(index) else { return };
        let block = core::mem::replace(entry, NO_BLOCK);
        // The last block takes the place of the removed one.
        self.blocks.swap_remove(block as usize);
        let moved = self.blocks.len();
        for known in self.block_of_octave.iter_mut().filter(|known| **known as usize == moved) {
            *known = block;
        }
        self.trim();
    }

    /// Shortens the index of octaves to those from the lowest to the highest one with a block.
    fn trim(&mut self) {
        let has_block = |block: &u8| *block != NO_BLOCK;
        let highest = self.block_of_octave.iter().rposition(has_block);
        self.block_of_octave.truncate(highest.map_or(0, |highest| highest + 1));
        let below = self.block_of_octave.iter().position(has_block).unwrap_or(0);
        self.block_of_octave.drain(..below);
        self.lowest_octave += i32::try_from(below).unwrap_or(0);
    }

    /// Returns the block of `octave`, if it has one.
    fn block(&mut self, octave: i32) -> Option<&mut [u32; BUCKETS_PER_OCTAVE]> {
        let index = octave.wrapping_sub(self.lowest_octave).cast_unsigned() as usize;
        self.blocks.get_mut(*self.block_of_octave.get(index)? as usize)
    }

    /// Adds values to an octave without a block.
    #[cold]
    fn add_beyond(&mut self, octave: i32, bucket: usize, times: u64) {
        match self.allocate_block(octave).and_then(|counts| counts.get_mut(bucket)) {
            Some(count) => *count = u32::try_from(times).unwrap_or(u32::MAX),
            None => self.folded = self.folded.saturating_add(times),
        }
    }

    /// Returns an empty block for an octave that has none, or `None` if the octave is below all
    /// that are kept.
    fn allocate_block(&mut self, octave: i32) -> Option<&mut [u32; BUCKETS_PER_OCTAVE]> {
        let block = if self.blocks.len() < MAX_OCTAVES {
            self.blocks.reserve_exact(1);
            self.blocks.push([0; BUCKETS_PER_OCTAVE]);
            u8::try_from(self.blocks.len() - 1).unwrap_or(NO_BLOCK)
        } else if octave < self.lowest_octave {
            return None;
        } else {
            self.fold_lowest()
        };
        self.extend_to(octave);
        let index = octave.wrapping_sub(self.lowest_octave).cast_unsigned() as usize;
        *self.block_of_octave.get_mut(index)? = block;
        self.blocks.get_mut(block as usize)
    }

    /// Folds the values of the lowest octave, and returns the index of its emptied block.
    fn fold_lowest(&mut self) -> u8 {
        let Some(lowest) = self.block_of_octave.first_mut() else { return NO_BLOCK };
        let block = core::mem::replace(lowest, NO_BLOCK);
        if let Some(counts) = self.blocks.get_mut(block as usize) {
            self.folded = self.folded.saturating_add(total(counts));
            *counts = [0; BUCKETS_PER_OCTAVE];
        }
        self.trim();
        block
    }

    /// Extends the index of octaves to contain `octave`.
    fn extend_to(&mut self, octave: i32) {
        if self.block_of_octave.is_empty() {
            self.lowest_octave = octave;
        }
        let below = usize::try_from(self.lowest_octave - octave).unwrap_or(0);
        self.block_of_octave.splice(..0, core::iter::repeat_n(NO_BLOCK, below));
        self.lowest_octave = self.lowest_octave.min(octave);
        let needed = usize::try_from(octave - self.lowest_octave).unwrap_or(0) + 1;
        if self.block_of_octave.len() < needed {
            self.block_of_octave.resize(needed, NO_BLOCK);
        }
    }

    /// Iterates over the octaves with values, in ascending order.
    fn octaves(&self) -> impl DoubleEndedIterator<Item = (i32, &[u32; BUCKETS_PER_OCTAVE])> {
        self.block_of_octave.iter().enumerate().filter_map(|(index, block)| {
            let octave = self.lowest_octave.saturating_add(i32::try_from(index).unwrap_or(0));
            Some((octave, self.blocks.get(*block as usize)?))
        })
    }

    /// Returns the bucket middle at `rank` in ascending order, and the number of its values from that
    /// rank on; `None`, with `rank` reduced by the count of all values, if the rank is beyond them.
    pub(super) fn at_from_below(&self, rank: &mut u64) -> Option<(f64, u64)> {
        for (octave, counts) in self.octaves() {
            if skip_octave(counts, rank) {
                continue;
            }
            for (bucket, count) in counts.iter().enumerate() {
                if let Some(remaining) = remaining_from(*count, rank) {
                    return Some((bucket_middle(octave, bucket), remaining));
                }
            }
        }
        None
    }

    /// Does the same as [`HalfHistogram::at_from_below`] in descending order.
    pub(super) fn at_from_above(&self, rank: &mut u64) -> Option<(f64, u64)> {
        for (octave, counts) in self.octaves().rev() {
            if skip_octave(counts, rank) {
                continue;
            }
            for (bucket, count) in counts.iter().enumerate().rev() {
                if let Some(remaining) = remaining_from(*count, rank) {
                    return Some((bucket_middle(octave, bucket), remaining));
                }
            }
        }
        None
    }

    #[inline]
    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.folded);
        writer.length(self.octaves().count());
        for (octave, counts) in self.octaves() {
            writer.i64(i64::from(octave));
            writer.u32s(counts.iter().copied());
        }
    }

    #[inline]
    pub(super) fn load(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        const DAMAGED: SnapshotError =
            SnapshotError::Damaged("the buckets of a histogram are inconsistent");
        let mut half = Self { folded: reader.count()?, ..Self::default() };
        let octaves = reader.length()?;
        if octaves > MAX_OCTAVES {
            return Err(DAMAGED);
        }
        for block in 0..octaves {
            let octave = reader.i64()?;
            let octave = i32::try_from(octave).map_err(|_| DAMAGED)?;
            let top = i32::try_from(half.block_of_octave.len()).map_err(|_| DAMAGED)?
                + half.lowest_octave;
            let valid = (LOWEST_OCTAVE..=HIGHEST_OCTAVE).contains(&octave);
            if !valid || (block > 0 && octave < top) {
                return Err(DAMAGED);
            }
            half.extend_to(octave);
            if let Some(index) = half.block_of_octave.last_mut() {
                *index = u8::try_from(block).unwrap_or(NO_BLOCK);
            }
            let mut counts = [0; BUCKETS_PER_OCTAVE];
            for (count, saved) in counts.iter_mut().zip(reader.u32s(BUCKETS_PER_OCTAVE)?) {
                *count = saved;
            }
            half.blocks.push(counts);
        }
        Ok(half)
    }
}

fn add_counts(known: &mut [u32; BUCKETS_PER_OCTAVE], more: &[u32; BUCKETS_PER_OCTAVE]) {
    for (count, more) in known.iter_mut().zip(more) {
        *count = count.saturating_add(*more);
    }
}

fn total(counts: &[u32; BUCKETS_PER_OCTAVE]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

/// Returns true if `rank` is beyond all of `counts`; subtracts their total from `rank` then.
fn skip_octave(counts: &[u32; BUCKETS_PER_OCTAVE], rank: &mut u64) -> bool {
    let total = total(counts);
    if *rank < total {
        return false;
    }
    *rank -= total;
    true
}

/// Returns the number of values of a bucket at `rank` and beyond; `None`, with `count` subtracted
/// from `rank`, if the rank is beyond the bucket.
fn remaining_from(count: u32, rank: &mut u64) -> Option<u64> {
    let count = u64::from(count);
    if *rank < count {
        return Some(count - *rank);
    }
    *rank -= count;
    None
}
