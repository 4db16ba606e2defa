//! What sliding windows hold when they fire: their slices, combined for each key.

use super::blocks::{Blocks, Slices, join_in_order};
use super::middle::Middle;
use super::{NONE, WindowStage};
use crate::keys::Keys;

/// Windows of up to so many slices are combined for one key without blocks.
const FEW_SLICES: i64 = 64;

/// The keys of a window that is combined, as far as they are known.
#[derive(Default)]
struct Gathered {
    /// The slot of each key.
    places: Vec<u32>,
    slots: Vec<u32>,
    /// The slots of the block that is added.
    into: Vec<u32>,
}

impl WindowStage {
    /// Combines the slices of the window that starts at `window`, of all keys or of `only` some.
    ///
    /// Returns a slot for each key, which retains it.
    pub(super) fn combine(
        &mut self,
        window: i64,
        only: Option<&[u32]>,
        blocks: &mut Blocks,
        keys: &mut Keys,
    ) -> Vec<u32> {
        let grid = self.plan.grid;
        let spans = Blocks::of_window(grid.slices_of(window), &self.slices(only));
        let mut gathered =
            Gathered { places: core::mem::take(&mut self.places), ..Gathered::default() };
        gathered.places.resize(keys.id_bound().max(gathered.places.len()), NONE);
        let middle = self.slices(only).empty().have_unordered().then(|| {
            let known = blocks.middle.take();
            Middle::of(known, &spans, blocks, &self.slices(only))
        });
        if let Some(middle) = &middle {
            self.gather(&middle.block().keys, &mut gathered, keys);
            self.accumulators.merge_unordered(&gathered.into, &middle.block().values);
        }
        for span in spans {
            let block = blocks.get(span, &self.slices(only));
            self.gather(&block.keys, &mut gathered, keys);
            self.accumulators.merge_ordered(&gathered.into, &block.values);
            if middle.as_ref().is_some_and(|middle| !middle.has(span)) {
                self.accumulators.merge_unordered(&gathered.into, &block.values);
            }
        }
        blocks.middle = middle;
        for key in self.slot_keys_of(&gathered.slots) {
            if let Some(place) = gathered.places.get_mut(key as usize) {
                *place = NONE;
            }
        }
        self.places = gathered.places;
        let slots = gathered.slots;
        if only.is_none() && self.slides() {
            self.slide_to(grid.slices_of(window), &slots);
        }
        let next = grid.slices_of(window.saturating_add(grid.slide_us));
        blocks.trim(next.start, grid.end_of(window));
        slots
    }

    /// Combines the slices of the window that starts at `window` for `key` alone, which has events there.
    ///
    /// Where there are many slices, windows share their blocks; where there are few, those cost more than they save.
    pub(super) fn combine_key(
        &mut self,
        window: i64,
        key: u32,
        blocks: &mut Blocks,
        keys: &mut Keys,
    ) -> Vec<u32> {
        let grid = self.plan.grid;
        if grid.slices_per_window() > FEW_SLICES {
            return self.combine(window, Some(&[key]), blocks, keys);
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
        let place = |entry: usize| u32::try_from(entry).unwrap_or(NONE);
        join_in_order(&slices, &window, &mut |to, from| values.join(place(to), place(from)));
        let slot = self.take_slot(key, keys);
        self.accumulators.reset(slot);
        self.accumulators.merge(&[slot], &values);
        vec![slot]
    }

    /// Finds the slots of `block_keys`, and takes some for keys that have none in this window.
    fn gather(&mut self, block_keys: &[u32], gathered: &mut Gathered, keys: &mut Keys) {
        gathered.into.clear();
        for key in block_keys {
            let Some(place) = gathered.places.get_mut(*key as usize) else { continue };
            if *place == NONE {
                *place = self.take_slot(*key, keys);
                self.accumulators.reset(*place);
                gathered.slots.push(*place);
            }
            gathered.into.push(*place);
        }
    }

    pub(super) fn slot_keys_of<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        slots.iter().map(|slot| self.slot_keys.get(*slot as usize).copied().unwrap_or(NONE))
    }

    /// Combines the window that starts at `window` when it ends, with the blocks that are kept from one to the next.
    pub(super) fn combine_whole(&mut self, window: i64, keys: &mut Keys) -> Vec<u32> {
        let mut blocks = core::mem::take(&mut self.blocks);
        blocks.refresh(&self.plan.grid);
        let slots = self.combine(window, None, &mut blocks, keys);
        self.blocks = blocks;
        slots
    }

    /// Lets go of the slices whose last window starts at `window` or before.
    pub(super) fn forget_until(&mut self, window: i64, keys: &mut Keys) {
        while let Some(slice) = self.slices.first_entry() {
            if self.plan.grid.last_window(*slice.key()) > window {
                return;
            }
            let (start, slots) = (*slice.key(), slice.remove().into_slots());
            self.leave_behind(start, &slots);
            self.accumulators.release(&slots);
            for slot in slots {
                let key = self.count_closed(slot);
                self.free_slots.push(slot);
                keys.release(key);
            }
        }
    }

    fn slices<'a>(&'a self, only: Option<&'a [u32]>) -> Slices<'a> {
        Slices {
            only,
            slides: only.is_none() && self.slides(),
            grid: &self.plan.grid,
            by_start: &self.slices,
            accumulators: &self.accumulators,
        }
    }
}
