//! Lifetimes of keys: which keys have state, and when it expires.

use super::state::KeyedState;
use crate::keys::Keys;
use crate::plan::{Caps, Limit};
use crate::util::timer_queue::{NEVER, Timers};

/// Reason why admission stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stages) enum AdmitStop {
    /// All events of the range were admitted.
    EndOfRange,
    /// A key may expire before the next event.
    MayExpire,
    /// The next event needs more room than this limit leaves.
    Limit(Limit),
}

/// Lifetimes of keys: from the first value until `ttl` has passed without events.
///
/// A key expires once the watermark reaches the time of its latest event + ttl. An event at or
/// after that time also starts a new lifetime.
pub(in crate::stages) struct Lifetimes {
    /// One entry for each live key, whose slot is its id.
    pub(in crate::stages) state: KeyedState,
    ttl: Option<i64>,
    /// Time of each key's latest event, by key id; empty without a ttl.
    latest: Vec<i64>,
    /// A lower bound of the expiry of each live key. The exact time is computed only when it is
    /// reached.
    deadlines: Timers,
    /// The first of `deadlines`.
    next_deadline: i64,
}

impl Lifetimes {
    /// Makes lifetimes of keys whose states count for `state_bytes` each, without their values.
    pub(in crate::stages) fn new(caps: &Caps, ttl: Option<i64>, state_bytes: u64) -> Self {
        Self {
            state: KeyedState::new(caps, state_bytes, false),
            ttl,
            latest: Vec::new(),
            deadlines: Timers::default(),
            next_deadline: NEVER,
        }
    }

    /// Returns true if keys have no ttl.
    pub(in crate::stages) fn never_expire(&self) -> bool {
        self.ttl.is_none()
    }

    /// Returns the ttl, microseconds.
    pub(in crate::stages) fn ttl(&self) -> Option<i64> {
        self.ttl
    }

    /// Returns true if `key` is alive.
    pub(in crate::stages) fn is_alive(&self, key: u32) -> bool {
        self.state.entries_of(key) > 0
    }

    /// Returns how many of `keys` precede the first key that is not alive.
    pub(in crate::stages) fn count_alive(&self, keys: &[u32]) -> usize {
        count_alive(self.state.entries_by_key(), keys)
    }

    /// Returns the time of the latest event of `key`, which must be alive.
    pub(in crate::stages) fn latest(&self, key: u32) -> i64 {
        self.latest.get(key as usize).copied().unwrap_or(i64::MIN)
    }

    /// Starts the lifetime of `key`, which must not be alive.
    pub(in crate::stages) fn begin(&mut self, key: u32, timestamp: i64, keys: &mut Keys) {
        keys.retain(key);
        self.state.open(key, keys);
        if let Some(ttl) = self.ttl {
            let index = key as usize;
            if self.latest.len() <= index {
                self.latest.resize(keys.id_bound().max(index + 1), i64::MIN);
            }
            if let Some(latest) = self.latest.get_mut(index) {
                *latest = timestamp;
            }
            self.deadlines.set(key, timestamp.saturating_add(ttl));
            self.update_next_deadline();
        }
    }

    /// Records an event of `key`.
    pub(in crate::stages) fn touch(&mut self, key: u32, timestamp: i64) {
        if let Some(latest) = self.latest.get_mut(key as usize) {
            *latest = timestamp.max(*latest);
        }
    }

    /// Returns true if a key may expire before an event of `key` at `timestamp` under `watermark`.
    pub(in crate::stages) fn may_expire(&self, key: u32, timestamp: i64, watermark: i64) -> bool {
        watermark >= self.next_deadline || self.is_expired(key, timestamp)
    }

    /// Returns true if `key` is alive but has expired at `time`.
    pub(in crate::stages) fn is_expired(&self, key: u32, time: i64) -> bool {
        let Some(ttl) = self.ttl else { return false };
        self.is_alive(key) && time >= self.latest(key).saturating_add(ttl)
    }

    /// Ends the lifetime of `key`, which must be alive.
    pub(in crate::stages) fn expire(&mut self, key: u32, keys: &mut Keys) {
        self.state.close(key, key);
        keys.release(key);
        if self.ttl.is_some() {
            self.deadlines.clear(key);
            self.update_next_deadline();
        }
    }

    /// Expires one key whose time has come at `watermark` and returns it.
    pub(in crate::stages) fn expire_next(
        &mut self,
        watermark: i64,
        keys: &mut Keys,
    ) -> Option<u32> {
        let ttl = self.ttl?;
        while watermark >= self.next_deadline {
            let (_, key) = self.deadlines.first()?;
            let deadline = self.latest(key).saturating_add(ttl).min(NEVER - 1);
            if deadline <= watermark {
                self.expire(key, keys);
                return Some(key);
            }
            self.deadlines.postpone_first(deadline);
            self.update_next_deadline();
        }
        None
    }

    fn update_next_deadline(&mut self) {
        self.next_deadline = self.deadlines.first().map_or(NEVER, |(deadline, _)| deadline);
    }
}

// A separate function: wasmtime's compiler keeps loop variables in registers only in small
// functions.
#[inline(never)]
fn count_alive(entries_by_key: &[u32], keys: &[u32]) -> usize {
    let alive = |key: &u32| entries_by_key.get(*key as usize).copied().unwrap_or(0) > 0;
    let (eights, _) = keys.as_chunks::<8>();
    let all = |eight: &&[u32; 8]| eight.iter().fold(true, |all, key| all & alive(key));
    let before = 8 * eights.iter().take_while(all).count();
    let rest = keys.get(before..).unwrap_or_default();
    before + rest.iter().take_while(|key| alive(key)).count()
}
