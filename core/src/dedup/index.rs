//! Where identities stand in the log: lines of seven slots, in parts that grow one at a time.
//!
//! What is gone from the log is not taken out here: its slot is used again, or dropped when its part is built anew.

use crate::data::batch::Identity;

/// Parts of the table. Each grows by itself, so no growth holds two whole tables in memory, or takes long.
const PARTS: usize = 64;
const PART_BITS: u32 = PARTS.trailing_zeros();
/// Slots of a line: with the word that tells what they are, they fill a line of the caches.
const SLOTS: usize = 7;
const MIN_LINES: usize = 2;
/// A part is built anew when one of so many lines has spilled.
const SPILL: usize = 2;
/// How full a part is when it has been built, in percent.
const LOAD: usize = 64;

/// One bit for each slot, in the byte that says what is in it: set if it is used. The others are bits of its tag.
const USED: u64 = 0x0080_8080_8080_8080;
const ONES: u64 = 0x0001_0101_0101_0101;
/// Whether something that belongs to the line had to go into the next one.
const SPILLED: u64 = 1 << 63;

/// As long as a line of the caches, and where one begins.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    control: u64,
    /// 32 bits of the identity's tag and its place in the log.
    slots: [u64; SLOTS],
}

/// Finds places by identity. What it does never shows in results: neither its order nor its seed.
#[derive(Debug)]
pub(super) struct Index {
    parts: Vec<Part>,
    /// Odd numbers made of the seed.
    factors: [u64; 2],
}

#[derive(Debug, Default)]
struct Part {
    lines: Vec<Line>,
    spilled: usize,
}

/// A hash of an identity: its part, its place in that, and bits that tell it from others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tag(u64);

/// A line of a part.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spot {
    part: usize,
    line: usize,
}

impl Tag {
    #[inline]
    fn part(self) -> usize {
        (self.0 >> (u64::BITS - PART_BITS)) as usize
    }

    /// What slots hold of it.
    #[inline]
    fn high(self) -> u64 {
        self.0 << PART_BITS >> 32
    }

    /// What control words hold of it.
    #[inline]
    fn low(self) -> u64 {
        self.0 >> 19 & 0x7f | 0x80
    }
}

