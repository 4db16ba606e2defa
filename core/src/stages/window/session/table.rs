//! The table of sessions that have not expired, and its indexes.

use super::sorted_lists::SortedLists;
use crate::keys::{Keys, NONE};
use crate::plan::{Caps, Limit};
use crate::stages::memory_budget::{MemoryBudget, key_bytes};
use crate::util::lru::LruList;
use crate::util::timer_queue::Timers;

/// Bytes counted for a session in addition to its accumulators: its entries in the tables.
const SESSION_BYTES: u64 = 96;

/// The bounds of a session: the time of its first event, and the time of its last event plus the
/// gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// The key and the status of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionInfo {
    pub(super) key: u32,
    pub(super) status: SessionStatus,
    /// The revision number of the last row or, if that is retracted, of the next one.
    pub(super) revision: u32,
}

/// The status of a session and of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionStatus {
    /// No row has been emitted; the session waits for the watermark to reach its end.
    Open,
    /// The row has been emitted.
    Fired,
    /// The row has been emitted and retracted: the next event changes the bounds of the session.
    Retracted,
    /// The row is due before the next event, because the previous event was late.
    Late,
}

/// The sessions that an event extends: one that starts at its time or before, and one that starts
/// later. [`NONE`] if absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbours {
    pub(super) left: u32,
    pub(super) right: u32,
}

/// All sessions, by slot.
#[derive(Default)]
pub(super) struct SessionTable {
    pub(super) bounds: Vec<Bounds>,
    info: Vec<SessionInfo>,
    free: Vec<u32>,
    /// For each key its last session, unless that has fired: nearly all events belong there.
    pub(super) latest: Vec<u32>,
    /// All sessions that are not in `latest`.
    others: SortedLists,
    open_by_key: Vec<u32>,
    pub(super) open_keys: u32,
    /// Present if keys may be evicted.
    pub(super) lru: Option<LruList>,
    /// Present if bytes are limited.
    pub(super) budget: Option<MemoryBudget>,
    /// The bytes counted for a session, without those of its values.
    session_bytes: u64,
    pub(super) timers: Timers,
}

impl SessionTable {
    /// Creates a table for sessions whose accumulators take `slot_bytes` each, without values of
    /// variable size.
    pub(super) fn new(caps: &Caps, slot_bytes: u64) -> Self {
        let mut table = Self {
            lru: caps.evicts_keys().then(LruList::default),
            budget: caps.limits_bytes().then(MemoryBudget::default),
            ..Self::default()
        };
        table.set_slot_bytes(slot_bytes);
        table
    }

    /// Sets the bytes of the accumulators of a session; the table must be empty.
    pub(super) fn set_slot_bytes(&mut self, slot_bytes: u64) {
        self.session_bytes = SESSION_BYTES + slot_bytes;
    }

    /// Returns the bytes of all sessions; `variable_bytes` gives those of the values in a slot.
    pub(super) fn state_bytes(&self, keys: &Keys, variable_bytes: impl Fn(u32) -> u64) -> u64 {
        if let Some(budget) = &self.budget {
            return budget.bytes();
        }
        let open = (0..).zip(&self.open_by_key).filter(|(_, open)| **open > 0);
        let of_keys: u64 = open.map(|(key, _)| key_bytes(key, keys)).sum();
        let variable_bytes: u64 = self.slots().map(variable_bytes).sum();
        of_keys + self.len() as u64 * self.session_bytes + variable_bytes
    }

    /// Returns true if the byte limit leaves room for one more session of `key`, which has `open`
    /// of them.
    fn has_room(&self, key: u32, open: u32, caps: &Caps, keys: &Keys) -> bool {
        let Some(budget) = &self.budget else { return true };
        let of_key = if open == 0 { key_bytes(key, keys) } else { 0 };
        budget.bytes().saturating_add(of_key + self.session_bytes) <= caps.max_bytes
    }

    /// Returns the first session of `key` if it starts before `time`.
    pub(super) fn first_before(&self, key: u32, time: i64) -> Option<u32> {
        let latest = self.latest.get(key as usize).copied().filter(|slot| *slot != NONE);
        let first = self.others.of_key(key).next().or(latest);
        first.filter(|slot| self.bounds(*slot).start < time)
    }

    /// Returns the number of sessions that have not expired.
    pub(super) fn len(&self) -> usize {
        self.info.len() - self.free.len()
    }

