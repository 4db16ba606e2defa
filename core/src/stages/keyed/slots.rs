//! Slots: dense numbers for the entries of a stage, reused after they are freed.

use crate::keys::NONE;

/// The items of a stage by slot. What a freed slot contains is up to the owner.
pub(in crate::stages) struct Slots<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Stores `item` in a free slot and returns the slot.
    #[inline]
    pub(in crate::stages) fn take(&mut self, item: T) -> u32 {
        let Some(slot) = self.free.pop() else {
            self.items.push(item);
            return u32::try_from(self.items.len() - 1).unwrap_or(NONE);
        };
        if let Some(entry) = self.items.get_mut(slot as usize) {
            *entry = item;
        }
        slot
    }

    /// Frees `slot` for another item.
    #[inline]
    pub(in crate::stages) fn free(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Returns the number of slots in use.
    pub(in crate::stages) fn used(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Returns all items by slot, those of freed slots included.
    pub(in crate::stages) fn items(&self) -> &[T] {
        &self.items
    }

    /// Returns all items by slot, those of freed slots included.
    pub(in crate::stages) fn items_mut(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// Returns the item in `slot`.
    pub(in crate::stages) fn get(&self, slot: u32) -> Option<&T> {
        self.items.get(slot as usize)
    }

    /// Returns the item in `slot`.
    pub(in crate::stages) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.items.get_mut(slot as usize)
    }
}
