//! The rows that each window has emitted for each key, for windows that may emit more than one.
//!
//! Numbers the rows (`revision`) and schedules early rows of the windows that have changed.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashTable;

use super::slice::hash;
use crate::plan::{Early, Grid};

/// Number of stale keys that a list of changed keys may always contain.
const MIN_STALE_KEYS: usize = 64;

/// The rows emitted of windows that have not expired, and the early rows that are due.
#[derive(Default)]
pub(super) struct EmittedRows {
    /// By window start.
    windows: BTreeMap<i64, WindowRows>,
    /// The next early rows of each changed window: the watermark at which they are due, then the
    /// window.
    due: BTreeSet<(i64, i64)>,
    /// Incremented whenever early rows are taken.
    pass: u64,
    /// For each slot the pass in which its windows were last marked as changed.
    marked: Vec<u64>,
}

/// The emitted rows of one window.
#[derive(Default)]
struct WindowRows {
    keys: HashTable<KeyRows>,
    /// The keys that have changed since their last row, in any order.
    changed: Vec<u32>,
}

/// The emitted rows of one key in one window. The slices of the window retain the key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyRows {
    pub(super) key: u32,
    /// Number of rows emitted.
    pub(super) rows: u32,
    /// True if the key has changed since its last row and an early row is due.
    pub(super) changed: bool,
}

impl EmittedRows {
    /// Returns the start of the first window at `from` or later that has entries.
    pub(super) fn first_window_from(&self, from: i64) -> Option<i64> {
        self.windows.range(from..).next().map(|(start, _)| *start)
    }

    /// Returns the entries of the window at `start`, in any order.
    pub(super) fn rows_of_window(&self, start: i64) -> impl Iterator<Item = KeyRows> {
        self.windows.get(&start).into_iter().flat_map(|window| window.keys.iter().copied())
    }

    /// Adds an entry of a snapshot to the window at `start`, whose next early rows are `due`.
    /// Returns false if the key has an entry already.
    pub(super) fn insert(&mut self, start: i64, due: Option<i64>, entry: KeyRows) -> bool {
        let window = self.windows.entry(start).or_default();
        if window.key_rows(entry.key).is_some() {
            return false;
        }
        if let (true, Some(due)) = (entry.changed, due) {
            window.changed.push(entry.key);
            self.due.insert((due, start));
        }
        *window.key_rows_mut(entry.key) = entry;
        true
    }

    /// Appends the number of rows that the window at `start` has emitted of each of `keys`. If
    /// `count_rows`, each count is then incremented.
    pub(super) fn number(
        &mut self,
        start: i64,
        keys: &[u32],
        count_rows: bool,
        numbers: &mut Vec<f64>,
    ) {
        if keys.is_empty() {
            return;
        }
        if !count_rows {
            let window = self.windows.get(&start);
            let entry = |key: &u32| window.and_then(|window| window.key_rows(*key));
            numbers
                .extend(keys.iter().map(|key| entry(key).map_or(0.0, |entry| entry.rows.into())));
            return;
        }
        let window = self.windows.entry(start).or_default();
        if window.keys.is_empty() {
            window.keys.reserve(keys.len(), |entry| hash(entry.key));
        }
        numbers.extend(keys.iter().map(|key| {
            let entry = window.key_rows_mut(*key);
            entry.rows = entry.rows.saturating_add(1);
            f64::from(entry.rows - 1)
        }));
    }

    /// Removes the windows that have expired at `watermark`.
    pub(super) fn remove_expired(&mut self, grid: &Grid, watermark: i64) {
        while let Some(window) = self.windows.first_entry() {
            if grid.expires_at(*window.key()) > watermark {
                return;
            }
            window.remove();
        }
    }

    /// Removes `key` from the windows that start from `first` to `last`.
    pub(super) fn remove_key(&mut self, key: u32, first: i64, last: i64) {
        if first > last {
            return;
        }
        let mut empty = Vec::new();
        for (start, window) in self.windows.range_mut(first..=last) {
            window.remove_key(key);
            if window.keys.is_empty() {
                empty.push(*start);
            }
        }
        for start in empty {
            self.windows.remove(&start);
        }
    }

