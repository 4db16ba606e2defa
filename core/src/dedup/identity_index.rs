//! Hash index from identities to log positions: lines of seven slots, in partitions that grow
//! separately.
//!
//! ```text
//! partition (1 of 64)
//!   line (64 bytes):  control word | slot 0 | slot 1 | ... | slot 6
//!   control byte:     used bit + 7 bits of the tag
//!   slot:             32 bits of the tag | 32-bit log position
//! ```
//!
//! Entries removed from the log stay in the index. Their slot is reused, or dropped when the
//! partition is rebuilt.

use crate::data::batch::Identity;

/// Number of partitions. Each grows by itself, so growth never holds two whole tables, and takes
/// little time.
const PARTITIONS: usize = 64;
const PARTITION_BITS: u32 = PARTITIONS.trailing_zeros();
/// Slots per line: together with the control word they fill a cache line.
const SLOTS: usize = 7;
const MIN_LINES: usize = 2;
/// A partition is rebuilt when one in this many lines has spilled.
const LINES_PER_SPILL: usize = 2;
/// Fill of a partition after a rebuild, percent.
const LOAD_PERCENT: usize = 64;

/// The used bit of each slot's control byte. The other bits of the byte are bits of its tag.
const USED: u64 = 0x0080_8080_8080_8080;
const ONES: u64 = 0x0001_0101_0101_0101;
/// Set if an entry of this line had to go into the next line.
const SPILLED: u64 = 1 << 63;

/// One cache line, aligned to it.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    control: u64,
    /// 32 bits of the identity's tag and its log position.
    slots: [u64; SLOTS],
}

/// Maps identities to log positions. Neither its order nor its seed affects results.
#[derive(Debug)]
pub(super) struct IdentityIndex {
    partitions: Vec<Partition>,
    /// Odd numbers derived from the seed.
    factors: [u64; 2],
}

#[derive(Debug, Default)]
struct Partition {
    lines: Vec<Line>,
    spilled: usize,
}

/// Hash of an identity: selects the partition and the line, and distinguishes identities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tag(u64);

/// Address of a line: its partition and its index in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineAddress {
    partition: usize,
    line: usize,
}

impl Tag {
    #[inline]
    fn partition(self) -> usize {
        (self.0 >> (u64::BITS - PARTITION_BITS)) as usize
    }

    /// Returns the bits stored in a slot.
    #[inline]
    fn high(self) -> u64 {
        self.0 << PARTITION_BITS >> 32
    }

    /// Returns the bits stored in a control byte, with the used bit.
    #[inline]
    fn low(self) -> u64 {
        self.0 >> 19 & 0x7f | 0x80
    }
}

