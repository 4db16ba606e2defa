//! Where identities stand in the log: open addressing over words of 8 bytes, in parts that grow one at a time.

use crate::batch::Identity;

/// Parts of the table. Each grows by itself, so no growth holds two whole tables in memory, or takes long.
const PARTS: u32 = 64;
/// Of a part: its first slots, by what it grows, and how full it gets, in percent.
const MIN_SLOTS: usize = 16;
const GROWTH: usize = 136;
const MAX_LOAD: usize = 76;

/// A slot: 0 if it is empty, else 32 bits of the identity's hash and the place in the log, plus one.
type Slot = u64;

/// Finds places by identity. What it does never shows in results: neither its order nor its seed.
#[derive(Debug)]
pub(super) struct Index {
    parts: Vec<Part>,
    seed: u64,
    len: usize,
}

#[derive(Debug, Default)]
struct Part {
    slots: Vec<Slot>,
    used: usize,
}

/// The part of an identity's hash that the table keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tag(u32);

impl Tag {
    #[inline]
    fn part(self) -> usize {
        (self.0 / (u32::MAX / PARTS + 1)) as usize
    }

    /// Its first slot among `slots`.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of slots")]
    fn home(self, slots: usize) -> usize {
        let within = u64::from(self.0.wrapping_mul(PARTS));
        ((within * slots as u64) >> 32) as usize
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves of a slot")]
fn parts_of(slot: Slot) -> (Tag, u32) {
    (Tag((slot >> 32) as u32), slot as u32)
}

fn slot_of(tag: Tag, place: u32) -> Slot {
    (u64::from(tag.0) << 32) | (u64::from(place) + 1)
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Self { parts, seed: seed ^ 0x9e37_79b9_7f4a_7c15, len: 0 }
    }

    /// Identities in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The tag of `identity`: one multiplication whose result nobody can steer who does not know the seed.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the halves of a product")]
    pub(super) fn tag(&self, identity: Identity) -> Tag {
        let [low, high] = identity;
        let mixed = u128::from(low ^ self.seed)
            * u128::from(high ^ 0xa076_1d64_78bd_642f ^ self.seed.rotate_left(32));
        let folded = (mixed as u64) ^ (mixed >> 64) as u64;
        Tag((folded >> 32) as u32 ^ folded as u32)
    }

    /// Reads the first slot of `tag`, so that it is near when it is looked at.
    #[inline]
    pub(super) fn touch(&self, tag: Tag) -> Slot {
        let part = self.parts.get(tag.part());
        part.and_then(|part| part.slots.get(tag.home(part.slots.len()))).copied().unwrap_or(0)
    }

    /// The place of the identity with `tag` for which `matches` holds.
    #[inline]
    pub(super) fn find(&self, tag: Tag, matches: impl FnMut(u32) -> bool) -> Option<u32> {
        let part = self.parts.get(tag.part())?;
        let slot = part.find(tag, matches)?;
        part.slots.get(slot).map(|slot| parts_of(*slot).1.wrapping_sub(1))
    }

    /// Puts in an identity that is not there.
    #[inline]
    pub(super) fn insert(&mut self, tag: Tag, place: u32) {
        if let Some(part) = self.parts.get_mut(tag.part()) {
            part.insert(slot_of(tag, place));
            self.len += 1;
        }
    }

    /// Takes out the identity at `place`.
    pub(super) fn remove(&mut self, tag: Tag, place: u32) {
        if let Some(part) = self.parts.get_mut(tag.part())
            && let Some(slot) = part.find(tag, |found| found == place)
        {
            part.remove(slot);
            self.len -= 1;
        }
    }

    /// Empties the table, and gives back memory of parts that were mostly empty.
    pub(super) fn clear(&mut self) {
        self.len = 0;
        for part in &mut self.parts {
            if part.slots.len() > 4 * part.used.max(MIN_SLOTS) {
                part.slots = Vec::new();
            }
            part.slots.fill(0);
            part.used = 0;
        }
    }
}

impl Part {
    /// The slot with `tag` for whose place `matches` holds.
    #[inline]
    fn find(&self, tag: Tag, mut matches: impl FnMut(u32) -> bool) -> Option<usize> {
        let mut at = tag.home(self.slots.len());
        loop {
            let slot = *self.slots.get(at)?;
            if slot == 0 {
                return None;
            }
            let (found, place) = parts_of(slot);
            if found == tag && matches(place.wrapping_sub(1)) {
                return Some(at);
            }
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
    }

    #[inline]
    fn insert(&mut self, slot: Slot) {
        if self.used * 100 >= self.slots.len() * MAX_LOAD {
            self.resize((self.slots.len() * GROWTH / 100).max(MIN_SLOTS));
        }
        self.place(slot);
        self.used += 1;
    }

    /// Puts `slot` into the first empty one from its home on. There is one.
    #[inline]
    fn place(&mut self, slot: Slot) {
        let mut at = parts_of(slot).0.home(self.slots.len());
        while let Some(found) = self.slots.get_mut(at) {
            if *found == 0 {
                *found = slot;
                return;
            }
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
    }

    /// Empties the slot at `hole` and moves up those behind that would not be found any more.
    fn remove(&mut self, mut hole: usize) {
        let slots = self.slots.len();
        let mut at = hole;
        loop {
            at = if at + 1 == slots { 0 } else { at + 1 };
            let slot = self.slots.get(at).copied().unwrap_or(0);
            if slot == 0 || at == hole {
                break;
            }
            // How far each is from the slot's home, counted around the end.
            let home = parts_of(slot).0.home(slots);
            let from_home = |at: usize| if at >= home { at - home } else { at + slots - home };
            if from_home(hole) < from_home(at) {
                self.set(hole, slot);
                hole = at;
            }
        }
        self.set(hole, 0);
        self.used -= 1;
    }

    fn set(&mut self, at: usize, slot: Slot) {
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
    }

    #[cold]
    fn resize(&mut self, slots: usize) {
        let mut new = Vec::new();
        new.reserve_exact(slots);
        new.resize(slots, 0);
        let old = core::mem::replace(&mut self.slots, new);
        old.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.place(slot));
    }
}