/// The first line of a tag among `lines`.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "less than the number of lines")]
fn home(high: u64, lines: usize) -> usize {
    ((high * lines as u64) >> 32) as usize
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the lower half of a slot")]
fn place_of(slot: u64) -> u32 {
    slot as u32
}

/// The next of the numbers that `seed` leads to (splitmix64).
fn mixed(seed: u64) -> u64 {
    let step = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let once = (step ^ step >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ once >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ twice >> 31
}

/// The number of the slot of the lowest bit of `bits`, which are some of [`USED`].
#[inline]
fn first_of(bits: u64) -> usize {
    (bits.trailing_zeros() >> 3) as usize
}

/// Gives the numbers of the slots of all of `bits`, as [`first_of`] does.
#[inline]
fn each_of(mut bits: u64, mut take: impl FnMut(usize)) {
    while bits != 0 {
        take(first_of(bits));
        bits &= bits - 1;
    }
}

impl Line {
    /// The used slots whose control may be `low`.
    #[inline]
    fn hits(&self, low: u64) -> u64 {
        let differ = (self.control ^ (low * ONES)) & !SPILLED;
        // A byte that is zero, or one behind such a byte.
        differ.wrapping_sub(ONES) & !differ & USED
    }

    #[inline]
    fn is_spilled(&self) -> bool {
        self.control & SPILLED != 0
    }

    /// Gives what control word and slot hold of each that is used.
    #[inline]
    fn each_used(&self, mut take: impl FnMut(u64, u64)) {
        each_of(self.control & USED, |at| {
            take(self.control >> (8 * at) & 0xff, self.slots.get(at).copied().unwrap_or_default());
        });
    }

    /// Empties the slots whose places are gone; how many are left.
    #[inline]
    fn drop_gone(&mut self, is_gone: impl Fn(u32) -> bool) -> usize {
        let mut kept = 0;
        each_of(self.control & USED, |at| {
            if self.slots.get(at).is_none_or(|slot| is_gone(place_of(*slot))) {
                self.control &= !(0xff << (8 * at));
            } else {
                kept += 1;
            }
        });
        kept
    }

    #[inline]
    fn put(&mut self, at: usize, low: u64, slot: u64) {
        self.control = self.control & !(0xff << (8 * at)) | low << (8 * at);
        if let Some(there) = self.slots.get_mut(at) {
            *there = slot;
        }
    }

    /// A slot that is empty, or whose place is before `front`.
    #[inline]
    fn free(&self, front: u32) -> Option<usize> {
        let empty = !self.control & USED;
        if empty != 0 {
            return Some(first_of(empty));
        }
        self.slots.iter().position(|slot| place_of(*slot) < front)
    }
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        let first = mixed(seed ^ 0x9e37_79b9_7f4a_7c15);
        Self { parts, factors: [first | 1, mixed(first) | 1] }
    }

    /// The tag of `identity`: nobody can steer its high bits who does not know the factors.
    ///
    /// Multiplications of 64 bits, since wider ones are slow in WebAssembly.
    #[inline]
    pub(super) fn tag(&self, identity: Identity) -> Tag {
        let ([low, high], [of_low, of_high]) = (identity, self.factors);
        Tag(low.wrapping_mul(of_low).wrapping_add(high.wrapping_mul(of_high)))
    }

    /// The tags of `identities`, and where they are looked for first.
    #[inline(never)]
    pub(super) fn spots(&self, identities: &[Identity], tags: &mut [Tag], spots: &mut [Spot]) {
        for ((identity, tag), spot) in identities.iter().zip(tags).zip(spots) {
            *tag = self.tag(*identity);
            let lines = self.parts.get(tag.part()).map_or(0, |part| part.lines.len());
            *spot = Spot { part: tag.part(), line: home(tag.high(), lines) };
        }
    }

    /// Reads lines, so that they are near when they are looked at: in so short a loop, many are on their way at once.
    #[inline(never)]
    pub(super) fn touch(&self, spots: &[Spot]) -> u64 {
        let line = |spot: &Spot| self.parts.get(spot.part)?.lines.get(spot.line);
        spots.iter().fold(0, |all, spot| all | line(spot).map_or(0, |line| line.control))
    }

    /// The place in the first slot at `spot` that may be that of `tag`.
    #[inline]
    pub(super) fn guess(&self, tag: Tag, spot: Spot) -> Option<u32> {
        let line = self.parts.get(spot.part)?.lines.get(spot.line)?;
        let hits = line.hits(tag.low());
        let slot = line.slots.get(first_of(hits))?;
        (hits != 0).then_some(place_of(*slot))
    }

    /// The place of the identity with `tag` for which `matches` holds.
    #[inline]
    pub(super) fn find(&self, tag: Tag, matches: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts.get(tag.part())?.find(tag, matches).map(|(_, _, place)| place)
    }

    /// Puts in an identity that is not there. `front` and `is_gone` tell which places are gone.
    #[inline]
    pub(super) fn insert(
        &mut self,
        tag: Tag,
        place: u32,
        front: u32,
        is_gone: impl Fn(u32) -> bool,
    ) {
        let Some(part) = self.parts.get_mut(tag.part()) else { return };
        if part.spilled * SPILL >= part.lines.len()
            || !part.insert(tag.high(), tag.low(), place, front)
        {
            part.rebuild(is_gone);
            part.insert(tag.high(), tag.low(), place, front);
        }
    }

    /// Gives the identity with `tag` at place `from` the place `to`.
    pub(super) fn replace(&mut self, tag: Tag, from: u32, to: u32) {
        if let Some(part) = self.parts.get_mut(tag.part())
            && let Some((line, slot, _)) = part.find(tag, |found| found == from)
            && let Some(line) = part.lines.get_mut(line)
        {
            line.put(slot, tag.low(), tag.high() << 32 | u64::from(to));
        }
    }

    /// Empties the table and gives its memory back.
    pub(super) fn clear(&mut self) {
        self.parts.iter_mut().for_each(|part| *part = Part::default());
    }
}

impl Part {
    /// The line and the slot of `tag` for whose place `matches` holds, and the place.
    #[inline]
    fn find(&self, tag: Tag, mut matches: impl FnMut(u32) -> bool) -> Option<(usize, usize, u32)> {
        let mut at = home(tag.high(), self.lines.len());
        loop {
            let line = self.lines.get(at)?;
            let mut hits = line.hits(tag.low());
            while hits != 0 {
                let number = first_of(hits);
                let slot = line.slots.get(number).copied().unwrap_or_default();
                if slot >> 32 == tag.high() && matches(place_of(slot)) {
                    return Some((at, number, place_of(slot)));
                }
                hits &= hits - 1;
            }
            if !line.is_spilled() {
                return None;
            }
            at = if at + 1 == self.lines.len() { 0 } else { at + 1 };
        }
    }

    /// Puts a tag into the first free slot from its home on; false: there is none.
    #[inline]
    fn insert(&mut self, high: u64, low: u64, place: u32, front: u32) -> bool {
        let mut at = home(high, self.lines.len());
        for _ in 0..self.lines.len() {
            let Some(line) = self.lines.get_mut(at) else { break };
            if let Some(free) = line.free(front) {
                line.put(free, low, high << 32 | u64::from(place));
                return true;
            }
            self.spilled += usize::from(!line.is_spilled());
            line.control |= SPILLED;
            at = if at + 1 == self.lines.len() { 0 } else { at + 1 };
        }
        false
    }

    /// Drops what is gone and makes room.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self, is_gone: impl Fn(u32) -> bool) {
        let mut old = core::mem::take(&mut self.lines);
        let kept: usize = old.iter_mut().map(|line| line.drop_gone(&is_gone)).sum();
        let mut lines = (kept * 100).div_ceil(SLOTS * LOAD).max(MIN_LINES);
        loop {
            *self = Self { lines: vec![Line::default(); lines], spilled: 0 };
            for line in &old {
                line.each_used(|low, slot| {
                    self.insert(slot >> 32, low, place_of(slot), 0);
                });
            }
            if self.spilled * SPILL < lines {
                return;
            }
            lines += lines / 4 + 1;
        }
    }
}