    /// Returns the bounds of the session in `slot`.
    pub(super) fn bounds(&self, slot: u32) -> Bounds {
        self.bounds.get(slot as usize).copied().unwrap_or(Bounds { start: 0, end: 0 })
    }

    /// Returns the key and the status of the session in `slot`.
    pub(super) fn info(&self, slot: u32) -> SessionInfo {
        let none = SessionInfo { key: NONE, status: SessionStatus::Open, revision: 0 };
        self.info.get(slot as usize).copied().unwrap_or(none)
    }

    /// Sets the status and the revision of the session in `slot`.
    pub(super) fn set_status(&mut self, slot: u32, status: SessionStatus, revision: u32) {
        if let Some(info) = self.info.get_mut(slot as usize) {
            info.status = status;
            info.revision = revision;
        }
    }

    /// Returns the slots in use.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        let used = (0..).zip(&self.info).filter(|(_, info)| info.key != NONE);
        used.map(|(slot, _)| slot)
    }

    /// Returns the sessions of `key` that an event at `time` extends. The event alone would be a
    /// session until `end`.
    pub(super) fn neighbours(&self, key: u32, time: i64, end: i64) -> Neighbours {
        let latest = self.latest.get(key as usize).copied().unwrap_or(NONE);
        let reaches = |slot: u32| if time <= self.bounds(slot).end { slot } else { NONE };
        let starts_within = |slot: u32| {
            if slot != NONE && self.bounds(slot).start <= end { slot } else { NONE }
        };
        if latest != NONE && self.bounds(latest).start <= time {
            return Neighbours { left: reaches(latest), right: NONE };
        }
        if !self.has_others(key, latest) {
            return Neighbours { left: NONE, right: starts_within(latest) };
        }
        let before = self.others.last_starting_by(key, time);
        let next = self.others.starting_between(key, time, end).next();
        Neighbours {
            left: before.map_or(NONE, reaches),
            right: next.unwrap_or_else(|| starts_within(latest)),
        }
    }

    /// Returns true if `key` has sessions other than `latest`.
    fn has_others(&self, key: u32, latest: u32) -> bool {
        let open = self.open_by_key.get(key as usize).copied().unwrap_or(0);
        open > u32::from(latest != NONE)
    }

    /// Returns the sessions of `key` that touch `bounds`, in their order.
    pub(super) fn overlapping(&self, key: u32, bounds: Bounds) -> Vec<u32> {
        let Bounds { start, end } = bounds;
        let before = self.others.last_starting_by(key, start);
        let behind = self.others.starting_between(key, start, end);
        let latest = self.latest.get(key as usize).copied().filter(|slot| *slot != NONE);
        let known = before.into_iter().chain(behind).chain(latest);
        let touches = |slot: &u32| {
            let known = self.bounds(*slot);
            known.start <= end && start <= known.end
        };
        known.filter(touches).collect()
    }

    /// Opens a session of `key`, which it retains, if there is room.
    pub(super) fn open(
        &mut self,
        key: u32,
        bounds: Bounds,
        caps: &Caps,
        keys: &mut Keys,
    ) -> Result<u32, Limit> {
        let open = self.open_by_key.get(key as usize).copied().unwrap_or(0);
        if open == 0 && self.open_keys >= caps.max_keys {
            return Err(Limit::Keys);
        }
        if open >= caps.max_windows_per_key {
            return Err(Limit::Windows);
        }
        if !self.has_room(key, open, caps, keys) {
            return Err(Limit::Bytes);
        }
        keys.retain(key);
        Ok(self.insert(key, bounds, keys))
    }

    /// Stores a session of `key` in a slot.
    pub(super) fn insert(&mut self, key: u32, bounds: Bounds, keys: &Keys) -> u32 {
        let index = key as usize;
        if self.open_by_key.len() <= index {
            let ids = keys.id_bound().max(index + 1);
            self.open_by_key.resize(ids, 0);
            self.latest.resize(ids, NONE);
        }
        let info = SessionInfo { key, status: SessionStatus::Open, revision: 0 };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.info.push(info);
            self.bounds.push(bounds);
            u32::try_from(self.info.len() - 1).unwrap_or(NONE)
        });
        if let (Some(known_info), Some(known_bounds)) =
            (self.info.get_mut(slot as usize), self.bounds.get_mut(slot as usize))
        {
            (*known_info, *known_bounds) = (info, bounds);
        }
        if let Some(open) = self.open_by_key.get_mut(key as usize) {
            self.open_keys += u32::from(*open == 0);
            if let Some(budget) = &mut self.budget {
                if *open == 0 {
                    budget.open_key(key, keys);
                }
                budget.add(self.session_bytes);
            }
            *open += 1;
        }
        self.link(slot, key, bounds.start);
        slot
    }

    /// Adds a new session to `latest` or to the other sessions of its key.
    fn link(&mut self, slot: u32, key: u32, start: i64) {
        let latest = self.latest.get(key as usize).copied().unwrap_or(NONE);
        let is_last = if latest == NONE {
            // The new session is counted already.
            let only = self.open_by_key.get(key as usize) == Some(&1);
            only || !self.others.any_after(key, start)
        } else {
            self.bounds(latest).start < start
        };
        if is_last {
            if latest != NONE {
                self.others.insert(key, self.bounds(latest).start, latest);
            }
            self.set_latest(key, slot);
        } else {
            self.others.insert(key, start, slot);
        }
    }

    /// Removes the session in `slot`; its key stays retained.
    pub(super) fn remove(&mut self, slot: u32) {
        self.timers.clear(slot);
        let key = self.info(slot).key;
        self.unlink(slot);
        if let Some(info) = self.info.get_mut(slot as usize) {
            info.key = NONE;
        }
        self.free.push(slot);
        if let Some(open) = self.open_by_key.get_mut(key as usize) {
            *open = open.saturating_sub(1);
            self.open_keys -= u32::from(*open == 0);
            if let Some(budget) = &mut self.budget {
                budget.set_variable_bytes(slot, 0);
                budget.subtract(self.session_bytes);
                if *open == 0 {
                    budget.close_key(key);
                }
            }
            if let (0, Some(lru)) = (*open, &mut self.lru) {
                lru.remove(key);
            }
        }
    }

    /// Marks those of `keys` that have sessions as recently used.
    pub(super) fn touch(&mut self, keys: &[u32]) {
        let Some(lru) = &mut self.lru else { return };
        let open = |key: &&u32| self.open_by_key.get(**key as usize).is_some_and(|open| *open > 0);
        keys.iter().filter(open).for_each(|key| lru.touch(*key));
    }

    /// Returns the sessions of `key`.
    pub(super) fn of_key(&self, key: u32) -> Vec<u32> {
        let latest = self.latest.get(key as usize).copied().filter(|slot| *slot != NONE);
        self.others.of_key(key).chain(latest).collect()
    }

    /// Changes the bounds of the session in `slot`.
    pub(super) fn set_bounds(&mut self, slot: u32, bounds: Bounds) {
        let (key, before) = (self.info(slot).key, self.bounds(slot));
        if before.start != bounds.start && self.others.remove(key, before.start, slot) {
            self.others.insert(key, bounds.start, slot);
        }
        if let Some(known) = self.bounds.get_mut(slot as usize) {
            *known = bounds;
        }
    }

    /// Moves the session in `slot` to `latest` if it is open and the last one of its key.
    pub(super) fn make_latest(&mut self, slot: u32) {
        let (SessionInfo { key, status, .. }, start) = (self.info(slot), self.bounds(slot).start);
        let waits = status == SessionStatus::Open && self.latest.get(key as usize) == Some(&NONE);
        if waits && !self.others.any_after(key, start) {
            self.others.remove(key, start, slot);
            self.set_latest(key, slot);
        }
    }

    /// Removes the session in `slot` from `latest`, so that the fast path does not extend it.
    pub(super) fn clear_latest(&mut self, slot: u32) {
        let key = self.info(slot).key;
        if self.latest.get(key as usize) == Some(&slot) {
            self.set_latest(key, NONE);
            self.others.insert(key, self.bounds(slot).start, slot);
        }
    }

    fn set_latest(&mut self, key: u32, slot: u32) {
        if let Some(latest) = self.latest.get_mut(key as usize) {
            *latest = slot;
        }
    }

    /// Removes the session in `slot` from `latest` or from the other sessions of its key.
    fn unlink(&mut self, slot: u32) {
        let key = self.info(slot).key;
        if self.latest.get(key as usize) == Some(&slot) {
            self.set_latest(key, NONE);
        } else {
            self.others.remove(key, self.bounds(slot).start, slot);
        }
    }
}
