//! A backend in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::contract::{check_entries, check_entry, check_key, ttl_ms};
use super::{StateBackend, StateError};

/// A backend in the memory of one process. Nothing survives its end.
///
/// Expired entries are removed by later writes, two for each entry written.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use processor::state::{MemoryStateBackend, StateBackend};
/// use std::time::Duration;
///
/// let backend = MemoryStateBackend::new(None);
/// backend.put_with_ttl(b"token", b"1", Duration::from_millis(5)).await?;
/// assert!(backend.get(b"token").await?.is_some());
/// std::thread::sleep(Duration::from_millis(6));
/// assert!(backend.get(b"token").await?.is_none());
/// # Ok::<(), processor::state::StateError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryStateBackend {
    default_ttl: Option<Duration>,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    map: BTreeMap<Arc<[u8]>, Entry>,
    /// Keys by expiry. A record of an entry that was replaced since is skipped.
    expiries: BinaryHeap<Reverse<(Instant, Arc<[u8]>)>>,
}

#[derive(Debug)]
struct Entry {
    value: Box<[u8]>,
    expires_at: Option<Instant>,
}

impl Entry {
    fn is_alive(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl MemoryStateBackend {
    /// Makes an empty backend. Without `default_ttl`, entries of [`StateBackend::put`] never expire.
    #[must_use]
    pub fn new(default_ttl: Option<Duration>) -> Self {
        Self { default_ttl, entries: Mutex::default() }
    }

    /// Locks the entries. A poisoned lock is no danger: every change is one map operation.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, key: &[u8], value: &[u8], ttl: Option<Duration>) -> Result<(), StateError> {
        check_entry(key, value)?;
        let now = Instant::now();
        let expires_at = expiry(ttl, now)?;
        let mut entries = self.lock();
        entries.remove_expired(now, 2);
        entries.insert(key, value, expires_at);
        Ok(())
    }
}

/// Returns the time at which an entry written at `now` expires.
fn expiry(ttl: Option<Duration>, now: Instant) -> Result<Option<Instant>, StateError> {
    let Some(ttl) = ttl else { return Ok(None) };
    // A time beyond the clock's range is never reached.
    Ok(now.checked_add(Duration::from_millis(ttl_ms(ttl)?)))
}

impl Entries {
    fn get(&self, key: &[u8], now: Instant) -> Option<&Entry> {
        self.map.get(key).filter(|entry| entry.is_alive(now))
    }

    fn insert(&mut self, key: &[u8], value: &[u8], expires_at: Option<Instant>) {
        let key: Arc<[u8]> = key.into();
        if let Some(expires_at) = expires_at {
            self.expiries.push(Reverse((expires_at, key.clone())));
        }
        self.map.insert(key, Entry { value: value.into(), expires_at });
        // Keys that are replaced often leave records behind: drop those that no entry has.
        if self.expiries.len() > 2 * self.map.len() + 64 {
            let map = &self.map;
            self.expiries.retain(|Reverse((at, key))| {
                map.get(key).is_some_and(|entry| entry.expires_at == Some(*at))
            });
        }
    }

    /// Removes at most `limit` expired entries.
    fn remove_expired(&mut self, now: Instant, limit: usize) {
        for _ in 0..limit {
            if self.expiries.peek().is_none_or(|Reverse((at, _))| now < *at) {
                return;
            }
            let Some(Reverse((at, key))) = self.expiries.pop() else { return };
            if self.map.get(&key).is_some_and(|entry| entry.expires_at == Some(at)) {
                self.map.remove(&key);
            }
        }
    }
}

#[async_trait]
impl StateBackend for MemoryStateBackend {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        Ok(self.lock().get(key, Instant::now()).map(|entry| entry.value.to_vec()))
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.store(key, value, self.default_ttl)
    }

    async fn put_with_ttl(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), StateError> {
        self.store(key, value, Some(ttl))
    }

    async fn put_if_absent_all(
        &self,
        new: &[(&[u8], &[u8])],
        ttl: Option<Duration>,
    ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        check_entries(new)?;
        let now = Instant::now();
        let expires_at = expiry(ttl.or(self.default_ttl), now)?;
        let mut entries = self.lock();
        entries.remove_expired(now, 2 * new.len());
        let put = |(key, value): &(&[u8], &[u8])| match entries.get(key, now) {
            Some(entry) => Some(entry.value.to_vec()),
            None => {
                entries.insert(key, value, expires_at);
                None
            }
        };
        Ok(new.iter().map(put).collect())
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StateError> {
        check_key(key)?;
        let now = Instant::now();
        Ok(self.lock().map.remove(key).is_some_and(|entry| entry.is_alive(now)))
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
        let now = Instant::now();
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let entries = self.lock();
        let page = entries
            .map
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, entry)| entry.is_alive(now))
            .take(limit)
            .map(|(key, entry)| (key.to_vec(), entry.value.to_vec()));
        Ok(page.collect())
    }

    async fn flush(&self) -> Result<(), StateError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn expired_entries_are_removed_by_writes() {
        let backend = MemoryStateBackend::new(Some(Duration::from_millis(1)));
        for id in 0..100_u32 {
            backend.put(&id.to_le_bytes(), b"1").await.unwrap();
        }
        std::thread::sleep(Duration::from_millis(3));
        for id in 0..51_u32 {
            backend.put_with_ttl(&id.to_be_bytes(), b"1", Duration::from_secs(60)).await.unwrap();
        }
        assert!(backend.lock().map.len() <= 52, "{}", backend.lock().map.len());
    }

    #[tokio::test]
    async fn replaced_entries_do_not_accumulate_expiries() {
        let backend = MemoryStateBackend::new(Some(Duration::from_secs(60)));
        for _ in 0..10_000 {
            backend.put(b"key", b"value").await.unwrap();
        }
        assert!(backend.lock().expiries.len() <= 67);
    }
}
