//! Deduplication by a backend that processes share.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::front_filter::FrontFilter;
use super::options::{OnUnavailable, SharedDeduplicatorBuilder};
use crate::engine::text::Identifier;
use crate::engine::{Identity, NO_IDENTITY};
use crate::state::{StateBackend, StateError};

/// Verdict of a [`SharedDeduplicator`] on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before: process it. Also an event whose mark was left by an earlier check at the
    /// same position, as after a crash.
    New,
    /// Seen before, at another position: skip it.
    Duplicate,
    /// No strategy gives it an identity: process it.
    Unidentified,
    /// The backend is away, and the policy is [`OnUnavailable::BestEffort`]: process it. It may be
    /// a duplicate.
    Unchecked,
}

impl Seen {
    /// Returns true if the event is to be processed.
    #[must_use]
    pub fn passes(self) -> bool {
        self != Self::Duplicate
    }
}

/// Counters of a [`SharedDeduplicator`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedStats {
    /// New events.
    pub new: u64,
    /// Duplicates.
    pub duplicates: u64,
    /// Those of the duplicates for which the Bloom filter answered.
    pub filtered: u64,
    /// Events without an identity.
    pub unidentified: u64,
    /// Events that passed because the backend was away.
    pub unchecked: u64,
    /// Events whose marks were released.
    pub released: u64,
    /// Calls of the backend.
    pub round_trips: u64,
}

/// Passes each event once, for all processes that share a backend, across restarts.
///
/// An event's mark in the backend holds its position: where it stands in its source, such as
/// partition and offset, or file and line. A process that crashed after it had marked an event, and
/// reads it again from the same position, finds its own mark and passes the event. The same event
/// at another position is a duplicate. So give different deliveries different positions, and a
/// delivery that is repeated after a failure the same one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use processor::deduplication::{Seen, SharedDeduplicator, Strategy};
/// use processor::state::MemoryStateBackend;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let backend = Arc::new(MemoryStateBackend::new(None));
/// let seen = SharedDeduplicator::builder(backend)
///     .strategies([Strategy::Fields(vec!["event_id".into()]), Strategy::Content])
///     .ttl(Duration::from_secs(3600))
///     .build()?;
///
/// let event = br#"{"event_id": "e-1", "value": 3}"#;
/// assert_eq!(seen.check(event, b"orders/0/17").await?, Seen::New);
/// assert_eq!(seen.check(event, b"orders/0/18").await?, Seen::Duplicate);
/// // Read again after a crash: it is not taken for its own duplicate.
/// assert_eq!(seen.check(event, b"orders/0/17").await?, Seen::New);
/// // Processing it failed for good: another delivery may try.
/// assert!(seen.release(event, b"orders/0/17").await?);
/// assert_eq!(seen.check(event, b"orders/0/18").await?, Seen::New);
/// # Ok::<(), processor::state::StateError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedDeduplicator {
    backend: Arc<dyn StateBackend>,
    identifier: Mutex<Identifier>,
    key_prefix: Vec<u8>,
    ttl: Option<Duration>,
    filter: Option<Mutex<FrontFilter>>,
    on_unavailable: OnUnavailable,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    new: AtomicU64,
    duplicates: AtomicU64,
    filtered: AtomicU64,
    unidentified: AtomicU64,
    unchecked: AtomicU64,
    released: AtomicU64,
    round_trips: AtomicU64,
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

