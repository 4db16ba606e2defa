//! Combination of the slices of a window for each key, when the window fires.

use super::aggregate_tree::{AggregateTree, SliceView, merge_in_tree_order};
use super::cached_interior::CachedInterior;
use super::{NONE, WindowStage};
use crate::keys::Keys;

/// Up to this number of slices a window of one key is combined without the tree.
const MAX_SLICES_WITHOUT_TREE: i64 = 64;

/// The keys of a window under combination.
#[derive(Default)]
struct CombinedKeys {
    /// The slot of each key, [`NONE`] for keys not seen yet.
    slot_of_key: Vec<u32>,
    slots: Vec<u32>,
    /// The slot of each key of the node that is being added.
    into: Vec<u32>,
}

impl WindowStage {
    /// Combines the slices of the window that starts at `window`, for all keys or for `only` some.
    ///
    /// Returns a slot for each key; the slot retains its key.
    pub(super) fn combine(
        &mut self,
        window: i64,
        only: Option<&[u32]>,
        tree: &mut AggregateTree,
        keys: &mut Keys,
    ) -> Vec<u32> {
        let grid = self.plan.grid;
        let ranges = AggregateTree::ranges_of_window(grid.slices_of(window), &self.slices(only));
        let mut combined = CombinedKeys {
            slot_of_key: core::mem::take(&mut self.slot_of_key),
            ..CombinedKeys::default()
        };
        combined.slot_of_key.resize(keys.id_bound().max(combined.slot_of_key.len()), NONE);
        let interior = self.slices(only).empty().have_unordered().then(|| {
            let known = tree.interior.take();
            CachedInterior::of(known, &ranges, tree, &self.slices(only))
        });
        if let Some(interior) = &interior {
            self.assign_slots(&interior.node().keys, &mut combined, keys);
            self.accumulators.merge_unordered(&combined.into, &interior.node().values);
        }
        for range in ranges {
            let node = tree.get(range, &self.slices(only));
            self.assign_slots(&node.keys, &mut combined, keys);
            self.accumulators.merge_ordered(&combined.into, &node.values);
            if interior.as_ref().is_some_and(|interior| !interior.has(range)) {
                self.accumulators.merge_unordered(&combined.into, &node.values);
            }
        }
        tree.interior = interior;
        for key in self.slot_keys_of(&combined.slots) {
            if let Some(slot) = combined.slot_of_key.get_mut(key as usize) {
                *slot = NONE;
            }
        }
        self.slot_of_key = combined.slot_of_key;
        let slots = combined.slots;
        if only.is_none() && self.is_incremental() {
            self.advance_running(grid.slices_of(window), &slots);
        }
        let next = grid.slices_of(window.saturating_add(grid.slide_us));
        tree.trim(next.start, grid.end_of(window));
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
        keys: &mut Keys,
    ) -> Vec<u32> {
        let grid = self.plan.grid;
        if grid.slices_per_window() > MAX_SLICES_WITHOUT_TREE {
            return self.combine(window, Some(&[key]), tree, keys);
        }
        let (mut slices, mut slots) = (Vec::new(), Vec::new());
        for (start, slice) in self.slices.range(grid.window_start(window)..grid.end_of(window)) {
            let slot = slice.slot(key);
            if slot != NONE {
                slices.push(grid.index_of(*start));
                slots.push(slot);
            }
        }
        let window = grid.slices_of(window);
        let mut values = self.accumulators.pick(&slots);
        let index = |entry: usize| u32::try_from(entry).unwrap_or(NONE);
        merge_in_tree_order(&slices, &window, &mut |to, from| values.join(index(to), index(from)));
        let slot = self.take_slot(key, keys);
        self.accumulators.reset(slot);
        self.accumulators.merge(&[slot], &values);
        vec![slot]
    }

    /// Collects the slots of `node_keys` in `combined.into`, taking new slots for keys that have
    /// none in this window.
    fn assign_slots(&mut self, node_keys: &[u32], combined: &mut CombinedKeys, keys: &mut Keys) {
        combined.into.clear();
        for key in node_keys {
            let Some(slot) = combined.slot_of_key.get_mut(*key as usize) else { continue };
            if *slot == NONE {
                *slot = self.take_slot(*key, keys);
                self.accumulators.reset(*slot);
                combined.slots.push(*slot);
            }
            combined.into.push(*slot);
        }
    }

    /// Returns the key of each of `slots`.
    pub(super) fn slot_keys_of<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        slots.iter().map(|slot| self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE))
    }

    /// Combines the window that starts at `window` when it fires, reusing the nodes of the previous
    /// window.
    pub(super) fn combine_whole(&mut self, window: i64, keys: &mut Keys) -> Vec<u32> {
        let mut tree = core::mem::take(&mut self.tree);
        tree.remove_dirty(&self.plan.grid);
        let slots = self.combine(window, None, &mut tree, keys);
        self.tree = tree;
        slots
    }

    /// Removes the slices whose last window starts at `window` or before.
    pub(super) fn remove_slices_until(&mut self, window: i64, keys: &mut Keys) {
        while let Some(slice) = self.slices.first_entry() {
            if self.plan.grid.last_window(*slice.key()) > window {
                return;
            }
            let (start, slots) = (*slice.key(), slice.remove().into_slots());
            self.retire_slice(start, &slots);
            self.accumulators.release(&slots);
            for slot in slots {
                let key = self.count_closed(slot);
                self.free_slots.push(slot);
                keys.release(key);
            }
        }
    }

    /// Returns a view of the slices for all keys or for `only` some.
    fn slices<'a>(&'a self, only: Option<&'a [u32]>) -> SliceView<'a> {
        SliceView {
            only,
            is_incremental: only.is_none() && self.is_incremental(),
            grid: &self.plan.grid,
            by_start: &self.slices,
            accumulators: &self.accumulators,
        }
    }
}
