//! Sessions of each key in the order of their starts: mostly none, or a few.

/// A list that has had more entries gives its memory back once it is empty.
const KEPT_ENTRIES: usize = 16;

/// A session: no two of a key start at the same time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: i64,
    slot: u32,
}

/// Lists of slots by key id.
#[derive(Default)]
pub(super) struct Others {
    lists: Vec<Vec<Entry>>,
}

impl Others {
    fn list(&self, key: u32) -> &[Entry] {
        self.lists.get(key as usize).map_or(&[], Vec::as_slice)
    }

    /// The sessions of `key` that start at `time` at the latest, and those that start later.
    fn split(&self, key: u32, time: i64) -> (&[Entry], &[Entry]) {
        let list = self.list(key);
        list.split_at(list.partition_point(|entry| entry.start <= time))
    }

    /// All sessions of `key`.
    pub(super) fn of_key(&self, key: u32) -> impl DoubleEndedIterator<Item = u32> {
        self.list(key).iter().map(|entry| entry.slot)
    }

    /// The last session of `key` that starts at `time` at the latest.
    pub(super) fn until(&self, key: u32, time: i64) -> Option<u32> {
        self.split(key, time).0.last().map(|entry| entry.slot)
    }

    /// The sessions of `key` that start after `time`, but not after `end`.
    pub(super) fn between(&self, key: u32, time: i64, end: i64) -> impl Iterator<Item = u32> {
        let behind = self.split(key, time).1.iter().take_while(move |entry| entry.start <= end);
        behind.map(|entry| entry.slot)
    }

    /// Whether a session of `key` starts after `time`.
    pub(super) fn any_after(&self, key: u32, time: i64) -> bool {
        self.list(key).last().is_some_and(|entry| entry.start > time)
    }

    pub(super) fn insert(&mut self, key: u32, start: i64, slot: u32) {
        let place = key as usize;
        if self.lists.len() <= place {
            self.lists.resize_with(place + 1, Vec::new);
        }
        let Some(list) = self.lists.get_mut(place) else { return };
        let at = list.partition_point(|entry| entry.start <= start);
        list.insert(at, Entry { start, slot });
    }

    /// Takes the session of `key` that starts at `start` out, if it is the one in `slot`; false: it is not here.
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
