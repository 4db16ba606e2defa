//! The rows that each window has emitted for each key, for windows that may emit more than one.
//!
//! Numbers the rows (`revision`). `changes.rs` schedules the early ones.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::slice::hash;
use crate::plan::Grid;

/// Bytes counted for a key and window with emitted rows.
const EMITTED_BYTES: u64 = 32;

/// The number of rows emitted of each key in each window that may emit another one.
#[derive(Default)]
pub(super) struct EmittedRows {
    /// By window start; no window is empty.
    windows: BTreeMap<i64, HashTable<KeyRows>>,
    /// The number of keys in all windows.
    len: u64,
}

/// The emitted rows of one key in one window. The slices of the window retain the key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyRows {
    pub(super) key: u32,
    /// Number of rows emitted, at least 1.
    pub(super) rows: u32,
}

/// The numbers of the rows of a window.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbering {
    /// No other row of the window can follow.
    Last,
    /// Another row may follow. At most this number of keys find room to be remembered.
    Counted { room: u64 },
}

impl EmittedRows {
    /// Returns the start of the first window at `from` or later that has entries.
    pub(super) fn first_window_from(&self, from: i64) -> Option<i64> {
        self.windows.range(from..).next().map(|(start, _)| *start)
    }

    /// Returns the entries of the window at `start`, in any order.
    pub(super) fn rows_of_window(&self, start: i64) -> impl Iterator<Item = KeyRows> {
        self.windows.get(&start).into_iter().flat_map(|window| window.iter().copied())
    }

    /// Returns the bytes counted for all entries.
    pub(super) fn bytes(&self) -> u64 {
        EMITTED_BYTES * self.len
    }

    /// Returns the number of entries that `bytes` have room for.
    pub(super) fn room_in(bytes: u64) -> u64 {
        bytes / EMITTED_BYTES
    }

    /// Adds an entry of a snapshot to the window at `start`. Returns false if the key has an entry
    /// already.
    pub(super) fn insert(&mut self, start: i64, entry: KeyRows) -> bool {
        let window = self.windows.entry(start).or_default();
        if find(window, entry.key).is_some() {
            return false;
        }
        window.insert_unique(hash(entry.key), entry, |entry| hash(entry.key));
        self.len += 1;
        true
    }

    /// Appends the number of rows that the window at `start` has emitted of each of `keys`, and
    /// counts these rows as `numbering` says. Returns the number of rows that were not counted for
    /// lack of room.
    pub(super) fn number(
        &mut self,
        start: i64,
        keys: &[u32],
        numbering: Numbering,
        numbers: &mut Vec<f64>,
    ) -> u64 {
        let Numbering::Counted { mut room } = numbering else {
            let window = self.windows.get(&start);
            let rows = |key: &u32| window.and_then(|window| find(window, *key));
            numbers.extend(keys.iter().map(|key| rows(key).map_or(0.0, |entry| entry.rows.into())));
            return 0;
        };
        let (mut uncounted, before) = (0, room);
        let window = self.windows.entry(start).or_default();
        if window.is_empty() {
            let expected = usize::try_from(room).unwrap_or(usize::MAX).min(keys.len());
            window.reserve(expected, |entry| hash(entry.key));
        }
        numbers.extend(keys.iter().map(|key| {
            let hashed = hash(*key);
            if let Some(entry) = window.find_mut(hashed, |entry| entry.key == *key) {
                let rows = entry.rows;
                entry.rows = rows.saturating_add(1);
                return f64::from(rows);
            }
            if room == 0 {
                uncounted += 1;
            } else {
                room -= 1;
                let entry = KeyRows { key: *key, rows: 1 };
                window.insert_unique(hashed, entry, |entry| hash(entry.key));
            }
            0.0
        }));
        if window.is_empty() {
            self.windows.remove(&start);
        }
        self.len += before - room;
        uncounted
    }

    /// Removes the windows that have expired at `watermark`.
    pub(super) fn remove_expired(&mut self, grid: &Grid, watermark: i64) {
        while let Some(window) = self.windows.first_entry() {
            if grid.expires_at(*window.key()) > watermark {
                return;
            }
            self.len -= window.remove().len() as u64;
        }
    }

    /// Removes `key` from the windows that start from `first` to `last`.
    pub(super) fn remove_key(&mut self, key: u32, first: i64, last: i64) {
        if first > last {
            return;
        }
        let mut empty = Vec::new();
        for (start, window) in self.windows.range_mut(first..=last) {
            if let Ok(entry) = window.find_entry(hash(key), |entry| entry.key == key) {
                entry.remove();
                self.len -= 1;
            }
            if window.is_empty() {
                empty.push(*start);
            }
        }
        for start in empty {
            self.windows.remove(&start);
        }
    }
}

/// Returns the entry of `key`.
fn find(window: &HashTable<KeyRows>, key: u32) -> Option<&KeyRows> {
    window.find(hash(key), |entry| entry.key == key)
}
