//! The keys with state in a stage: their entries and bytes, and the key to evict next.

use super::memory_budget::{MemoryBudget, key_bytes};
use crate::error::SnapshotError;
use crate::keys::Keys;
use crate::plan::{Caps, Limit};
use crate::snapshot::Codec;
use crate::util::lru::LruList;

/// The number of entries of each key, and the limits on them.
///
/// An entry is what a stage stores for a key: a window, a slice, a session, or the state of all
/// fields. It may have a slot, under which bytes of variable size are counted.
pub(in crate::stages) struct KeyedState {
    caps: Caps,
    /// Maximum number of entries of a key.
    max_entries: u32,
    /// Bytes counted for an entry, without its values of variable size.
    entry_bytes: u64,
    /// The number of entries by key id.
    entries: Vec<u32>,
    /// The number of keys that have entries.
    open_keys: u32,
    /// Present if keys may be evicted.
    lru: Option<LruList>,
    /// Present if bytes are limited.
    budget: Option<MemoryBudget>,
    /// Bytes of state that belongs to no entry. They are part of the budget.
    other_bytes: u64,
}

impl KeyedState {
    /// Creates a state without keys for a stage that has several entries for each key, or one.
    pub(in crate::stages) fn new(caps: &Caps, entry_bytes: u64, several: bool) -> Self {
        Self {
            caps: *caps,
            max_entries: if several { caps.max_windows_per_key } else { u32::MAX },
            entry_bytes,
            entries: Vec::new(),
            open_keys: 0,
            lru: caps.evicts_keys().then(LruList::default),
            budget: caps.limits_bytes().then(MemoryBudget::default),
            other_bytes: 0,
        }
    }

    /// Keeps the order of use if windows may be evicted, even if keys may not.
    pub(in crate::stages) fn order_keys_if_windows_evict(mut self) -> Self {
        self.lru = self.caps.evicts().then(LruList::default);
        self
    }

    /// Sets the bytes counted for an entry; there must be none yet.
    pub(in crate::stages) fn set_entry_bytes(&mut self, bytes: u64) {
        self.entry_bytes = bytes;
    }

    /// Returns the number of keys that have entries.
    pub(in crate::stages) fn open_keys(&self) -> u32 {
        self.open_keys
    }

    /// Returns the number of entries of `key`.
    pub(in crate::stages) fn entries_of(&self, key: u32) -> u32 {
        self.entries.get(key as usize).copied().unwrap_or(0)
    }

    /// Returns the number of entries by key id; keys beyond its end have none.
    pub(in crate::stages) fn entries_by_key(&self) -> &[u32] {
        &self.entries
    }

