//! The aggregate tree: combined slices, cached from one window to the next.
//!
//! Slices are numbered. A node covers 2^k slices, the first one's number a multiple of 2^k: it is a
//! single slice, or the combination of its left and right half. A window is the combination, from
//! left to right, of the largest nodes that fit into it:
//!
//! ```text
//! slices    4   5   6   7   8   9  10  11  12
//! level 1   [4   5] [6   7] [8   9] [10 11]
//! level 2   [4       ...  7] [8      ... 11]
//! window 5..13:      5 | [6 7] | [8 .. 11] | 12
//! ```
//!
//! An empty half adds nothing, so a node is stored under the smallest node that contains all of its
//! events. The order of combination depends on slice numbers only, so results are the same with or
//! without the cache.

use core::ops::Range;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::cached_interior::CachedInterior;
use super::slice::Slice;
use super::slice_table::SliceTable;
use crate::aggregates::Accumulators;
use crate::keys::NONE;
use crate::plan::Grid;

/// The slices with events and their accumulators.
pub(super) struct SliceView<'a> {
    pub(super) grid: &'a Grid,
    pub(super) table: &'a SliceTable,
    pub(super) accumulators: &'a Accumulators,
    /// The keys to combine, in ascending order of their ids; all keys if `None`.
    pub(super) only: Option<&'a [u32]>,
    /// True if the running window keeps part of the state, which nodes then leave out.
    pub(super) is_incremental: bool,
}

/// The smallest node that contains two slices, given by the numbers of the first and the last slice
/// with events in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeRange {
    first: i64,
    last: i64,
}

/// The combined values of all keys in the slices of a node.
#[derive(Clone)]
pub(super) struct Node {
    /// Ids in ascending order; the index of a key is its slot in `values`.
    pub(super) keys: Vec<u32>,
    pub(super) values: Accumulators,
}

/// A cache of the nodes of more than one slice that the next window may need.
///
/// It does not influence results: a missing node is combined again.
#[derive(Default)]
pub(super) struct AggregateTree {
    /// By the number of the first slice, then the level.
    nodes: BTreeMap<(i64, u32), Node>,
    /// Starts of slices that have changed since they were combined.
    dirty: BTreeSet<i64>,
    /// The combination of the larger nodes of the last window.
    pub(super) interior: Option<CachedInterior>,
    /// The tree contains no slice that starts at this time or later.
    end: Option<i64>,
    /// The number of keys of the halves that were combined since it was last taken.
    merged: u64,
}

impl AggregateTree {
    /// Returns the number of keys that were combined since the last call.
    pub(super) fn take_merged(&mut self) -> u64 {
        core::mem::take(&mut self.merged)
    }

    /// Returns true if the slice at `start` may be in a node.
    pub(super) fn may_contain(&self, start: i64) -> bool {
        self.end.is_some_and(|end| start < end)
    }

    /// Records that the slice at `start` changes.
    pub(super) fn mark_dirty(&mut self, start: i64) {
        if self.may_contain(start) {
            self.dirty.insert(start);
        }
    }

    /// Returns the nodes that make up the slices `window`, given by number, from left to right.
    pub(super) fn ranges_of_window(window: Range<i64>, slices: &SliceView<'_>) -> Vec<NodeRange> {
        let mut ranges = Vec::new();
        let mut from = window.start;
        while let Some(first) = slices.first(from..window.end) {
            let node = first..end_of_node(first, &window);
            from = node.end;
            ranges.push(NodeRange { first, last: slices.last(node).unwrap_or(first) });
        }
        ranges
    }

    /// Returns the node `range`, combining it if it is not cached.
    pub(super) fn get<'a>(&'a mut self, range: NodeRange, slices: &SliceView<'_>) -> Cow<'a, Node> {
        self.prepare(range, slices);
        self.look_up(range, slices)
    }

    /// Removes the nodes whose slices have changed.
    pub(super) fn remove_dirty(&mut self, grid: &Grid) {
        let levels = i64::BITS - grid.slices_per_window().leading_zeros();
        for start in core::mem::take(&mut self.dirty) {
            let index = grid.index_of(start);
            self.interior.take_if(|interior| interior.covers(index));
            for level in 1..=levels {
                self.nodes.remove(&(bounds(index, level).0, level));
            }
        }
    }

    /// Removes nodes before slice `first`, which later windows do not need; the last window ended
    /// at the time `end`.
    pub(super) fn trim(&mut self, first: i64, end: i64) {
        self.nodes = self.nodes.split_off(&(first, 0));
        self.end = Some(end);
    }

    /// Combines the node `range` from its halves, recursively, as far as they are not cached.
    fn prepare(&mut self, range: NodeRange, slices: &SliceView<'_>) {
        if range.level() == 0 || self.nodes.contains_key(&range.id()) {
            return;
        }
        let (left, right) = range.halves(slices);
        self.prepare(left, slices);
        self.prepare(right, slices);
        let (left, right) = (self.look_up(left, slices), self.look_up(right, slices));
        let merged = (left.keys.len() + right.keys.len()) as u64;
        let node = left.combined_with(&right);
        self.merged += merged;
        self.nodes.insert(range.id(), node);
    }

