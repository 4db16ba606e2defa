//! Combination of the slices of a window for each key, when the window fires.

use super::NONE;
use super::aggregate_tree::{AggregateTree, SliceView, merge_in_tree_order};
use super::cached_interior::CachedInterior;
use super::running::RunningWindow;
use super::slice_table::SliceTable;
use crate::aggregates::Accumulators;
use crate::keys::Keys;
use crate::plan::Grid;

/// Up to this number of slices a window of one key is combined without the tree.
const MAX_SLICES_WITHOUT_TREE: i64 = 64;

/// The slices of a stage and their values.
pub(super) struct Slices<'a> {
    pub(super) grid: Grid,
    pub(super) table: &'a mut SliceTable,
    pub(super) accumulators: &'a mut Accumulators,
}

/// Builds windows from slices, and keeps the combinations that the next window needs again.
#[derive(Default)]
pub(super) struct Combiner {
    /// Combinations of slices, from which sliding windows are built.
    tree: AggregateTree,
    /// The part of a sliding window that is updated incrementally.
    running: RunningWindow,
    /// The slot of each key in the window under combination; all [`NONE`] between firings.
    slot_of_key: Vec<u32>,
    /// The work of merging, in units of [`crate::stages::WorkBudget`], since it was last taken.
    merged: u64,
}

/// The keys of a window under combination.
#[derive(Default)]
struct CombinedKeys {
    /// The slot of each key, [`NONE`] for keys not seen yet.
    slot_of_key: Vec<u32>,
    slots: Vec<u32>,
    /// The slot of each key of the node that is being added.
    into: Vec<u32>,
}

impl Combiner {
    /// Returns true if combinations may contain the slice at `start`.
    #[inline]
    pub(super) fn may_contain(&self, start: i64) -> bool {
        self.tree.may_contain(start)
    }

    /// Records that the tree must combine the slice at `start` again.
    pub(super) fn mark_dirty(&mut self, start: i64) {
        self.tree.mark_dirty(start);
    }

    /// Invalidates the combinations that contain the slice at `start`, which is about to change.
    /// `emitting` are the slots of a window in emission, which may share values with them.
    pub(super) fn slice_changes(&mut self, start: i64, emitting: &[u32], slices: &mut Slices<'_>) {
        if !self.tree.may_contain(start) {
            return;
        }
        self.tree.mark_dirty(start);
        self.running.slice_changes(start, emitting, slices);
    }

    /// Takes the slice at `start`, which is being removed and has these `slots`, out of the running
    /// window.
    pub(super) fn slice_removed(&mut self, start: i64, slots: &[u32], slices: &mut Slices<'_>) {
        self.running.slice_removed(start, slots, slices);
    }

    /// Returns the work of the combinations since the last call.
    pub(super) fn take_merged(&mut self) -> u64 {
        core::mem::take(&mut self.merged)
    }

    /// Combines the window that starts at `window` when it fires, reusing the nodes of the previous
    /// window. Returns a slot for each key; the slot retains its key.
    pub(super) fn combine_whole(
        &mut self,
        window: i64,
        slices: &mut Slices<'_>,
        keys: &mut Keys,
    ) -> Vec<u32> {
        let mut tree = core::mem::take(&mut self.tree);
        tree.remove_dirty(&slices.grid);
        let slots = self.combine(window, None, &mut tree, slices, keys);
        if slices.is_incremental() {
            self.running.advance(slices.grid.slices_of(window), &slots, slices);
        }
        trim(&mut tree, window, &slices.grid);
        self.tree = tree;
        slots
    }

    /// Combines the window that starts at `window` for the keys `only`, given in ascending order of
    /// their ids, with the nodes in `tree`.
    pub(super) fn combine_keys(
        &mut self,
        window: i64,
        only: &[u32],
        tree: &mut AggregateTree,
        slices: &mut Slices<'_>,
        keys: &mut Keys,
    ) -> Vec<u32> {
        let slots = self.combine(window, Some(only), tree, slices, keys);
        trim(tree, window, &slices.grid);
        slots
    }

