//! The engine's key dictionary: each distinct key is interned once to a dense id.
//!
//! [`Keys`] owns the bytes of all keys ([`ByteTable`]), a reference count and a definition count
//! per id, and the cached sort order of the keys (`order.rs`). State and buffered rows retain their
//! key; a key that nothing refers to becomes idle. [`Keys::reclaim`] removes the keys idle the
//! longest.
//!
//! ```text
//!  intern ──> referenced ──release──> idle ──reclaim──> removed, id free
//!               ^                      │
//!               └──────retain──────────┘
//! ```
//!
//! `column.rs` interns whole columns. [`interner`] is a simpler dictionary without removal, for
//! readers and for `key_json`, the keys of JavaScript.

mod column;
#[cfg_attr(
    not(feature = "host"),
    allow(dead_code, unreachable_pub, reason = "the feature `host` makes it public")
)]
pub mod interner;
#[cfg(all(feature = "host", feature = "text"))]
pub mod key_json;
mod order;

use core::ops::Range;
use std::collections::VecDeque;

pub(crate) use self::column::KeyLengths;
use self::order::KeyOrder;
use crate::util::byte_table::ByteTable;
pub(crate) use crate::util::id_table::NONE;

/// The number of idle keys that are kept, so that a key that returns keeps its id, and their bytes.
const MAX_IDLE_KEYS: usize = 65_536;
const MAX_IDLE_BYTES: usize = 8 << 20;

/// Stands for a key that is longer than [`Keys::max_key_bytes`]: it is not in the dictionary, and
/// events with it are rejected. Like [`NONE`], it has its highest bit set.
pub(crate) const TOO_LONG: u32 = NONE - 1;

/// The number of keys whose table slots are prefetched at once, before each is processed.
const PREFETCH_BATCH: usize = 256;

/// Interned keys by dense id. Ids never leave the engine; ids of removed keys are reused.
#[derive(Clone)]
pub(crate) struct Keys {
    table: ByteTable,
    /// The maximum length of a key that the caller gives.
    max_key_bytes: usize,
    /// The counts of each id.
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Idle ids, the longest idle first. Some may be referenced again since.
    idle: VecDeque<u32>,
    /// The bytes of the keys in `idle`.
    idle_bytes: usize,
    /// The engine's id for each id of the caller; [`TOO_LONG`] for a key that is too long.
    defined: Vec<u32>,
    /// The number of ids of the caller that are defined.
    definitions: usize,
    /// True if all ids of the caller are equal to the engine's ids, without gaps.
    same_ids: bool,
    order: KeyOrder,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// The number of state entries and rows that refer to this key.
    references: u32,
    /// The number of the caller's ids that are defined as this key.
    definitions: u32,
    /// True if the id is in the idle queue.
    idle: bool,
}

impl Keys {
    /// Creates an empty dictionary; a key that the caller gives has at most `max_key_bytes` bytes.
    pub(crate) fn new(seed: u64, max_key_bytes: u32) -> Self {
        Self {
            table: ByteTable::new(seed),
            max_key_bytes: max_key_bytes as usize,
            entries: Vec::new(),
            free: Vec::new(),
            idle: VecDeque::new(),
            idle_bytes: 0,
            defined: Vec::new(),
            definitions: 0,
            same_ids: true,
            order: KeyOrder::default(),
        }
    }

    /// Returns the bound of ids: all are below it.
    pub(crate) fn id_bound(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.table.bytes(id)
    }

    /// Returns the engine's id for each of the caller's ids; [`NONE`] for an undefined id and
    /// [`TOO_LONG`] for a key that is too long.
    pub(crate) fn defined(&self) -> &[u32] {
        &self.defined
    }

    /// Returns the number of the caller's ids that are defined.
    pub(crate) fn definitions(&self) -> usize {
        self.definitions
    }

    /// Returns true if a key of `bytes` bytes is too long for a caller to give.
    pub(crate) fn is_too_long(&self, bytes: usize) -> bool {
        bytes > self.max_key_bytes
    }

