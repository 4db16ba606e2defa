//! Lifetimes of keys: which keys have state, and when it expires.

use std::collections::BTreeSet;

use crate::keys::Keys;
use crate::plan::{Caps, Limit};
use crate::stages::memory_budget::{MemoryBudget, key_bytes};
use crate::util::lru::LruList;

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
    caps: Caps,
    ttl: Option<i64>,
    /// By key id.
    is_alive_by_key: Vec<bool>,
    alive: u32,
    /// Time of each key's latest event, by key id; empty without a ttl.
    latest: Vec<i64>,
    /// A lower bound of the expiry of each live key. The exact time is computed only when it is
    /// reached.
    deadlines: BTreeSet<(i64, u32)>,
    /// Entry of each key in `deadlines`, by key id.
    listed_deadline: Vec<i64>,
    /// The first of `deadlines`.
    next_deadline: i64,
    /// Present if keys may be evicted.
    pub(in crate::stages) lru: Option<LruList>,
    /// Present if bytes are limited.
    pub(in crate::stages) budget: Option<MemoryBudget>,
    /// Bytes that a key counts for, without its name and its values.
    state_bytes: u64,
}

impl Lifetimes {
    /// Makes lifetimes of keys whose states count for `state_bytes` each, without their values.
    pub(in crate::stages) fn new(caps: Caps, ttl: Option<i64>, state_bytes: u64) -> Self {
        Self {
            caps,
            ttl,
            is_alive_by_key: Vec::new(),
            alive: 0,
            latest: Vec::new(),
            deadlines: BTreeSet::new(),
            listed_deadline: Vec::new(),
            next_deadline: i64::MAX,
            lru: caps.evicts_keys().then(LruList::default),
            budget: caps.limits_bytes().then(MemoryBudget::default),
            state_bytes,
        }
    }

    /// Returns the number of live keys.
    pub(in crate::stages) fn alive(&self) -> u64 {
        self.alive.into()
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
        self.is_alive_by_key.get(key as usize).copied().unwrap_or(false)
    }

    /// Returns how many of `keys` precede the first key that is not alive.
    pub(in crate::stages) fn count_alive(&self, keys: &[u32]) -> usize {
        count_alive(&self.is_alive_by_key, keys)
    }

    /// Returns the live keys.
    pub(in crate::stages) fn keys(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.is_alive_by_key).filter(|(_, alive)| **alive).map(|(key, _)| key)
    }

    /// Returns the time of the latest event of `key`, which must be alive.
    pub(in crate::stages) fn latest(&self, key: u32) -> i64 {
        self.latest.get(key as usize).copied().unwrap_or(i64::MIN)
    }

    /// Returns the limit that leaves no room for `key`, which must not be alive.
    pub(in crate::stages) fn limit(&self, key: u32, keys: &Keys) -> Option<Limit> {
        if self.alive >= self.caps.max_keys {
            return Some(Limit::Keys);
        }
        let budget = self.budget.as_ref()?;
        let bytes = budget.bytes().saturating_add(key_bytes(key, keys) + self.state_bytes);
        (bytes > self.caps.max_bytes).then_some(Limit::Bytes)
    }

    /// Starts the lifetime of `key`, which must not be alive.
    pub(in crate::stages) fn begin(&mut self, key: u32, timestamp: i64, keys: &mut Keys) {
        let index = key as usize;
        let bound = keys.id_bound().max(index + 1);
        if self.is_alive_by_key.len() < bound {
            self.is_alive_by_key.resize(bound, false);
        }
        if let Some(is_alive) = self.is_alive_by_key.get_mut(index) {
            *is_alive = true;
        }
        self.alive += 1;
        keys.retain(key);
        if let Some(budget) = &mut self.budget {
            budget.open_key(key, keys);
            budget.add(self.state_bytes);
        }
        if let Some(ttl) = self.ttl {
            if self.latest.len() < bound {
                self.latest.resize(bound, i64::MIN);
                self.listed_deadline.resize(bound, i64::MAX);
            }
            if let Some(latest) = self.latest.get_mut(index) {
                *latest = timestamp;
            }
            self.schedule(key, timestamp.saturating_add(ttl));
        }
    }

    /// Records an event of `key`.
    pub(in crate::stages) fn touch(&mut self, key: u32, timestamp: i64) {
        if let Some(latest) = self.latest.get_mut(key as usize) {
            *latest = timestamp.max(*latest);
        }
    }

    /// Records events of `keys` in the LRU list; ignores keys that are not alive.
    pub(in crate::stages) fn touch_all(&mut self, keys: &[u32]) {
        let Some(lru) = &mut self.lru else { return };
        let alive = |key: &&u32| self.is_alive_by_key.get(**key as usize) == Some(&true);
        keys.iter().filter(alive).for_each(|key| lru.touch(*key));
    }

    /// Returns the least recently used key if keys may be evicted.
    pub(in crate::stages) fn oldest(&self) -> Option<u32> {
        self.lru.as_ref()?.oldest()
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
        if let Some(is_alive) = self.is_alive_by_key.get_mut(key as usize) {
            *is_alive = false;
        }
        self.alive = self.alive.saturating_sub(1);
        keys.release(key);
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(key, 0);
            budget.subtract(self.state_bytes);
            budget.close_key(key);
        }
        if let Some(lru) = &mut self.lru {
            lru.remove(key);
        }
        if let Some(listed_deadline) = self.listed_deadline.get(key as usize) {
            self.deadlines.remove(&(*listed_deadline, key));
            self.update_next_deadline();
        }
    }

    /// Expires one key whose time has come at `watermark` and returns it.
    pub(in crate::stages) fn expire_next(
        &mut self,
        watermark: i64,
        keys: &mut Keys,
    ) -> Option<u32> {
        while watermark >= self.next_deadline {
            let (_, key) = self.deadlines.pop_first()?;
            let deadline = self.latest(key).saturating_add(self.ttl.unwrap_or(i64::MAX));
            if deadline <= watermark {
                self.expire(key, keys);
                return Some(key);
            }
            self.schedule(key, deadline);
        }
        None
    }

    /// Enters `key` in `deadlines`.
    fn schedule(&mut self, key: u32, deadline: i64) {
        if let Some(listed_deadline) = self.listed_deadline.get_mut(key as usize) {
            *listed_deadline = deadline;
        }
        self.deadlines.insert((deadline, key));
        self.update_next_deadline();
    }

    fn update_next_deadline(&mut self) {
        self.next_deadline = self.deadlines.first().map_or(i64::MAX, |(deadline, _)| *deadline);
    }
}

// A separate function: wasmtime's compiler keeps loop variables in registers only in small
// functions.
#[inline(never)]
fn count_alive(is_alive_by_key: &[bool], keys: &[u32]) -> usize {
    let alive = |key: &u32| is_alive_by_key.get(*key as usize).copied().unwrap_or(false);
    let (eights, _) = keys.as_chunks::<8>();
    let all = |eight: &&[u32; 8]| eight.iter().fold(true, |all, key| all & alive(key));
    let before = 8 * eights.iter().take_while(all).count();
    let rest = keys.get(before..).unwrap_or_default();
    before + rest.iter().take_while(|key| alive(key)).count()
}
