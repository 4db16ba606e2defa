//! The bytes of what a stage keeps, by a rule that is the same everywhere: what there is counts, not what memory it takes.

use crate::keys::Keys;

/// A key, beside its own bytes: its entry in the dictionary and in the tables of the stage.
const KEY_BYTES: u64 = 96;

/// What a stage keeps, where its bytes are limited.
#[derive(Default)]
pub(super) struct MemoryBudget {
    bytes: u64,
    /// What each key counts for, by id.
    keys: Vec<u64>,
    /// What is counted of each slot beyond that every window has.
    extra: Vec<u64>,
}

/// What `key` counts for.
pub(super) fn key_bytes(key: u32, keys: &Keys) -> u64 {
    KEY_BYTES + keys.bytes(key).len() as u64
}

impl MemoryBudget {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts `bytes` more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts `bytes` less.
    pub(super) fn subtract(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Counts `key`, which it does not count yet.
    pub(super) fn open_key(&mut self, key: u32, keys: &Keys) {
        let bytes = key_bytes(key, keys);
        put(&mut self.keys, key, bytes);
        self.add(bytes);
    }

    /// Counts `key` no more.
    pub(super) fn close_key(&mut self, key: u32) {
        let bytes = put(&mut self.keys, key, 0);
        self.subtract(bytes);
    }

    /// Counts `bytes` for what `slot` holds beyond that every window has, in place of what it did.
    pub(super) fn set_variable_bytes(&mut self, slot: u32, bytes: u64) {
        let before = put(&mut self.extra, slot, bytes);
        self.bytes = self.bytes.saturating_add(bytes).saturating_sub(before);
    }
}

/// Sets the entry at `place`, and returns what was there.
fn put(list: &mut Vec<u64>, place: u32, value: u64) -> u64 {
    let place = place as usize;
    if list.len() <= place {
        list.resize(place + 1, 0);
    }
    list.get_mut(place).map_or(0, |entry| core::mem::replace(entry, value))
}