    /// Returns whether the caller's ids equal the engine's, for all ids below the length of
    /// [`Keys::defined`].
    pub(crate) fn has_same_ids(&self) -> bool {
        self.same_ids
    }

    /// Returns the id of `key`, adding it if needed. The id stays valid until [`Keys::reclaim`],
    /// and beyond while it is retained.
    pub(crate) fn intern(&mut self, key: &[u8]) -> u32 {
        match self.table.find(key) {
            NONE => {
                let id = self.insert(key);
                self.mark_idle_if_unreferenced(id);
                id
            }
            id => id,
        }
    }

    /// Returns the id of `key`, which a caller gives; [`TOO_LONG`] for a key that is too long.
    fn intern_given(&mut self, key: &[u8]) -> u32 {
        if self.is_too_long(key.len()) { TOO_LONG } else { self.intern(key) }
    }

    /// Adds `key`, which is not in the dictionary, and returns its id.
    fn insert(&mut self, key: &[u8]) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
        });
        self.table.insert(key, id);
        self.order.insert(id);
        id
    }

    /// Defines the caller's `ids` as `keys`, until [`Keys::undefine`].
    pub(crate) fn define_all<'a>(
        &mut self,
        ids: &[u32],
        mut keys: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        for ids in ids.chunks(PREFETCH_BATCH) {
            self.table.prefetch(keys.clone().take(ids.len()));
            for (id, key) in ids.iter().zip(&mut keys) {
                self.define(*id, key);
            }
        }
    }

    /// Defines the caller's id `caller` as `key`, until [`Keys::undefine`].
    pub(crate) fn define(&mut self, caller: u32, key: &[u8]) {
        let id = match self.table.find(key) {
            _ if self.is_too_long(key.len()) => TOO_LONG,
            NONE => self.insert(key),
            id => id,
        };
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.definitions += 1;
        }
        let index = caller as usize;
        self.same_ids &= id == caller && index <= self.defined.len();
        if self.defined.len() <= index {
            self.defined.resize(index + 1, NONE);
        }
        if let Some(slot) = self.defined.get_mut(index) {
            let before = core::mem::replace(slot, id);
            self.definitions += usize::from(before == NONE);
            self.remove_definition(before);
        }
    }

    /// Removes the definitions of the caller's ids in `ids`.
    pub(crate) fn undefine(&mut self, ids: Range<u32>) {
        let end = self.defined.len().min(ids.end as usize);
        for index in ids.start as usize..end {
            let slot = self.defined.get_mut(index);
            let before = slot.map_or(NONE, |slot| core::mem::replace(slot, NONE));
            self.definitions -= usize::from(before != NONE);
            self.remove_definition(before);
        }
        let leaves_gap = (ids.start as usize) < end && end < self.defined.len();
        if end == self.defined.len() {
            self.defined.truncate(ids.start as usize);
        }
        self.same_ids = self.defined.is_empty() || (self.same_ids && !leaves_gap);
    }

    /// Adds `offset` to each of the caller's ids that are defined.
    #[cfg(all(feature = "host", feature = "text"))]
    pub(crate) fn shift_definitions(&mut self, offset: u32) {
        self.defined.splice(..0, core::iter::repeat_n(NONE, offset as usize));
        self.same_ids = offset == 0 && self.same_ids;
    }

    pub(crate) fn retain(&mut self, id: u32) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.references += 1;
        }
    }

    /// Retains a key `times` times.
    pub(crate) fn retain_times(&mut self, id: u32, times: usize) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            let times = u32::try_from(times).unwrap_or(u32::MAX);
            entry.references = entry.references.saturating_add(times);
        }
    }

    pub(crate) fn release(&mut self, id: u32) {
        self.release_times(id, 1);
    }

    /// Releases a key `times` times.
    pub(crate) fn release_times(&mut self, id: u32, times: usize) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            let times = u32::try_from(times).unwrap_or(u32::MAX);
            debug_assert!(entry.references >= times, "released more often than retained");
            entry.references = entry.references.saturating_sub(times);
            self.mark_idle_if_unreferenced(id);
        }
    }

    /// Prefetches the entries of `ids`.
    pub(crate) fn prefetch(&self, ids: &[u32]) {
        let references =
            |id: &u32| self.entries.get(*id as usize).map_or(0, |entry| entry.references);
        core::hint::black_box(ids.iter().map(references).fold(0, u32::wrapping_add));
    }

    /// Returns whether state or rows refer to the key.
    pub(crate) fn is_retained(&self, id: u32) -> bool {
        self.entries.get(id as usize).is_some_and(|entry| entry.references > 0)
    }

    /// Removes the keys idle the longest, beyond the number and the bytes kept. The caller must hold
    /// no id that is not retained.
    pub(crate) fn reclaim(&mut self) {
        while self.idle.len() > MAX_IDLE_KEYS || self.idle_bytes > MAX_IDLE_BYTES {
            let Some(id) = self.idle.pop_front() else { return };
            self.idle_bytes -= self.table.bytes(id).len();
            let Some(entry) = self.entries.get_mut(id as usize) else { continue };
            entry.idle = false;
            if entry.references == 0 && entry.definitions == 0 {
                self.table.remove(id);
                self.order.remove(id);
                self.free.push(id);
            }
        }
    }

    /// Returns ranks by id, in the order of the keys' bytes: comparing the ranks of two of the
    /// `count` keys that `ids` returns compares these keys. Ids may repeat.
    pub(crate) fn ranks_of(&mut self, count: usize, ids: impl FnOnce() -> Vec<u32>) -> &[u32] {
        self.order.ranks_of(count, ids, &self.table)
    }

    /// Returns the retained keys sorted by their bytes, for a snapshot: the position of each id,
    /// and the id at each position.
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

    /// Counts one definition less of the key `id`, if it is one.
    fn remove_definition(&mut self, id: u32) {
        if let Some(entry) = self.entries.get_mut(id as usize) {
            entry.definitions = entry.definitions.saturating_sub(1);
            self.mark_idle_if_unreferenced(id);
        }
    }

    /// Adds the key to the idle queue if nothing refers to it.
    fn mark_idle_if_unreferenced(&mut self, id: u32) {
        let Some(entry) = self.entries.get_mut(id as usize) else { return };
        if entry.references == 0 && entry.definitions == 0 && !entry.idle {
            entry.idle = true;
            self.idle.push_back(id);
            self.idle_bytes += self.table.bytes(id).len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_keys_are_bounded_by_bytes() {
        let mut keys = Keys::new(0, 100_000);
        let key = |number: u64| [&number.to_be_bytes()[..], &[0; 50_000]].concat();
        for number in 0..400 {
            keys.intern(&key(number));
        }
        keys.reclaim();
        let kept = (0..400).filter(|number| keys.table.find(&key(*number)) != NONE).count();
        assert_eq!(kept, MAX_IDLE_BYTES / 50_008);
        assert_ne!(keys.table.find(&key(399)), NONE);
    }

    #[test]
    fn definitions_are_counted_and_removed_in_ranges() {
        let mut keys = Keys::new(0, 3);
        for (id, key) in [(0, &b"a"[..]), (1, b"b"), (2, b"long"), (3, b"a")] {
            keys.define(id, key);
        }
        assert_eq!((keys.definitions(), keys.defined()), (4, &[0, 1, TOO_LONG, 0][..]));
        keys.undefine(1..2);
        assert_eq!((keys.definitions(), keys.defined()[1], keys.has_same_ids()), (3, NONE, false));
        keys.undefine(2..u32::MAX);
        assert_eq!((keys.definitions(), keys.defined()), (1, &[0, NONE][..]));
        keys.undefine(0..u32::MAX);
        assert!(keys.defined().is_empty() && keys.has_same_ids());
    }
}
