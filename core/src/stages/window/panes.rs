//! Panes: the rows that a window has given of a key, where it may give more than one.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashTable;

use super::slice::hash;
use crate::plan::{Early, Grid};

/// Keys that are gone and may always stand among those that have changed.
const MIN_GONE: usize = 64;

/// What has been said of the windows that are not gone, and what is to be said before they end.
#[derive(Default)]
pub(super) struct Panes {
    /// By the start of the window.
    windows: BTreeMap<i64, Window>,
    /// The early rows that are due next of each window that has changed: the watermark, then the window.
    due: BTreeSet<(i64, i64)>,
    /// Goes up whenever early rows are made.
    pass: u64,
    /// For each slot the pass in which its windows were last marked as changed.
    marked: Vec<u64>,
}

/// What has been said of one window.
#[derive(Default)]
struct Window {
    keys: HashTable<Pane>,
    /// The keys that have changed since their last row, in any order.
    changed: Vec<u32>,
}

/// One key in one window. The key is retained by the slices that the window covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pane {
    pub(super) key: u32,
    /// The rows that it has given.
    pub(super) rows: u32,
    /// Whether it has changed since the last one, as far as an early row is due.
    pub(super) changed: bool,
}

impl Panes {
    /// The start of the first window at `from` or later that there is something to say of.
    pub(super) fn first_from(&self, from: i64) -> Option<i64> {
        self.windows.range(from..).next().map(|(start, _)| *start)
    }

    /// What there is to say of the window at `start`, in any order.
    pub(super) fn of(&self, start: i64) -> impl Iterator<Item = Pane> {
        self.windows.get(&start).into_iter().flat_map(|window| window.keys.iter().copied())
    }

    /// Adds what a snapshot says of the window at `start`, of which early rows are `due` next; false: it says so twice.
    pub(super) fn insert(&mut self, start: i64, due: Option<i64>, pane: Pane) -> bool {
        let window = self.windows.entry(start).or_default();
        if window.pane(pane.key).is_some() {
            return false;
        }
        if let (true, Some(due)) = (pane.changed, due) {
            window.changed.push(pane.key);
            self.due.insert((due, start));
        }
        *window.pane_mut(pane.key) = pane;
        true
    }

    /// Appends how many rows the window at `start` has given of each of `keys`; each is one more now, if that is `kept`.
    pub(super) fn number(&mut self, start: i64, keys: &[u32], kept: bool, numbers: &mut Vec<f64>) {
        if keys.is_empty() {
            return;
        }
        if !kept {
            let window = self.windows.get(&start);
            let pane = |key: &u32| window.and_then(|window| window.pane(*key));
            numbers.extend(keys.iter().map(|key| pane(key).map_or(0.0, |pane| pane.rows.into())));
            return;
        }
        let window = self.windows.entry(start).or_default();
        if window.keys.is_empty() {
            window.keys.reserve(keys.len(), |pane| hash(pane.key));
        }
        numbers.extend(keys.iter().map(|key| {
            let pane = window.pane_mut(*key);
            pane.rows = pane.rows.saturating_add(1);
            f64::from(pane.rows - 1)
        }));
    }

    /// Forgets the windows that are gone at `watermark`.
    pub(super) fn forget(&mut self, grid: &Grid, watermark: i64) {
        while let Some(window) = self.windows.first_entry() {
            if grid.gone_at(*window.key()) > watermark {
                return;
            }
            window.remove();
        }
    }

    /// Forgets what was said of `key`, in all windows.
    pub(super) fn forget_key(&mut self, key: u32) {
        for window in self.windows.values_mut() {
            window.forget_key(key);
        }
        self.windows.retain(|_, window| !window.keys.is_empty());
    }

    /// Takes note that `slot` is another one from now on.
    pub(super) fn reset(&mut self, slot: u32) {
        if let Some(marked) = self.marked.get_mut(slot as usize) {
            *marked = 0;
        }
    }

    /// Whether an event in `slot` is nothing new: its windows are marked already.
    pub(super) fn is_marked(&self, slot: u32) -> bool {
        self.marked.get(slot as usize).is_some_and(|marked| *marked == self.pass + 1)
    }

    /// Marks that `slot`, which is of `key`, has changed, and with it `windows`, as far as early rows are `due` of them.
    #[cold]
    pub(super) fn mark(
        &mut self,
        slot: u32,
        key: u32,
        windows: impl Iterator<Item = i64>,
        due: impl Fn(i64) -> Option<i64>,
    ) {
        let place = slot as usize;
        if self.marked.len() <= place {
            self.marked.resize(place + 1, 0);
        }
        if let Some(marked) = self.marked.get_mut(place) {
            *marked = self.pass + 1;
        }
        for start in windows {
            let Some(due) = due(start) else { continue };
            let window = self.windows.entry(start).or_default();
            let pane = window.pane_mut(key);
            if !core::mem::replace(&mut pane.changed, true) {
                window.changed.push(key);
                self.due.insert((due, start));
            }
        }
    }

    /// The first early rows that are due: the watermark, then the window.
    pub(super) fn first_due(&self) -> Option<(i64, i64)> {
        self.due.first().copied()
    }

    /// Takes the keys that are due first, in the order of their ids.
    pub(super) fn take_due(&mut self) -> Vec<u32> {
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

impl Window {
    /// Whether `key` has changed since its last row; from now on it has not.
    fn take_change(&mut self, key: u32) -> bool {
        let pane = self.keys.find_mut(hash(key), |pane| pane.key == key);
        pane.is_some_and(|pane| core::mem::take(&mut pane.changed))
    }

    /// Forgets `key`, which may still stand among those that have changed; if most there are gone, they are looked through.
    fn forget_key(&mut self, key: u32) {
        if let Ok(pane) = self.keys.find_entry(hash(key), |pane| pane.key == key) {
            pane.remove();
        }
        if self.changed.len() > 2 * self.keys.len() + MIN_GONE {
            let changed = self.keys.iter().filter(|pane| pane.changed).map(|pane| pane.key);
            self.changed = changed.collect();
        }
    }

    fn pane(&self, key: u32) -> Option<&Pane> {
        self.keys.find(hash(key), |pane| pane.key == key)
    }

    fn pane_mut(&mut self, key: u32) -> &mut Pane {
        let new = || Pane { key, rows: 0, changed: false };
        let entry = self.keys.entry(hash(key), |pane| pane.key == key, |pane| hash(pane.key));
        entry.or_insert_with(new).into_mut()
    }
}

impl Early {
    /// The watermark at which the next early row of the window at `start` is due after `watermark`; none before it fires.
    pub(super) fn due(&self, grid: &Grid, start: i64, watermark: i64) -> Option<i64> {
        let since = if watermark < start { 0 } else { watermark.saturating_sub(start) };
        let nth = since / self.every_us + 1;
        let due = start.saturating_add(nth.saturating_mul(self.every_us));
        (due < grid.fires_at(start)).then_some(due)
    }
}
