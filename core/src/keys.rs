//! The engine's key dictionary: keys are interned once to dense ids, kept while something refers to them.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use core::hash::BuildHasher;

/// No id, no position.
pub(crate) const NONE: u32 = u32::MAX;

/// Keys nothing refers to that are kept all the same, so that a key that comes back is found.
const MAX_IDLE_KEYS: usize = 65_536;

/// Interned keys by dense id. Ids never leave the engine; those of forgotten keys are used again.
pub(crate) struct Keys {
    table: HashTable<u32>,
    hasher: FixedState,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Ids that nothing referred to when they were put here, the longest idle first.
    idle: VecDeque<u32>,
    /// The caller's ids.
    defined: Vec<u32>,
    /// Whether every id of the caller that is defined is also the engine's, without a gap.
    same_ids: bool,
    /// Live ids in the order of their bytes, as of the last ranking.
    order: Vec<u32>,
    /// The place of each id in `order`.
    ranks: Vec<u32>,
    /// Ids that came since the last ranking.
    fresh: Vec<u32>,
}

#[derive(Default)]
struct Entry {
    bytes: Box<[u8]>,
    /// State and rows that refer to this key.
    references: u32,
    /// Ids of the caller that mean this key.
    definitions: u32,
    idle: bool,
    /// Whether the id is in use.
    live: bool,
    /// Whether `order` has this id at the place of a key that is gone.
    misplaced: bool,
}

impl Keys {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            table: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            entries: Vec::new(),
            free: Vec::new(),
            idle: VecDeque::new(),
            defined: Vec::new(),
            same_ids: true,
            order: Vec::new(),
            ranks: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// Ids are below this.
    pub(crate) fn id_bound(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.entries.get(id as usize).map_or(&[], |entry| &entry.bytes)
    }

    /// The caller's ids, each with the engine's; [`NONE`] where it has defined none.
    pub(crate) fn defined(&self) -> &[u32] {
        &self.defined
    }

    /// Whether the caller's ids are the engine's own, all those below [`Keys::defined`]'s length.
    pub(crate) fn has_same_ids(&self) -> bool {
        self.same_ids
    }