    /// Returns the node `range`, which must be prepared.
    fn look_up<'a>(&'a self, range: NodeRange, slices: &SliceView<'_>) -> Cow<'a, Node> {
        match self.nodes.get(&range.id()) {
            Some(node) => Cow::Borrowed(node),
            None => Cow::Owned(slices.node(range.first)),
        }
    }
}

impl NodeRange {
    /// Returns k for a node of 2^k slices.
    pub(super) fn level(self) -> u32 {
        i64::BITS - (self.first ^ self.last).leading_zeros()
    }

    /// Returns true if slice `index` lies within the node.
    pub(super) fn covers(self, index: i64) -> bool {
        let (start, end) = bounds(self.first, self.level());
        start <= index && end.is_none_or(|end| index < end)
    }

    /// Returns the key of the node in the cache.
    fn id(self) -> (i64, u32) {
        (bounds(self.first, self.level()).0, self.level())
    }

    /// Splits a node of more than one slice. Both halves have events, otherwise a smaller node
    /// would contain them all.
    fn halves(self, slices: &SliceView<'_>) -> (Self, Self) {
        let (middle, _) = bounds(self.last, self.level().saturating_sub(1));
        let left = slices.last(self.first..middle).unwrap_or(self.first);
        let right = slices.first(middle..self.last).unwrap_or(self.last);
        (Self { first: self.first, last: left }, Self { first: right, last: self.last })
    }
}

/// Returns the end of the largest node within `window` that contains slice `first`.
fn end_of_node(first: i64, window: &Range<i64>) -> i64 {
    let mut end = first + 1;
    for level in 1..i64::BITS {
        match bounds(first, level) {
            (start, Some(next)) if start >= window.start && next <= window.end => end = next,
            _ => break,
        }
    }
    end
}

/// Merges the entries of one key in `slices`, given by number, in the order in which the tree
/// combines `window`.
///
/// `merge(to, from)` adds entry `from` to entry `to`; in the end the first entry holds the total.
pub(super) fn merge_in_tree_order(
    slices: &[i64],
    window: &Range<i64>,
    merge: &mut impl FnMut(usize, usize),
) {
    let (mut rest, mut base) = (slices, 0);
    while let Some(first) = rest.first() {
        let end = end_of_node(*first, window);
        let (node, later) = rest.split_at(rest.partition_point(|slice| *slice < end));
        merge_node(node, base, merge);
        if base > 0 {
            merge(0, base);
        }
        base += node.len();
        rest = later;
    }
}

/// Merges the slices of one node, whose first entry is `base`.
fn merge_node(slices: &[i64], base: usize, merge: &mut impl FnMut(usize, usize)) {
    let (Some(&first), Some(&last)) = (slices.first(), slices.last()) else { return };
    if first == last {
        return;
    }
    let (middle, _) = bounds(last, NodeRange { first, last }.level().saturating_sub(1));
    let (left, right) = slices.split_at(slices.partition_point(|slice| *slice < middle));
    merge_node(left, base, merge);
    merge_node(right, base + left.len(), merge);
    merge(base, base + left.len());
}

/// Returns the first slice of the node of level `level` that contains `index`, and the first slice
/// after that node.
fn bounds(index: i64, level: u32) -> (i64, Option<i64>) {
    let start = index.checked_shr(level).and_then(|nth| nth.checked_shl(level)).unwrap_or(index);
    (start, 1_i64.checked_shl(level).and_then(|length| start.checked_add(length)))
}

impl SliceView<'_> {
    /// Returns the number of the first slice with events in `range`.
    fn first(&self, range: Range<i64>) -> Option<i64> {
        self.starts(range).next().map(|start| self.grid.index_of(start))
    }

    /// Returns the number of the last slice with events in `range`.
    fn last(&self, range: Range<i64>) -> Option<i64> {
        self.starts(range).next_back().map(|start| self.grid.index_of(start))
    }

    /// Returns the starts of the slices with events in `range`.
    fn starts(&self, range: Range<i64>) -> impl DoubleEndedIterator<Item = i64> {
        let start = self.grid.start_of(range.start);
        let end = self.grid.start_of(range.end);
        self.table.range(start..end).map(|(start, _)| start)
    }

    /// Returns slice `index` as a node.
    fn node(&self, index: i64) -> Node {
        let slice = self.table.slice(self.grid.start_of(index));
        let (keys, slots) = match (slice, self.only) {
            (Some(slice), Some(keys)) => {
                let pairs = keys.iter().map(|key| (*key, slice.slot(*key)));
                pairs.filter(|(_, slot)| *slot != NONE).unzip()
            }
            (slice, _) => slice.map(Slice::by_key).unwrap_or_default(),
        };
        Node { keys, values: self.values_of(&slots) }
    }

    /// Returns the values of a node without keys.
    pub(super) fn empty(&self) -> Accumulators {
        self.values_of(&[])
    }

    /// Copies the values in `slots` that nodes combine.
    fn values_of(&self, slots: &[u32]) -> Accumulators {
        if self.is_incremental {
            self.accumulators.copy_without_sketches(slots)
        } else {
            self.accumulators.pick(slots)
        }
    }
}

impl Node {
    /// Combines this node with the `later` one, key by key.
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
