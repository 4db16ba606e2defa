//! Accounting of state bytes: a fixed rule counts what a stage holds, independent of what the
//! allocator takes.

use crate::keys::Keys;

/// Bytes counted for a key in addition to its own: its entries in the dictionary and in the stage's
/// tables.
const KEY_BYTES: u64 = 96;

/// The bytes that a stage with a byte limit holds.
#[derive(Default)]
pub(in crate::stages) struct MemoryBudget {
    bytes: u64,
    /// The bytes counted for each key, by id.
    key_bytes: Vec<u64>,
    /// The bytes of values counted for each slot, in addition to the fixed size of a window.
    variable_bytes: Vec<u64>,
}

/// Returns the bytes that `key` counts for.
pub(in crate::stages) fn key_bytes(key: u32, keys: &Keys) -> u64 {
    KEY_BYTES + keys.bytes(key).len() as u64
}

impl MemoryBudget {
    /// Returns the total.
    pub(in crate::stages) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds `bytes` to the total.
    pub(in crate::stages) fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Subtracts `bytes` from the total.
    pub(in crate::stages) fn subtract(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Adds `key`, which must not be counted yet.
    pub(in crate::stages) fn open_key(&mut self, key: u32, keys: &Keys) {
        let bytes = key_bytes(key, keys);
        replace(&mut self.key_bytes, key, bytes);
        self.add(bytes);
    }

    /// Removes `key` from the total.
    pub(in crate::stages) fn close_key(&mut self, key: u32) {
        let bytes = replace(&mut self.key_bytes, key, 0);
        self.subtract(bytes);
    }

    /// Replaces the variable bytes counted for `slot` by `bytes`.
    pub(in crate::stages) fn set_variable_bytes(&mut self, slot: u32, bytes: u64) {
        let before = replace(&mut self.variable_bytes, slot, bytes);
        self.bytes = self.bytes.saturating_add(bytes).saturating_sub(before);
    }
}

/// Replaces the entry at `index` and returns the previous one.
fn replace(list: &mut Vec<u64>, index: u32, value: u64) -> u64 {
    let index = index as usize;
    if list.len() <= index {
        list.resize(index + 1, 0);
    }
    list.get_mut(index).map_or(0, |entry| core::mem::replace(entry, value))
}
