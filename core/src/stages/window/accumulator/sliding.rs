//! Windows that slide: what they hold of each key goes with them from one to the next, where that gives the same as adding it
//! anew. It is the sketches: their counts are whole numbers.

use super::Accumulators;
use super::field::Field;
use super::percentile::Sketches;

impl Accumulators {
    /// Has windows slide; there are no slots yet.
    pub(in super::super) fn slide(&mut self) {
        self.fields.iter_mut().for_each(Field::slide);
    }

    /// Whether windows take anything with them.
    pub(in super::super) fn have_sketches(&self) -> bool {
        self.fields.iter().any(Field::has_sketch)
    }

    /// A part of a window without what the window takes with it: copies of `slots`, at slots from 0 on.
    pub(in super::super) fn part(&self, slots: &[u32]) -> Self {
        Self {
            outputs: self.outputs.clone(),
            events: super::Slots::pick(&self.events, slots),
            fields: self.fields.iter().map(|field| field.part(slots)).collect(),
        }
    }

    fn sketches(&mut self) -> impl Iterator<Item = &mut Sketches> {
        self.fields.iter_mut().filter_map(Field::sketch)
    }

    /// Takes what `slots` have into the window, for `keys`.
    pub(in super::super) fn enter(&mut self, keys: &[u32], slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.enter(keys, slots));
    }

    /// Takes it out again.
    pub(in super::super) fn leave(&mut self, keys: &[u32], slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.leave(keys, slots));
    }

    /// Has what `slot` has leave the window when that moves on. The slot is left empty.
    pub(in super::super) fn leave_later(&mut self, key: u32, slot: u32) {
        self.sketches().for_each(|sketch| sketch.leave_later(key, slot));
    }

    /// Takes out what was to leave.
    pub(in super::super) fn settle(&mut self) {
        self.sketches().for_each(Sketches::settle);
    }

    /// Leaves nothing of `key` in the window.
    pub(in super::super) fn forget_key(&mut self, key: u32) {
        self.sketches().for_each(|sketch| sketch.forget_key(key));
    }

    /// Leaves nothing in the window.
    pub(in super::super) fn forget_all(&mut self) {
        self.sketches().for_each(Sketches::forget_all);
    }

    /// Whether what the window holds of `key` has to be counted anew.
    pub(in super::super) fn is_unsure(&self, key: u32) -> bool {
        self.fields.iter().any(|field| field.is_unsure(key))
    }

    /// Has the window hold of `key` what `slots` have.
    pub(in super::super) fn recount(&mut self, key: u32, slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.recount(key, slots));
    }

    /// Has `slots` stand for what the window holds of `keys`.
    pub(in super::super) fn share(&mut self, keys: &[u32], slots: &[u32]) {
        self.sketches().for_each(|sketch| sketch.share(keys, slots));
    }

    /// Has `slots` stand for themselves again: they have what the window holds now.
    pub(in super::super) fn unshare(&mut self, slots: &[u32]) {
        self.fields.iter_mut().for_each(|field| field.unshare(slots));
    }
}