/// Returns the first line to probe for a tag among `lines` lines.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "less than the number of lines")]
fn home_line(high: u64, lines: usize) -> usize {
    ((high * lines as u64) >> 32) as usize
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the lower half of a slot")]
fn position_of(slot: u64) -> u32 {
    slot as u32
}

/// Returns the next number of the sequence of `seed` (splitmix64).
fn next_splitmix(seed: u64) -> u64 {
    let step = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let once = (step ^ step >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ once >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ twice >> 31
}

/// Returns the slot of the lowest bit of `bits`, a subset of [`USED`].
#[inline]
fn lowest_slot(bits: u64) -> usize {
    (bits.trailing_zeros() >> 3) as usize
}

/// Calls `take` with the slot of each bit of `bits`, a subset of [`USED`].
#[inline]
fn for_each_slot(mut bits: u64, mut take: impl FnMut(usize)) {
    while bits != 0 {
        take(lowest_slot(bits));
        bits &= bits - 1;
    }
}

impl Line {
    /// Returns the used slots whose control byte may be `low`, as bits of [`USED`].
    #[inline]
    fn candidates(&self, low: u64) -> u64 {
        let differ = (self.control ^ (low * ONES)) & !SPILLED;
        // Finds zero bytes; a byte after a zero byte may match by mistake.
        differ.wrapping_sub(ONES) & !differ & USED
    }

    #[inline]
    fn is_spilled(&self) -> bool {
        self.control & SPILLED != 0
    }

    /// Calls `take` with the control byte and the slot of each used slot.
    #[inline]
    fn each_used(&self, mut take: impl FnMut(u64, u64)) {
        for_each_slot(self.control & USED, |at| {
            take(self.control >> (8 * at) & 0xff, self.slots.get(at).copied().unwrap_or_default());
        });
    }

    /// Clears the slots whose positions are removed. Returns the number of slots left.
    #[inline]
    fn drop_removed(&mut self, is_removed: impl Fn(u32) -> bool) -> usize {
        let mut kept = 0;
        for_each_slot(self.control & USED, |at| {
            if self.slots.get(at).is_none_or(|slot| is_removed(position_of(*slot))) {
                self.control &= !(0xff << (8 * at));
            } else {
                kept += 1;
            }
        });
        kept
    }

    #[inline]
    fn set(&mut self, at: usize, low: u64, slot: u64) {
        self.control = self.control & !(0xff << (8 * at)) | low << (8 * at);
        if let Some(there) = self.slots.get_mut(at) {
            *there = slot;
        }
    }

    /// Returns a slot that is empty or whose position is before `front`.
    #[inline]
    fn free(&self, front: u32) -> Option<usize> {
        let empty = !self.control & USED;
        if empty != 0 {
            return Some(lowest_slot(empty));
        }
        self.slots.iter().position(|slot| position_of(*slot) < front)
    }
}

impl IdentityIndex {
    pub(super) fn new(seed: u64) -> Self {
        let partitions = (0..PARTITIONS).map(|_| Partition::default()).collect();
        let first = next_splitmix(seed ^ 0x9e37_79b9_7f4a_7c15);
        Self { partitions, factors: [first | 1, next_splitmix(first) | 1] }
    }

    /// Returns the tag of `identity`. Its high bits cannot be steered without knowing the factors.
    ///
    /// Uses 64-bit multiplications only; wider ones are slow in WebAssembly.
    #[inline]
    pub(super) fn tag(&self, identity: Identity) -> Tag {
        let ([low, high], [of_low, of_high]) = (identity, self.factors);
        Tag(low.wrapping_mul(of_low).wrapping_add(high.wrapping_mul(of_high)))
    }

    /// Computes the tags of `identities` and the lines where probing starts.
    #[inline(never)]
    pub(super) fn locate(
        &self,
        identities: &[Identity],
        tags: &mut [Tag],
        addresses: &mut [LineAddress],
    ) {
        for ((identity, tag), address) in identities.iter().zip(tags).zip(addresses) {
            *tag = self.tag(*identity);
            let lines =
                self.partitions.get(tag.partition()).map_or(0, |partition| partition.lines.len());
            *address =
                LineAddress { partition: tag.partition(), line: home_line(tag.high(), lines) };
        }
    }

    /// Prefetches lines: in so short a loop, many cache misses are outstanding at once.
    #[inline(never)]
    pub(super) fn prefetch(&self, addresses: &[LineAddress]) -> u64 {
        let line =
            |address: &LineAddress| self.partitions.get(address.partition)?.lines.get(address.line);
        addresses.iter().fold(0, |all, address| all | line(address).map_or(0, |line| line.control))
    }

    /// Returns the position in the first slot at `address` that may hold `tag`.
    #[inline]
    pub(super) fn first_candidate(&self, tag: Tag, address: LineAddress) -> Option<u32> {
        let line = self.partitions.get(address.partition)?.lines.get(address.line)?;
        let candidates = line.candidates(tag.low());
        let slot = line.slots.get(lowest_slot(candidates))?;
        (candidates != 0).then_some(position_of(*slot))
    }

    /// Returns the position of the identity with `tag` for which `matches` returns true.
    #[inline]
    pub(super) fn find(&self, tag: Tag, matches: impl FnMut(u32) -> bool) -> Option<u32> {
        self.partitions.get(tag.partition())?.find(tag, matches).map(|(_, _, position)| position)
    }

    /// Inserts an identity that is not in the index. `front` and `is_removed` tell which positions
    /// have been removed.
    #[inline]
    pub(super) fn insert(
        &mut self,
        tag: Tag,
        position: u32,
        front: u32,
        is_removed: impl Fn(u32) -> bool,
    ) {
        let Some(partition) = self.partitions.get_mut(tag.partition()) else { return };
        if partition.spilled * LINES_PER_SPILL >= partition.lines.len()
            || !partition.insert(tag.high(), tag.low(), position, front)
        {
            partition.rebuild(is_removed);
            partition.insert(tag.high(), tag.low(), position, front);
        }
    }

    /// Changes the position of the identity with `tag` from `from` to `to`.
    pub(super) fn replace(&mut self, tag: Tag, from: u32, to: u32) {
        if let Some(partition) = self.partitions.get_mut(tag.partition())
            && let Some((line, slot, _)) = partition.find(tag, |found| found == from)
            && let Some(line) = partition.lines.get_mut(line)
        {
            line.set(slot, tag.low(), tag.high() << 32 | u64::from(to));
        }
    }

    /// Clears the index and frees its memory.
    pub(super) fn clear(&mut self) {
        self.partitions.iter_mut().for_each(|partition| *partition = Partition::default());
    }
}

impl Partition {
    /// Returns line, slot and position of the entry with `tag` for which `matches` returns true.
    #[inline]
    fn find(&self, tag: Tag, mut matches: impl FnMut(u32) -> bool) -> Option<(usize, usize, u32)> {
        let mut at = home_line(tag.high(), self.lines.len());
        loop {
            let line = self.lines.get(at)?;
            let mut candidates = line.candidates(tag.low());
            while candidates != 0 {
                let number = lowest_slot(candidates);
                let slot = line.slots.get(number).copied().unwrap_or_default();
                if slot >> 32 == tag.high() && matches(position_of(slot)) {
                    return Some((at, number, position_of(slot)));
                }
                candidates &= candidates - 1;
            }
            if !line.is_spilled() {
                return None;
            }
            at = if at + 1 == self.lines.len() { 0 } else { at + 1 };
        }
    }

    /// Inserts a tag into the first free slot from its home line on. Returns false if there is
    /// none.
    #[inline]
    fn insert(&mut self, high: u64, low: u64, position: u32, front: u32) -> bool {
        let mut at = home_line(high, self.lines.len());
        for _ in 0..self.lines.len() {
            let Some(line) = self.lines.get_mut(at) else { break };
            if let Some(free) = line.free(front) {
                line.set(free, low, high << 32 | u64::from(position));
                return true;
            }
            self.spilled += usize::from(!line.is_spilled());
            line.control |= SPILLED;
            at = if at + 1 == self.lines.len() { 0 } else { at + 1 };
        }
        false
    }

    /// Rebuilds the partition without removed entries, with room to grow.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self, is_removed: impl Fn(u32) -> bool) {
        let mut old = core::mem::take(&mut self.lines);
        let kept: usize = old.iter_mut().map(|line| line.drop_removed(&is_removed)).sum();
        let mut lines = (kept * 100).div_ceil(SLOTS * LOAD_PERCENT).max(MIN_LINES);
        loop {
            *self = Self { lines: vec![Line::default(); lines], spilled: 0 };
            for line in &old {
                line.each_used(|low, slot| {
                    self.insert(slot >> 32, low, position_of(slot), 0);
                });
            }
            if self.spilled * LINES_PER_SPILL < lines {
                return;
            }
            lines += lines / 4 + 1;
        }
    }
}
