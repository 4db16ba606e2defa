//! Blocks of slices: what sliding windows are put together of, kept from one firing to the next.
//!
//! Slices are numbered. A block is 2^k of them, the first one's number a multiple of 2^k: a single slice, or its left half
//! and then its right half, combined. A window is the largest blocks that lie within it, combined from left to right.
//! Halves without events add nothing, so a block is kept under the smallest one that has all its events.

use core::ops::Range;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::Slice;
use super::accumulator::Accumulators;
use super::middle::Middle;
use crate::keys::NONE;
use crate::plan::Grid;

/// The slices with events and what is in them.
pub(super) struct Slices<'a> {
    pub(super) grid: &'a Grid,
    pub(super) by_start: &'a BTreeMap<i64, Slice>,
    pub(super) accumulators: &'a Accumulators,
    /// The keys that matter, where not all do: ids in ascending order.
    pub(super) only: Option<&'a [u32]>,
    /// Whether windows take along what need not be combined.
    pub(super) slides: bool,
}

/// The smallest block with these two slices, the first and the last with events in it, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    first: i64,
    last: i64,
}

/// What the keys have in one block.
#[derive(Clone)]
pub(super) struct Block {
    /// Ids in ascending order; the place of each is its slot in `values`.
    pub(super) keys: Vec<u32>,
    pub(super) values: Accumulators,
}

/// The blocks of more than one slice that the next window may need. They never decide what a row says: without them
/// they would be combined anew.
#[derive(Default)]
pub(super) struct Blocks {
    /// By the number of the first slice, and the power of two that is their length.
    kept: BTreeMap<(i64, u32), Block>,
    /// Slices that have changed since, by start.
    stale: BTreeSet<i64>,
    /// The larger ones of the last window in one.
    pub(super) middle: Option<Middle>,
    /// No block has slices that start at this or later.
    end: Option<i64>,
}

impl Blocks {
    /// Whether the slice at `start` may be in a block.
    pub(super) fn reach(&self, start: i64) -> bool {
        self.end.is_some_and(|end| start < end)
    }

    /// Takes note that the slice at `start` gets events.
    pub(super) fn touch(&mut self, start: i64) {
        if self.reach(start) {
            self.stale.insert(start);
        }
    }

    /// The blocks that the slices `window`, by number, are put together of, from left to right.
    pub(super) fn of_window(window: Range<i64>, slices: &Slices<'_>) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut from = window.start;
        while let Some(first) = slices.first(from..window.end) {
            let block = first..end_of_block(first, &window);
            from = block.end;
            spans.push(Span { first, last: slices.last(block).unwrap_or(first) });
        }
        spans
    }

    /// What is in the block `span`.
    pub(super) fn get<'a>(&'a mut self, span: Span, slices: &Slices<'_>) -> Cow<'a, Block> {
        self.prepare(span, slices);
        self.look_up(span, slices)
    }

    /// Lets go of blocks that are no longer what their slices are.
    pub(super) fn refresh(&mut self, grid: &Grid) {
        let levels = i64::BITS - grid.slices_per_window().leading_zeros();
        for start in core::mem::take(&mut self.stale) {
            let index = grid.index_of(start);
            self.middle.take_if(|middle| middle.covers(index));
            for level in 1..=levels {
                self.kept.remove(&(bounds(index, level).0, level));
            }
        }
    }

    /// Lets go of what windows from slice `first` on do not need; the last one ended at the time `end`.
    pub(super) fn trim(&mut self, first: i64, end: i64) {
        self.kept = self.kept.split_off(&(first, 0));
        self.end = Some(end);
    }

    /// Combines the block `span` from its halves, and those from theirs, as far as they are not kept.
    fn prepare(&mut self, span: Span, slices: &Slices<'_>) {
        if span.level() == 0 || self.kept.contains_key(&span.place()) {
            return;
        }
        let (left, right) = span.halves(slices);
        self.prepare(left, slices);
        self.prepare(right, slices);
        let block = self.look_up(left, slices).combined_with(&self.look_up(right, slices));
        self.kept.insert(span.place(), block);
    }

    /// The block `span`, which is prepared.
    fn look_up<'a>(&'a self, span: Span, slices: &Slices<'_>) -> Cow<'a, Block> {
        match self.kept.get(&span.place()) {
            Some(block) => Cow::Borrowed(block),
            None => Cow::Owned(slices.block(span.first)),
        }
    }
}

impl Span {
    /// The block's length is two to the power of this.
    pub(super) fn level(self) -> u32 {
        i64::BITS - (self.first ^ self.last).leading_zeros()
    }

    /// Whether slice `index` lies within it.
    pub(super) fn covers(self, index: i64) -> bool {
        let (start, end) = bounds(self.first, self.level());
        start <= index && end.is_none_or(|end| index < end)
    }

    fn place(self) -> (i64, u32) {
        (bounds(self.first, self.level()).0, self.level())
    }

