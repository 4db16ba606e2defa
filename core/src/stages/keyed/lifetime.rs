//! Which keys a stage keeps something of, and until when.

use std::collections::BTreeSet;

use crate::keys::Keys;
use crate::plan::{Caps, Limit};
use crate::stages::memory_budget::{MemoryBudget, key_bytes};
use crate::util::lru::LruList;

/// Why a run of events ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// There is no next event.
    End,
    /// Before the next event a life may end.
    Ending,
    /// The next event needs more than this limit leaves.
    Limit(Limit),
}

/// The lives of keys, each from its first value until it has had no events for as long as `ttl`.
///
/// A key is over once the watermark has reached the time of its latest event + ttl; an event as late as that begins a new life too.
pub(super) struct Lifetimes {
    caps: Caps,
    ttl: Option<i64>,
    /// By key id.
    lives: Vec<bool>,
    alive: u32,
    /// The time of each key's latest event; empty without a ttl.
    latest: Vec<i64>,
    /// When each key that is alive is over, or a time before that: it is looked up only then.
    ends: BTreeSet<(i64, u32)>,
    /// By key id, the time under which it stands there.
    listed: Vec<i64>,
    /// The first of these.
    next_end: i64,
    /// Where keys may be evicted.
    pub(super) lru: Option<LruList>,
    /// Where bytes are limited.
    pub(super) budget: Option<MemoryBudget>,
    /// What a key counts for there, but for its name and its values.
    state_bytes: u64,
}

impl Lifetimes {
    /// Of keys whose states count for `state_bytes` each, but for their values.
    pub(super) fn new(caps: Caps, ttl: Option<i64>, state_bytes: u64) -> Self {
        Self {
            caps,
            ttl,
            lives: Vec::new(),
            alive: 0,
            latest: Vec::new(),
            ends: BTreeSet::new(),
            listed: Vec::new(),
            next_end: i64::MAX,
            lru: caps.evicts_keys().then(LruList::default),
            budget: caps.limits_bytes().then(MemoryBudget::default),
            state_bytes,
        }
    }

    pub(super) fn alive(&self) -> u64 {
        self.alive.into()
    }

    pub(super) fn are_endless(&self) -> bool {
        self.ttl.is_none()
    }

    pub(super) fn ttl(&self) -> Option<i64> {
        self.ttl
    }

    pub(super) fn is_alive(&self, key: u32) -> bool {
        self.lives.get(key as usize).copied().unwrap_or(false)
    }

    /// How many of `keys` come before the first that is not alive.
    pub(super) fn count_alive(&self, keys: &[u32]) -> usize {
        count_alive(&self.lives, keys)
    }

    /// The keys that are alive.
    pub(super) fn keys(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.lives).filter(|(_, alive)| **alive).map(|(key, _)| key)
    }

    /// The time of the latest event of `key`, which is alive.
    pub(super) fn latest(&self, key: u32) -> i64 {
        self.latest.get(key as usize).copied().unwrap_or(i64::MIN)
    }

    /// What leaves no room for `key`, which is not alive.
    pub(super) fn limit(&self, key: u32, keys: &Keys) -> Option<Limit> {
        if self.alive >= self.caps.max_keys {
            return Some(Limit::Keys);
        }
        let budget = self.budget.as_ref()?;
        let bytes = budget.bytes().saturating_add(key_bytes(key, keys) + self.state_bytes);
        (bytes > self.caps.max_bytes).then_some(Limit::Bytes)
    }

    /// Begins the life of `key`, which is not alive.
    pub(super) fn begin(&mut self, key: u32, timestamp: i64, keys: &mut Keys) {
        let place = key as usize;
        let bound = keys.id_bound().max(place + 1);
        if self.lives.len() < bound {
            self.lives.resize(bound, false);
        }
        if let Some(life) = self.lives.get_mut(place) {
            *life = true;
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
                self.listed.resize(bound, i64::MAX);
            }
            if let Some(latest) = self.latest.get_mut(place) {
                *latest = timestamp;
            }
            self.list(key, timestamp.saturating_add(ttl));
        }
    }

    /// Takes note of an event of `key`.
    pub(super) fn touch(&mut self, key: u32, timestamp: i64) {
        if let Some(latest) = self.latest.get_mut(key as usize) {
            *latest = timestamp.max(*latest);
        }
    }

    /// Takes note of events of `keys`, as far as these are alive.
    pub(super) fn note(&mut self, keys: &[u32]) {
        let Some(lru) = &mut self.lru else { return };
        let alive = |key: &&u32| self.lives.get(**key as usize) == Some(&true);
        keys.iter().filter(alive).for_each(|key| lru.touch(*key));
    }

    /// The key that has had no event for the longest, where it has to make room for a new one.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.lru.as_ref()?.oldest()
    }

    /// Whether a life may end before an event of `key` at `timestamp` that meets `watermark`.
    pub(super) fn ends(&self, key: u32, timestamp: i64, watermark: i64) -> bool {
        watermark >= self.next_end || self.is_over(key, timestamp)
    }

    /// Whether `key` is alive, but at `time` no longer.
    pub(super) fn is_over(&self, key: u32, time: i64) -> bool {
        let Some(ttl) = self.ttl else { return false };
        self.is_alive(key) && time >= self.latest(key).saturating_add(ttl)
    }

    /// Ends the life of `key`, which is alive.
    pub(super) fn end(&mut self, key: u32, keys: &mut Keys) {
        if let Some(life) = self.lives.get_mut(key as usize) {
            *life = false;
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
        if let Some(listed) = self.listed.get(key as usize) {
            self.ends.remove(&(*listed, key));
            self.note_next();
        }
    }

    /// Ends a life that is over at `watermark`, if there is one, and returns its key.
    pub(super) fn end_next(&mut self, watermark: i64, keys: &mut Keys) -> Option<u32> {
        while watermark >= self.next_end {
            let (_, key) = self.ends.pop_first()?;
            let end = self.latest(key).saturating_add(self.ttl.unwrap_or(i64::MAX));
            if end <= watermark {
                self.end(key, keys);
                return Some(key);
            }
            self.list(key, end);
        }
        None
    }

    /// Has `key` looked up at `end`.
    fn list(&mut self, key: u32, end: i64) {
        if let Some(listed) = self.listed.get_mut(key as usize) {
            *listed = end;
        }
        self.ends.insert((end, key));
        self.note_next();
    }

    fn note_next(&mut self) {
        self.next_end = self.ends.first().map_or(i64::MAX, |(end, _)| *end);
    }
}

// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn count_alive(lives: &[bool], keys: &[u32]) -> usize {
    let alive = |key: &u32| lives.get(*key as usize).copied().unwrap_or(false);
    let (eights, _) = keys.as_chunks::<8>();
    let all = |eight: &&[u32; 8]| eight.iter().fold(true, |all, key| all & alive(key));
    let before = 8 * eights.iter().take_while(all).count();
    let rest = keys.get(before..).unwrap_or_default();
    before + rest.iter().take_while(|key| alive(key)).count()
}