    /// Returns the keys that have entries.
    pub(in crate::stages) fn keys(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.entries).filter(|(_, entries)| **entries > 0).map(|(key, _)| key)
    }

    /// Returns true if opening and closing entries is only counted, without an order of use and
    /// without bytes.
    pub(in crate::stages) fn only_counts(&self) -> bool {
        self.lru.is_none() && self.budget.is_none()
    }

    /// Returns the limit that leaves no room for one more entry of `key`.
    pub(in crate::stages) fn limit(&self, key: u32, keys: &Keys) -> Option<Limit> {
        let entries = self.entries_of(key);
        if entries == 0 && self.open_keys >= self.caps.max_keys {
            return Some(Limit::Keys);
        }
        if entries >= self.max_entries {
            return Some(Limit::Windows);
        }
        let budget = self.budget.as_ref()?;
        let of_key = if entries == 0 { key_bytes(key, keys) } else { 0 };
        let bytes = budget.bytes().saturating_add(of_key + self.entry_bytes);
        (bytes > self.caps.max_bytes).then_some(Limit::Bytes)
    }

    /// Returns true if the bytes exceed the limit.
    pub(in crate::stages) fn exceeds_bytes(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.bytes() > self.caps.max_bytes)
    }

    /// Replaces the bytes counted for state that belongs to no entry.
    pub(in crate::stages) fn set_other_bytes(&mut self, bytes: u64) {
        let before = core::mem::replace(&mut self.other_bytes, bytes);
        if let Some(budget) = &mut self.budget {
            budget.add(bytes);
            budget.subtract(before);
        }
    }

    /// Returns the bytes that the limit leaves for values.
    pub(in crate::stages) fn bytes_left(&self) -> u64 {
        let left = |budget: &MemoryBudget| self.caps.max_bytes.saturating_sub(budget.bytes());
        self.budget.as_ref().map_or(u64::MAX, left)
    }

    /// Counts one more entry of `key`.
    pub(in crate::stages) fn open(&mut self, key: u32, keys: &Keys) {
        let index = key as usize;
        if self.entries.len() <= index {
            self.entries.resize(keys.id_bound().max(index + 1), 0);
        }
        let Some(entries) = self.entries.get_mut(index) else { return };
        self.open_keys += u32::from(*entries == 0);
        if let Some(budget) = &mut self.budget {
            if *entries == 0 {
                budget.open_key(key, keys);
            }
            budget.add(self.entry_bytes);
        }
        *entries += 1;
    }

    /// Counts one more entry of `key` if its limits allow that, for state that
    /// [only counts](Self::only_counts). Returns false if not, or if the id of the key is new.
    #[inline]
    pub(in crate::stages) fn try_open(&mut self, key: u32) -> bool {
        let Some(entries) = self.entries.get_mut(key as usize) else { return false };
        let is_full = *entries == 0 && self.open_keys >= self.caps.max_keys;
        if is_full || *entries >= self.max_entries {
            return false;
        }
        self.open_keys += u32::from(*entries == 0);
        *entries += 1;
        true
    }

    /// Counts one entry less of `key`, which was in `slot`.
    pub(in crate::stages) fn close(&mut self, key: u32, slot: u32) {
        let Some(entries) = self.entries.get_mut(key as usize) else { return };
        *entries = entries.saturating_sub(1);
        self.open_keys -= u32::from(*entries == 0);
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(slot, 0);
            budget.subtract(self.entry_bytes);
            if *entries == 0 {
                budget.close_key(key);
            }
        }
        if let (0, Some(lru)) = (*entries, &mut self.lru) {
            lru.remove(key);
        }
    }

    /// Makes `key` the most recently used one.
    pub(in crate::stages) fn touch(&mut self, key: u32) {
        if let Some(lru) = &mut self.lru {
            lru.touch(key);
        }
    }

    /// Does the same for each of `keys` that has entries, in their order.
    pub(in crate::stages) fn touch_all(&mut self, keys: &[u32]) {
        let Some(lru) = &mut self.lru else { return };
        let is_open = |key: &&u32| self.entries.get(**key as usize).is_some_and(|open| *open > 0);
        keys.iter().filter(is_open).for_each(|key| lru.touch(*key));
    }

    /// Returns the least recently used key if keys may be evicted.
    pub(in crate::stages) fn oldest(&self) -> Option<u32> {
        self.lru.as_ref()?.oldest()
    }

    /// Removes `key` from the order of use.
    pub(in crate::stages) fn forget_use(&mut self, key: u32) {
        if let Some(lru) = &mut self.lru {
            lru.remove(key);
        }
    }

    /// Returns true if the order of use is kept.
    pub(in crate::stages) fn orders_keys(&self) -> bool {
        self.lru.is_some()
    }

    /// Returns true if bytes are limited.
    pub(in crate::stages) fn limits_bytes(&self) -> bool {
        self.budget.is_some()
    }

    /// Replaces the variable bytes counted for `slot` by those that `bytes` returns, if bytes are
    /// limited.
    pub(in crate::stages) fn measure(&mut self, slot: u32, bytes: impl FnOnce() -> u64) {
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(slot, bytes());
        }
    }

    /// Returns the bytes of all entries and of other state; `variable_bytes` returns those of their
    /// values.
    pub(in crate::stages) fn bytes(
        &self,
        keys: &Keys,
        variable_bytes: impl FnOnce() -> u64,
    ) -> u64 {
        if let Some(budget) = &self.budget {
            return budget.bytes();
        }
        let of_keys: u64 = self.keys().map(|key| key_bytes(key, keys)).sum();
        let entries: u64 = self.entries.iter().map(|entries| u64::from(*entries)).sum();
        of_keys + entries * self.entry_bytes + variable_bytes() + self.other_bytes
    }

    /// Checks that each key in the order of use has entries. Otherwise the key to evict next would
    /// have nothing to evict.
    pub(in crate::stages) fn check_order(&self) -> Result<(), SnapshotError> {
        let is_open = |key: u32| self.entries_of(key) > 0;
        self.lru.as_ref().map_or(Ok(()), |lru| lru.check_keys(is_open))
    }

    /// Writes or reads the order of use, if it is kept. Entries are counted as they are read.
    pub(in crate::stages) fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        self.lru.as_mut().map_or(Ok(()), |lru| lru.fields(codec))
    }
}