    /// The halves of a block of more than one slice. Both have events, or it would not be the smallest.
    fn halves(self, slices: &Slices<'_>) -> (Self, Self) {
        let (middle, _) = bounds(self.last, self.level().saturating_sub(1));
        let left = slices.last(self.first..middle).unwrap_or(self.first);
        let right = slices.first(middle..self.last).unwrap_or(self.last);
        (Self { first: self.first, last: left }, Self { first: right, last: self.last })
    }
}

/// The end of the largest block within `window` that slice `first` is in.
fn end_of_block(first: i64, window: &Range<i64>) -> i64 {
    let mut end = first + 1;
    for level in 1..i64::BITS {
        match bounds(first, level) {
            (start, Some(next)) if start >= window.start && next <= window.end => end = next,
            _ => break,
        }
    }
    end
}

/// Joins what one key has in `slices`, by number, of `window` in the order of blocks: `join(to, from)` adds the entry
/// `from` to `to`, and in the end the first has all.
pub(super) fn join_in_order(
    slices: &[i64],
    window: &Range<i64>,
    join: &mut impl FnMut(usize, usize),
) {
    let (mut rest, mut base) = (slices, 0);
    while let Some(first) = rest.first() {
        let end = end_of_block(*first, window);
        let (block, later) = rest.split_at(rest.partition_point(|slice| *slice < end));
        join_block(block, base, join);
        if base > 0 {
            join(0, base);
        }
        base += block.len();
        rest = later;
    }
}

/// The same for one block, whose first entry is `base`.
fn join_block(slices: &[i64], base: usize, join: &mut impl FnMut(usize, usize)) {
    let (Some(&first), Some(&last)) = (slices.first(), slices.last()) else { return };
    if first == last {
        return;
    }
    let (middle, _) = bounds(last, Span { first, last }.level().saturating_sub(1));
    let (left, right) = slices.split_at(slices.partition_point(|slice| *slice < middle));
    join_block(left, base, join);
    join_block(right, base + left.len(), join);
    join(base, base + left.len());
}

/// The first slice of the block of 2^`level` slices that `index` is in, and the one behind it.
fn bounds(index: i64, level: u32) -> (i64, Option<i64>) {
    let start = index.checked_shr(level).and_then(|nth| nth.checked_shl(level)).unwrap_or(index);
    (start, 1_i64.checked_shl(level).and_then(|length| start.checked_add(length)))
}

impl Slices<'_> {
    /// The number of the first slice with events in `range`.
    fn first(&self, range: Range<i64>) -> Option<i64> {
        self.starts(range).next().map(|start| self.grid.index_of(*start))
    }

    /// The number of the last slice with events in `range`.
    fn last(&self, range: Range<i64>) -> Option<i64> {
        self.starts(range).next_back().map(|start| self.grid.index_of(*start))
    }

    fn starts(&self, range: Range<i64>) -> impl DoubleEndedIterator<Item = &i64> {
        let start = self.grid.start_of(range.start);
        let end = self.grid.start_of(range.end).max(start);
        self.by_start.range(start..end).map(|(start, _)| start)
    }

    /// The slice with the number `index` as a block.
    fn block(&self, index: i64) -> Block {
        let slice = self.by_start.get(&self.grid.start_of(index));
        let (keys, slots) = match (slice, self.only) {
            (Some(slice), Some(keys)) => {
                let pairs = keys.iter().map(|key| (*key, slice.slot(*key)));
                pairs.filter(|(_, slot)| *slot != NONE).unzip()
            }
            (slice, _) => slice.map(Slice::by_key).unwrap_or_default(),
        };
        Block { keys, values: self.part(&slots) }
    }

    /// What blocks have of no keys.
    pub(super) fn empty(&self) -> Accumulators {
        self.part(&[])
    }

    fn part(&self, slots: &[u32]) -> Accumulators {
        if self.slides { self.accumulators.part(slots) } else { self.accumulators.pick(slots) }
    }
}

impl Block {
    /// This and then `later`, key by key.
    pub(super) fn combined_with(&self, later: &Self) -> Self {
        let mut keys = Vec::with_capacity(self.keys.len().max(later.keys.len()));
        let (mut left_slots, mut right_slots) = (Vec::new(), Vec::new());
        left_slots.reserve(self.keys.len());
        right_slots.reserve(later.keys.len());
        let (mut left, mut right) = (self.keys.iter().peekable(), later.keys.iter().peekable());
        for slot in 0.. {
            let key = match (left.peek(), right.peek()) {
                (Some(left), Some(right)) => **left.min(right),
                (Some(key), None) | (None, Some(key)) => **key,
                (None, None) => break,
            };
            keys.push(key);
            if left.next_if(|next| **next == key).is_some() {
                left_slots.push(slot);
            }
            if right.next_if(|next| **next == key).is_some() {
                right_slots.push(slot);
            }
        }
        let mut values = self.values.empty(keys.len());
        values.merge(&left_slots, &self.values);
        values.merge(&right_slots, &later.values);
        Self { keys, values }
    }
}