    /// Combines the slices of the window that starts at `window` for `key`, which has events there.
    ///
    /// With many slices, windows share their nodes. With few slices the nodes cost more than they
    /// save.
    pub(super) fn combine_key(
        &mut self,
        window: i64,
        key: u32,
        tree: &mut AggregateTree,
        slices: &mut Slices<'_>,
        keys: &mut Keys,
    ) -> Vec<u32> {
        let grid = slices.grid;
        if grid.slices_per_window() > MAX_SLICES_WITHOUT_TREE {
            return self.combine_keys(window, &[key], tree, slices, keys);
        }
        let (mut numbers, mut slots) = (Vec::new(), Vec::new());
        for (start, slice) in slices.table.range(grid.window_start(window)..grid.end_of(window)) {
            let slot = slice.slot(key);
            if slot != NONE {
                numbers.push(grid.index_of(start));
                slots.push(slot);
            }
        }
        let window = grid.slices_of(window);
        self.merged += slots.iter().map(|slot| slices.accumulators.work_of(*slot)).sum::<u64>();
        let mut values = slices.accumulators.pick(&slots);
        let index = |entry: usize| u32::try_from(entry).unwrap_or(NONE);
        merge_in_tree_order(&numbers, &window, &mut |to, from| {
            values.join(index(to), index(from));
        });
        let slot = slices.table.take_slot(key, keys);
        slices.accumulators.reset(slot);
        slices.accumulators.merge(&[slot], &values);
        vec![slot]
    }

    /// Combines the slices of the window that starts at `window`, for all keys or for `only` some.
    fn combine(
        &mut self,
        window: i64,
        only: Option<&[u32]>,
        tree: &mut AggregateTree,
        slices: &mut Slices<'_>,
        keys: &mut Keys,
    ) -> Vec<u32> {
        let window = slices.grid.slices_of(window);
        let ranges = AggregateTree::ranges_of_window(window, &slices.view(only));
        let mut combined = CombinedKeys {
            slot_of_key: core::mem::take(&mut self.slot_of_key),
            ..CombinedKeys::default()
        };
        combined.slot_of_key.resize(keys.id_bound().max(combined.slot_of_key.len()), NONE);
        let interior = slices.view(only).empty().have_unordered().then(|| {
            let known = tree.interior.take();
            CachedInterior::of(known, &ranges, tree, &slices.view(only))
        });
        if let Some(interior) = &interior {
            combined.take_slots(&interior.node().keys, slices, keys);
            slices.accumulators.merge_unordered(&combined.into, &interior.node().values);
        }
        for range in ranges {
            let node = tree.get(range, &slices.view(only));
            self.merged += node.keys.len() as u64;
            combined.take_slots(&node.keys, slices, keys);
            slices.accumulators.merge_ordered(&combined.into, &node.values);
            if interior.as_ref().is_some_and(|interior| !interior.has(range)) {
                slices.accumulators.merge_unordered(&combined.into, &node.values);
            }
        }
        tree.interior = interior;
        for key in slices.table.keys_in(&combined.slots) {
            if let Some(slot) = combined.slot_of_key.get_mut(key as usize) {
                *slot = NONE;
            }
        }
        self.slot_of_key = combined.slot_of_key;
        self.merged += tree.take_merged();
        if slices.accumulators.have_variable_bytes() {
            let work = combined.slots.iter().map(|slot| slices.accumulators.work_of(*slot));
            self.merged += work.sum::<u64>();
        }
        combined.slots
    }
}

/// Removes the nodes that no window after the one that starts at `window` needs.
fn trim(tree: &mut AggregateTree, window: i64, grid: &Grid) {
    let next = grid.slices_of(window.saturating_add(grid.slide_us));
    tree.trim(next.start, grid.end_of(window));
}

impl CombinedKeys {
    /// Collects the slots of `node_keys` in `into`, taking new slots for keys that have none in
    /// this window.
    fn take_slots(&mut self, node_keys: &[u32], slices: &mut Slices<'_>, keys: &mut Keys) {
        self.into.clear();
        for key in node_keys {
            let Some(slot) = self.slot_of_key.get_mut(*key as usize) else { continue };
            if *slot == NONE {
                *slot = slices.table.take_slot(*key, keys);
                slices.accumulators.reset(*slot);
                self.slots.push(*slot);
            }
            self.into.push(*slot);
        }
    }
}

impl Slices<'_> {
    /// Returns true if windows are updated incrementally.
    pub(super) fn is_incremental(&self) -> bool {
        super::running::use_incremental(&self.grid) && self.accumulators.have_sketches()
    }

    /// Returns a view of the slices for all keys or for `only` some.
    fn view<'a>(&'a self, only: Option<&'a [u32]>) -> SliceView<'a> {
        SliceView {
            only,
            is_incremental: only.is_none() && self.is_incremental(),
            grid: &self.grid,
            table: self.table,
            accumulators: self.accumulators,
        }
    }
}