    /// Resets the mark of `slot`, which is used for another key or slice from now on.
    pub(super) fn reset(&mut self, slot: u32) {
        if let Some(marked) = self.marked.get_mut(slot as usize) {
            *marked = 0;
        }
    }

    /// Returns true if the windows of `slot` are already marked as changed in this pass.
    pub(super) fn is_marked(&self, slot: u32) -> bool {
        self.marked.get(slot as usize).is_some_and(|marked| *marked == self.pass + 1)
    }

    /// Marks `slot`, which belongs to `key`, and those of `windows` that have early rows due
    /// according to `due`.
    #[cold]
    pub(super) fn mark(
        &mut self,
        slot: u32,
        key: u32,
        windows: impl Iterator<Item = i64>,
        due: impl Fn(i64) -> Option<i64>,
    ) {
        let index = slot as usize;
        if self.marked.len() <= index {
            self.marked.resize(index + 1, 0);
        }
        if let Some(marked) = self.marked.get_mut(index) {
            *marked = self.pass + 1;
        }
        for start in windows {
            let Some(due) = due(start) else { continue };
            let window = self.windows.entry(start).or_default();
            let entry = window.key_rows_mut(key);
            if !core::mem::replace(&mut entry.changed, true) {
                window.changed.push(key);
                self.due.insert((due, start));
            }
        }
    }

    /// Returns the first early rows that are due: the watermark, then the window.
    pub(super) fn first_due(&self) -> Option<(i64, i64)> {
        self.due.first().copied()
    }

    /// Takes the changed keys of the window that is due first, in the order of their ids.
    pub(super) fn take_first_due(&mut self) -> Vec<u32> {
        self.pass += 1;
        let Some((_, start)) = self.due.pop_first() else { return Vec::new() };
        let Some(window) = self.windows.get_mut(&start) else { return Vec::new() };
        let mut changed = core::mem::take(&mut window.changed);
        changed.retain(|key| window.take_change(*key));
        crate::util::sort::descending_by(&mut changed, |key| key);
        changed.reverse();
        changed
    }
}

impl WindowRows {
    /// Returns true if `key` has changed since its last row, and resets the flag.
    fn take_change(&mut self, key: u32) -> bool {
        let entry = self.keys.find_mut(hash(key), |entry| entry.key == key);
        entry.is_some_and(|entry| core::mem::take(&mut entry.changed))
    }

    /// Removes `key`. Its id may stay in the list of changed keys, which is rebuilt once most of
    /// its entries are stale.
    fn remove_key(&mut self, key: u32) {
        if let Ok(entry) = self.keys.find_entry(hash(key), |entry| entry.key == key) {
            entry.remove();
        }
        if self.changed.len() > 2 * self.keys.len() + MIN_STALE_KEYS {
            let changed = self.keys.iter().filter(|entry| entry.changed).map(|entry| entry.key);
            self.changed = changed.collect();
        }
    }

    /// Returns the entry of `key`.
    fn key_rows(&self, key: u32) -> Option<&KeyRows> {
        self.keys.find(hash(key), |entry| entry.key == key)
    }

    /// Returns the entry of `key`, adding an empty one if absent.
    fn key_rows_mut(&mut self, key: u32) -> &mut KeyRows {
        let new = || KeyRows { key, rows: 0, changed: false };
        let entry = self.keys.entry(hash(key), |entry| entry.key == key, |entry| hash(entry.key));
        entry.or_insert_with(new).into_mut()
    }
}

impl Early {
    /// Returns the watermark after `watermark` at which the next early row of the window at `start`
    /// is due, if that is before it fires.
    pub(super) fn due(&self, grid: &Grid, start: i64, watermark: i64) -> Option<i64> {
        let since = if watermark < start { 0 } else { watermark.saturating_sub(start) };
        let nth = since / self.every_us + 1;
        let due = start.saturating_add(nth.saturating_mul(self.every_us));
        (due < grid.fires_at(start)).then_some(due)
    }
}