    /// The id of `key`. It stays valid until [`Keys::reclaim`], and beyond while it is retained.
    pub(crate) fn intern(&mut self, key: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(key);
        let entries = &self.entries;
        let same = |id: &u32| entries.get(*id as usize).is_some_and(|entry| *entry.bytes == *key);
        if let Some(id) = self.table.find(hash, same) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
        });
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.bytes = key.into();
            entry.live = true;
        }
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.table.insert_unique(hash, id, |id| {
            hasher.hash_one(entries.get(*id as usize).map_or(&[][..], |entry| &entry.bytes))
        });
        self.fresh.push(id);
        self.rest(id);
        id
    }

    /// Gives the caller's id `caller` to `key`, until [`Keys::undefine_all`].
    pub(crate) fn define(&mut self, caller: u32, key: &[u8]) {
        let id = self.intern(key);
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.definitions += 1;
        }
        let place = caller as usize;
        self.same_ids &= id == caller && place <= self.defined.len();
        if self.defined.len() <= place {
            self.defined.resize(place + 1, NONE);
        }
        if let Some(slot) = self.defined.get_mut(place) {
            let before = core::mem::replace(slot, id);
            self.undefine(before);
        }
    }

    pub(crate) fn undefine_all(&mut self) {
        for id in core::mem::take(&mut self.defined) {
            self.undefine(id);
        }
        self.same_ids = true;
    }

    pub(crate) fn retain(&mut self, id: u32) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.references += 1;
        }
    }

    /// The same for several rows at once.
    pub(crate) fn retain_times(&mut self, id: u32, times: usize) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            let times = u32::try_from(times).unwrap_or(u32::MAX);
            entry.references = entry.references.saturating_add(times);
        }
    }

    pub(crate) fn release(&mut self, id: u32) {
        self.release_times(id, 1);
    }

    /// The same for several rows at once.
    pub(crate) fn release_times(&mut self, id: u32, times: usize) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            let times = u32::try_from(times).unwrap_or(u32::MAX);
            debug_assert!(entry.references >= times, "released more often than retained");
            entry.references = entry.references.saturating_sub(times);
            self.rest(id);
        }
    }

    /// Whether state or rows refer to the key.
    pub(crate) fn is_retained(&self, id: u32) -> bool {
        self.entries.get(id as usize).is_some_and(|entry| entry.references > 0)
    }

    /// Forgets the keys that have been idle the longest. Only ids that nothing holds without retaining them may be out.
    pub(crate) fn reclaim(&mut self) {
        while self.idle.len() > MAX_IDLE_KEYS {
            let Some(id) = self.idle.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(id as usize) else { continue };
            entry.idle = false;
            if entry.references > 0 || entry.definitions > 0 {
                continue;
            }
            entry.live = false;
            entry.misplaced = true;
            let bytes = core::mem::take(&mut entry.bytes);
            if let Ok(found) =
                self.table.find_entry(self.hasher.hash_one(&*bytes), |known| *known == id)
            {
                found.remove();
            }
            self.free.push(id);
        }
    }

    /// The place of each id among all keys in the order of their bytes; comparing two places compares two keys.
    pub(crate) fn ranks(&mut self) -> &[u32] {
        if !self.fresh.is_empty() {
            self.rank();
        }
        &self.ranks
    }

    /// The retained keys in the order of their bytes, for a snapshot: their places by id, and their ids by place.
    pub(crate) fn canonical(&mut self) -> (Vec<u32>, Vec<u32>) {
        self.ranks();
        let order: Vec<u32> =
            self.order.iter().copied().filter(|id| self.is_retained(*id)).collect();
        let mut positions = vec![NONE; self.entries.len()];
        for (position, id) in (0..).zip(&order) {
            if let Some(slot) = positions.get_mut(*id as usize) {
                *slot = position;
            }
        }
        (positions, order)
    }

    fn undefine(&mut self, id: u32) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.definitions = entry.definitions.saturating_sub(1);
            self.rest(id);
        }
    }

    /// Puts the key among the idle ones if nothing refers to it.
    fn rest(&mut self, id: u32) {
        let Some(entry) = self.entries.get_mut(id as usize) else { return };
        if entry.references == 0 && entry.definitions == 0 && !entry.idle {
            entry.idle = true;
            self.idle.push_back(id);
        }
    }

    /// Sorts the keys that came since the last time and merges them into the order.
    #[cold]
    fn rank(&mut self) {
        let entries = &self.entries;
        let bytes = |id: u32| entries.get(id as usize).map_or(&[][..], |entry| &entry.bytes);
        let mut fresh = core::mem::take(&mut self.fresh);
        // An id that was freed and used again since the last time stands here once for each use.
        fresh.sort_unstable_by(|a, b| bytes(*a).cmp(bytes(*b)).then(a.cmp(b)));
        fresh.dedup();
        let placed = |id: &u32| entries.get(*id as usize).is_some_and(|entry| !entry.misplaced);
        let old = self.order.iter().copied().filter(placed);
        let mut merged = Vec::with_capacity(self.order.len() + fresh.len());
        let live = |id: &u32| entries.get(*id as usize).is_some_and(|entry| entry.live);
        let mut fresh = fresh.into_iter().filter(live).peekable();
        for id in old {
            while let Some(new) = fresh.next_if(|new| bytes(*new) < bytes(id)) {
                merged.push(new);
            }
            merged.push(id);
        }
        merged.extend(fresh);
        self.ranks.resize(self.entries.len(), NONE);
        for (rank, id) in (0..).zip(&merged) {
            if let Some(slot) = self.ranks.get_mut(*id as usize) {
                *slot = rank;
            }
        }
        for entry in &mut self.entries {
            entry.misplaced = false;
        }
        self.order = merged;
    }
}
