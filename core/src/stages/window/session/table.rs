//! The table of sessions that have not expired, and its indexes.

use super::sorted_lists::SortedLists;
use crate::keys::{Keys, NONE};
use crate::plan::{Caps, Limit};
use crate::stages::keyed::slots::Slots;
use crate::stages::keyed::state::KeyedState;
use crate::util::timer_queue::Timers;

/// Bytes counted for a session in addition to its accumulators: its entries in the tables.
pub(super) const SESSION_BYTES: u64 = 96;

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

/// The sessions that an event touches, in their order: at most two, because each is at least as
/// long as the gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbours {
    slots: [u32; 2],
    count: usize,
}

impl Neighbours {
    /// Lists the session that starts at the event's time or before, and the one that starts later;
    /// [`NONE`] if absent.
    fn new(left: u32, right: u32) -> Self {
        match (left, right) {
            (NONE, NONE) => Self { slots: [NONE; 2], count: 0 },
            (NONE, slot) | (slot, NONE) => Self { slots: [slot, NONE], count: 1 },
            (left, right) => Self { slots: [left, right], count: 2 },
        }
    }

    /// Returns their slots.
    pub(super) fn slots(&self) -> &[u32] {
        self.slots.get(..self.count).unwrap_or_default()
    }
}

/// All sessions, by slot.
pub(super) struct SessionTable {
    pub(super) bounds: Vec<Bounds>,
    info: Slots<SessionInfo>,
    /// For each key its last session, unless that has fired: nearly all events belong there.
    pub(super) latest: Vec<u32>,
    /// All sessions that are not in `latest`.
    others: SortedLists,
    /// The number of sessions of each key.
    pub(super) keyed: KeyedState,
    pub(super) timers: Timers,
}

impl SessionTable {
    /// Creates a table for sessions whose accumulators take `slot_bytes` each, without values of
    /// variable size.
    pub(super) fn new(caps: &Caps, slot_bytes: u64) -> Self {
        Self {
            bounds: Vec::new(),
            info: Slots::default(),
            latest: Vec::new(),
            others: SortedLists::default(),
            keyed: KeyedState::new(caps, SESSION_BYTES + slot_bytes, true),
            timers: Timers::default(),
        }
    }

    /// Returns the first session of `key` if it starts before `time`.
    pub(super) fn first_before(&self, key: u32, time: i64) -> Option<u32> {
        let latest = self.latest.get(key as usize).copied().filter(|slot| *slot != NONE);
        let first = self.others.of_key(key).next().or(latest);
        first.filter(|slot| self.bounds(*slot).start < time)
    }

    /// Returns the number of sessions that have not expired.
    pub(super) fn len(&self) -> usize {
        self.info.used()
    }

    /// Returns the bounds of the session in `slot`.
    pub(super) fn bounds(&self, slot: u32) -> Bounds {
        self.bounds.get(slot as usize).copied().unwrap_or(Bounds { start: 0, end: 0 })
    }

    /// Returns the key and the status of the session in `slot`.
    pub(super) fn info(&self, slot: u32) -> SessionInfo {
        let none = SessionInfo { key: NONE, status: SessionStatus::Open, revision: 0 };
        self.info.get(slot).copied().unwrap_or(none)
    }

    /// Sets the status and the revision of the session in `slot`.
    pub(super) fn set_status(&mut self, slot: u32, status: SessionStatus, revision: u32) {
        if let Some(info) = self.info.get_mut(slot) {
            info.status = status;
            info.revision = revision;
        }
    }

    /// Returns the slots in use.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        let used = (0..).zip(self.info.items()).filter(|(_, info)| info.key != NONE);
        used.map(|(slot, _)| slot)
    }

    /// Returns the sessions of `key` that an event touches; alone it would be a session of `bounds`.
    pub(super) fn neighbours(&self, key: u32, bounds: Bounds) -> Neighbours {
        let Bounds { start: time, end } = bounds;
        let latest = self.latest.get(key as usize).copied().unwrap_or(NONE);
        let reaches = |slot: u32| if time <= self.bounds(slot).end { slot } else { NONE };
        let starts_within = |slot: u32| {
            if slot != NONE && self.bounds(slot).start <= end { slot } else { NONE }
        };
        if latest != NONE && self.bounds(latest).start <= time {
            return Neighbours::new(reaches(latest), NONE);
        }
        if !self.has_others(key, latest) {
            return Neighbours::new(NONE, starts_within(latest));
        }
        let before = self.others.last_starting_by(key, time);
        let next = self.others.starting_between(key, time, end).next();
        let right = next.unwrap_or_else(|| starts_within(latest));
        Neighbours::new(before.map_or(NONE, reaches), right)
    }

    /// Returns true if `key` has sessions other than `latest`.
    fn has_others(&self, key: u32, latest: u32) -> bool {
        self.keyed.entries_of(key) > u32::from(latest != NONE)
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
    pub(super) fn open(&mut self, key: u32, bounds: Bounds, keys: &mut Keys) -> Result<u32, Limit> {
        if let Some(limit) = self.keyed.limit(key, keys) {
            return Err(limit);
        }
        keys.retain(key);
        Ok(self.insert(key, bounds, keys))
    }

    /// Stores a session of `key` in a slot.
    pub(super) fn insert(&mut self, key: u32, bounds: Bounds, keys: &Keys) -> u32 {
        let index = key as usize;
        if self.latest.len() <= index {
            self.latest.resize(keys.id_bound().max(index + 1), NONE);
        }
        let slot = self.info.take(SessionInfo { key, status: SessionStatus::Open, revision: 0 });
        match self.bounds.get_mut(slot as usize) {
            Some(known) => *known = bounds,
            None => self.bounds.push(bounds),
        }
        self.keyed.open(key, keys);
        self.link(slot, key, bounds.start);
        slot
    }

    /// Adds a new session to `latest` or to the other sessions of its key.
    fn link(&mut self, slot: u32, key: u32, start: i64) {
        let latest = self.latest.get(key as usize).copied().unwrap_or(NONE);
        let is_last = if latest == NONE {
            // The new session is counted already.
            let only = self.keyed.entries_of(key) == 1;
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
        if let Some(info) = self.info.get_mut(slot) {
            info.key = NONE;
        }
        self.info.free(slot);
        self.keyed.close(key, slot);
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
