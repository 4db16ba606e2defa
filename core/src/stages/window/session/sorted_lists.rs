//! Lists of the sessions of each key in the order of their starts; most are empty or short.

/// An empty list with a larger capacity frees its memory.
const KEPT_ENTRIES: usize = 16;

/// A session; no two sessions of a key start at the same time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: i64,
    slot: u32,
}

/// Lists of sessions by key id.
#[derive(Default)]
pub(super) struct SortedLists {
    lists: Vec<Vec<Entry>>,
}

impl SortedLists {
    /// Returns the sessions of `key`.
    fn list(&self, key: u32) -> &[Entry] {
        self.lists.get(key as usize).map_or(&[], Vec::as_slice)
    }

    /// Splits the sessions of `key` into those that start at `time` or before, and those that start
    /// later.
    fn split(&self, key: u32, time: i64) -> (&[Entry], &[Entry]) {
        let list = self.list(key);
        list.split_at(list.partition_point(|entry| entry.start <= time))
    }

    /// Returns all sessions of `key`.
    pub(super) fn of_key(&self, key: u32) -> impl DoubleEndedIterator<Item = u32> {
        self.list(key).iter().map(|entry| entry.slot)
    }

    /// Returns the last session of `key` that starts at `time` or before.
    pub(super) fn last_starting_by(&self, key: u32, time: i64) -> Option<u32> {
        self.split(key, time).0.last().map(|entry| entry.slot)
    }

    /// Returns the sessions of `key` that start after `time` and not after `end`.
    pub(super) fn starting_between(
        &self,
        key: u32,
        time: i64,
        end: i64,
    ) -> impl Iterator<Item = u32> {
        let behind = self.split(key, time).1.iter().take_while(move |entry| entry.start <= end);
        behind.map(|entry| entry.slot)
    }

    /// Returns true if a session of `key` starts after `time`.
    pub(super) fn any_after(&self, key: u32, time: i64) -> bool {
        self.list(key).last().is_some_and(|entry| entry.start > time)
    }

    /// Adds the session of `key` in `slot`, which starts at `start`.
    pub(super) fn insert(&mut self, key: u32, start: i64, slot: u32) {
        let index = key as usize;
        if self.lists.len() <= index {
            self.lists.resize_with(index + 1, Vec::new);
        }
        let Some(list) = self.lists.get_mut(index) else { return };
        let at = list.partition_point(|entry| entry.start <= start);
        list.insert(at, Entry { start, slot });
    }

    /// Removes the session of `key` that starts at `start` in `slot`. Returns false if the list
    /// does not contain it.
    pub(super) fn remove(&mut self, key: u32, start: i64, slot: u32) -> bool {
        let Some(list) = self.lists.get_mut(key as usize) else { return false };
        let first = list.partition_point(|entry| entry.start < start);
        let same = |entry: &Entry| entry.slot == slot && entry.start == start;
        let Some(at) = list.iter().skip(first).position(same) else { return false };
        list.remove(first + at);
        if list.is_empty() && list.capacity() > KEPT_ENTRIES {
            *list = Vec::new();
        }
        true
    }
}
