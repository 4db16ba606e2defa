//! The engine's key dictionary: keys are interned once to dense ids, kept while something refers to them.

mod column;
pub mod interner;
#[cfg(feature = "text")]
pub mod key_json;
mod order;

use std::collections::VecDeque;

use self::order::Order;
use crate::util::byte_table::ByteTable;
pub(crate) use crate::util::id_table::NONE;

/// Keys nothing refers to that are kept all the same, so that a key that comes back is found.
const MAX_IDLE_KEYS: usize = 65_536;

/// Keys that are looked for in memory at once, before each is dealt with.
const READ_AT_ONCE: usize = 256;

/// Interned keys by dense id. Ids never leave the engine; those of forgotten keys are used again.
#[derive(Clone)]
pub(crate) struct Keys {
    table: ByteTable,
    /// What is known of each id.
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Ids that nothing referred to when they were put here, the longest idle first.
    idle: VecDeque<u32>,
    /// The caller's ids.
    defined: Vec<u32>,
    /// Whether every id of the caller that is defined is also the engine's, without a gap.
    same_ids: bool,
    order: Order,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// State and rows that refer to this key.
    references: u32,
    /// Ids of the caller that mean this key.
    definitions: u32,
    /// Whether it is among the idle ones.
    idle: bool,
}

impl Keys {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            table: ByteTable::new(seed),
            entries: Vec::new(),
            free: Vec::new(),
            idle: VecDeque::new(),
            defined: Vec::new(),
            same_ids: true,
            order: Order::default(),
        }
    }

    /// Ids are below this.
    pub(crate) fn id_bound(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.table.bytes(id)
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
        match self.table.find(key) {
            NONE => {
                let id = self.insert(key);
                self.rest(id);
                id
            }
            id => id,
        }
    }

    /// Gives `key`, which has none, an id.
    fn insert(&mut self, key: &[u8]) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
        });
        self.table.insert(key, id);
        self.order.note_new(id);
        id
    }

    /// Gives the caller's `ids` to `keys`, until [`Keys::undefine_all`].
    pub(crate) fn define_all<'a>(
        &mut self,
        ids: &[u32],
        mut keys: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        for ids in ids.chunks(READ_AT_ONCE) {
            self.table.read_ahead(keys.clone().take(ids.len()));
            for (id, key) in ids.iter().zip(&mut keys) {
                self.define(*id, key);
            }
        }
    }

    /// Gives the caller's id `caller` to `key`, until [`Keys::undefine_all`].
    pub(crate) fn define(&mut self, caller: u32, key: &[u8]) {
        let id = match self.table.find(key) {
            NONE => self.insert(key),
            id => id,
        };
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

    /// Has the memory look for what is known of `ids`.
    pub(crate) fn read_ahead(&self, ids: &[u32]) {
        let references =
            |id: &u32| self.entries.get(*id as usize).map_or(0, |entry| entry.references);
        core::hint::black_box(ids.iter().map(references).fold(0, u32::wrapping_add));
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
            if entry.references == 0 && entry.definitions == 0 {
                self.table.remove(id);
                self.order.note_gone(id);
                self.free.push(id);
            }
        }
    }

    /// The place of each id among all keys in the order of their bytes; comparing two places compares two keys.
    pub(crate) fn ranks(&mut self) -> &[u32] {
        self.order.ranks(&self.table)
    }

    /// The retained keys in the order of their bytes, for a snapshot: their places by id, and their ids by place.
    pub(crate) fn canonical(&mut self) -> (Vec<u32>, Vec<u32>) {
        let order: Vec<u32> = self.order.ids(&self.table).to_vec();
        let order: Vec<u32> = order.into_iter().filter(|id| self.is_retained(*id)).collect();
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
}