/// Locks a mutex. Nothing that these protect is left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedDeduplicator {
    /// Returns a builder with the defaults.
    pub fn builder(backend: Arc<dyn StateBackend>) -> SharedDeduplicatorBuilder {
        SharedDeduplicatorBuilder::new(backend)
    }

    pub(super) fn new(
        backend: Arc<dyn StateBackend>,
        identifier: Identifier,
        key_prefix: Vec<u8>,
        ttl: Option<Duration>,
        filter: Option<FrontFilter>,
        on_unavailable: OnUnavailable,
    ) -> Self {
        Self {
            backend,
            identifier: Mutex::new(identifier),
            key_prefix,
            ttl,
            filter: filter.map(Mutex::new),
            on_unavailable,
            counters: Counters::default(),
        }
    }

    /// Checks an event, a JSON object on one line, and marks it if it is new.
    ///
    /// # Errors
    /// Returns an error if `position` is empty, or if the backend fails and the policy is
    /// [`OnUnavailable::Strict`]. Then the same call can be repeated.
    pub async fn check(&self, event: &[u8], position: &[u8]) -> Result<Seen, StateError> {
        let seen = self.check_all(&[(event, position)]).await?;
        Ok(seen.first().copied().unwrap_or(Seen::Unidentified))
    }

    /// Checks events with their positions, in order, in one round trip.
    ///
    /// # Errors
    /// Returns an error as [`check`](Self::check) does. Some of the events may be marked then; the
    /// same call can be repeated.
    pub async fn check_all(&self, events: &[(&[u8], &[u8])]) -> Result<Vec<Seen>, StateError> {
        let identities: Vec<Identity> = {
            let mut identifier = lock(&self.identifier);
            events.iter().map(|(event, _)| identifier.of_json(event)).collect()
        };
        let positions: Vec<&[u8]> = events.iter().map(|(_, position)| *position).collect();
        self.check_identities(&identities, &positions).await
    }

    /// Checks events whose identities are known, as [`check_all`](Self::check_all) does.
    ///
    /// # Errors
    /// Returns an error as [`check_all`](Self::check_all) does, or if there are not as many
    /// positions as identities.
    pub async fn check_identities(
        &self,
        identities: &[Identity],
        positions: &[&[u8]],
    ) -> Result<Vec<Seen>, StateError> {
        if identities.len() != positions.len() || positions.iter().any(|it| it.is_empty()) {
            let reason = "must not be empty, and there must be one for each event";
            return Err(StateError::InvalidOption { option: "position", reason: reason.into() });
        }
        let started = Instant::now();
        let mut seen = vec![Seen::Duplicate; identities.len()];
        let asked = self.to_ask(identities, &mut seen, started);
        if asked.is_empty() {
            return Ok(seen);
        }
        let keys: Vec<Vec<u8>> = asked
            .iter()
            .filter_map(|index| identities.get(*index))
            .map(|identity| self.key(identity))
            .collect();
        let of = |index: &usize| positions.get(*index).copied().unwrap_or_default();
        let entries: Vec<(&[u8], &[u8])> =
            keys.iter().map(Vec::as_slice).zip(asked.iter().map(of)).collect();
        let stored = match self.mark(&entries).await {
            Ok(stored) => stored,
            Err(error)
                if error.is_temporary() && self.on_unavailable == OnUnavailable::BestEffort =>
            {
                for index in &asked {
                    seen.get_mut(*index).into_iter().for_each(|seen| *seen = Seen::Unchecked);
                }
                add(&self.counters.unchecked, asked.len());
                return Ok(seen);
            }
            Err(error) => return Err(error),
        };
        // An identity that the batch repeats passes once, at the position that its mark holds.
        let mut passed: HashSet<Identity, foldhash::fast::RandomState> = HashSet::default();
        for ((index, (_, position)), stored) in asked.iter().zip(&entries).zip(stored) {
            let (Some(seen), Some(identity)) = (seen.get_mut(*index), identities.get(*index))
            else {
                continue;
            };
            if stored.is_none_or(|stored| stored == *position) && passed.insert(*identity) {
                *seen = Seen::New;
            }
        }
        add(&self.counters.new, passed.len());
        add(&self.counters.duplicates, asked.len() - passed.len());
        if let Some(filter) = &self.filter {
            let mut filter = lock(filter);
            passed.iter().for_each(|identity| filter.add(identity, started));
        }
        Ok(seen)
    }

    /// Returns the indices of the events that the backend has to be asked about, and gives the
    /// others their verdict.
    fn to_ask(&self, identities: &[Identity], seen: &mut [Seen], now: Instant) -> Vec<usize> {
        let mut filter = self.filter.as_ref().map(lock);
        let mut asked = Vec::with_capacity(identities.len());
        let (mut unidentified, mut filtered) = (0, 0);
        for (index, (identity, seen)) in identities.iter().zip(seen).enumerate() {
            if *identity == NO_IDENTITY {
                *seen = Seen::Unidentified;
                unidentified += 1;
            } else if filter.as_mut().is_some_and(|filter| filter.contains(identity, now)) {
                filtered += 1;
            } else {
                asked.push(index);
            }
        }
        add(&self.counters.unidentified, unidentified);
        add(&self.counters.filtered, filtered);
        add(&self.counters.duplicates, filtered);
        asked
    }

    /// Writes marks. A call whose connection broke is repeated once: it may find its own marks,
    /// which hold its own positions.
    async fn mark(&self, entries: &[(&[u8], &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        add(&self.counters.round_trips, 1);
        match self.backend.put_if_absent_all(entries, self.ttl).await {
            Err(StateError::Unavailable { .. }) => {
                add(&self.counters.round_trips, 1);
                self.backend.put_if_absent_all(entries, self.ttl).await
            }
            result => result,
        }
    }

    /// Removes the mark of an event whose processing failed, so that another delivery passes.
    ///
    /// Returns false if the mark is not that of `position`. Two round trips.
    ///
    /// # Errors
    /// Returns an error if the backend fails, also with [`OnUnavailable::BestEffort`].
    pub async fn release(&self, event: &[u8], position: &[u8]) -> Result<bool, StateError> {
        let identity = lock(&self.identifier).of_json(event);
        if identity == NO_IDENTITY {
            return Ok(false);
        }
        let key = self.key(&identity);
        add(&self.counters.round_trips, 1);
        if self.backend.get(&key).await?.as_deref() != Some(position) {
            return Ok(false);
        }
        if let Some(filter) = &self.filter {
            lock(filter).release(identity);
        }
        add(&self.counters.round_trips, 1);
        let removed = self.backend.delete(&key).await?;
        add(&self.counters.released, usize::from(removed));
        Ok(removed)
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> SharedStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SharedStats {
            new: of(&self.counters.new),
            duplicates: of(&self.counters.duplicates),
            filtered: of(&self.counters.filtered),
            unidentified: of(&self.counters.unidentified),
            unchecked: of(&self.counters.unchecked),
            released: of(&self.counters.released),
            round_trips: of(&self.counters.round_trips),
        }
    }

    /// Returns the key of an identity in the backend.
    fn key(&self, identity: &Identity) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.key_prefix.len() + 16);
        key.extend_from_slice(&self.key_prefix);
        identity.iter().for_each(|half| key.extend_from_slice(&half.to_le_bytes()));
        key
    }
}

impl fmt::Debug for SharedDeduplicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDeduplicator")
            .field("ttl", &self.ttl)
            .field("on_unavailable", &self.on_unavailable)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
