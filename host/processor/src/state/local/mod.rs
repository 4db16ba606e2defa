//! Backends in a folder of the own machine: expiry, locking and durability over a sorted store.
//!
//! [`LocalBackend`] does everything that sled and fjall have in common. A write holds a lock, and
//! becomes durable after the lock is released: callers that write at the same time share the work
//! of the disk. A batch looks up its keys before it takes the lock. If another call has written one
//! of them meanwhile, it looks them up again, under the lock ([`RecentWrites`]).
//!
//! The store's calls block, so they run on tokio's threads for blocking work.

mod batch;
mod entry;
#[cfg(feature = "embedded")]
mod fjall;
mod recent;
#[cfg(feature = "sled")]
mod sled;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;

use self::batch::Batch;
use self::entry::{Stored, expiry_us, now_us};
use self::recent::RecentWrites;
use super::contract::{check_entries, check_entry, check_key, ttl_ms};
use super::{StateBackend, StateError};

#[cfg(feature = "embedded")]
pub use self::fjall::EmbeddedStateBackend;
#[cfg(feature = "sled")]
pub use self::sled::SledStateBackend;

/// Takes the key and the value of an entry, and decides whether the iteration continues.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<Step, StateError> + 'a;

/// The decision of a [`Visit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Continue,
    Stop,
}

/// A key, and its value in the form of [`Stored`]; `None` removes the key.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// A sorted store in a folder.
trait Store: Send + Sync + 'static {
    /// The kind of backend, for errors.
    const BACKEND: &'static str;
    /// A value as the store returns it.
    type Value: AsRef<[u8]>;

    fn get(&self, key: &[u8]) -> Result<Option<Self::Value>, StateError>;
    /// Applies all changes or none of them.
    fn write(&self, changes: Vec<Change>) -> Result<(), StateError>;
    /// Calls `visit` with entries from `start` on, without it if `exclusive`, until it stops.
    fn range(&self, start: &[u8], exclusive: bool, visit: &mut Visit<'_>)
    -> Result<(), StateError>;
    /// Makes all writes durable against a power failure.
    fn sync(&self) -> Result<(), StateError>;
    /// Returns true if expired entries have to be removed by writes. False: the store removes them.
    fn needs_sweep(&self) -> bool;
}

/// A [`StateBackend`] over a [`Store`].
struct LocalBackend<S> {
    shared: Arc<Shared<S>>,
    default_ttl: Option<Duration>,
}

struct Shared<S> {
    store: S,
    writer: Mutex<Writer>,
    /// The number of writes that look-ups see.
    writes: AtomicU64,
}

/// State that a call locks while it writes.
#[derive(Default)]
struct Writer {
    /// The last key that was swept.
    swept_to: Vec<u8>,
    recent: RecentWrites,
}

impl<S: Store> LocalBackend<S> {
    fn new(store: S) -> Self {
        let shared = Shared { store, writer: Mutex::default(), writes: AtomicU64::new(0) };
        Self { shared: Arc::new(shared), default_ttl: None }
    }

    /// Runs a call of the store on a thread for blocking work.
    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Shared<S>) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let unavailable = |reason: &str| {
            Err(StateError::Unavailable { backend: S::BACKEND, reason: reason.into() })
        };
        let Ok(runtime) = Handle::try_current() else {
            return unavailable("the call needs a tokio runtime");
        };
        let shared = self.shared.clone();
        let done = runtime.spawn_blocking(move || call(&shared)).await;
        done.unwrap_or_else(|error| match error.is_panic() {
            true => unavailable("the store panicked"),
            false => unavailable("the runtime ended"),
        })
    }

    async fn store(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        check_entry(key, value)?;
        let ttl = ttl.map(ttl_ms).transpose()?;
        let (key, value) = (key.to_vec(), value.to_vec());
        self.run(move |shared| {
            let now = now_us();
            shared.change(now, |_, changes| {
                changes.push((key, Some(Stored::encode(&value, expiry_us(now, ttl)))));
                Ok(())
            })
        })
        .await
    }
}

impl<S: Store> Shared<S> {
    /// Returns the value of an entry that has not expired at `now`.
    fn value(&self, key: &[u8], now: i64) -> Result<Option<Vec<u8>>, StateError> {
        let Some(found) = self.store.get(key)? else { return Ok(None) };
        let stored = Stored::decode(found.as_ref()).map_err(|error| error.of(S::BACKEND))?;
        Ok(stored.value_at(now).map(<[u8]>::to_vec))
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // Poisoned: a call panicked before its write, which leaves the store unchanged.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects the change of one entry under the lock, writes it, and then makes it durable.
    fn change<T>(
        &self,
        now: i64,
        collect: impl FnOnce(&Self, &mut Vec<Change>) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let writer = self.lock();
        let mut changes = Vec::new();
        let result = collect(self, &mut changes)?;
        self.write(writer, 1, now, changes)?;
        Ok(result)
    }

    /// Puts the entries of `batch` whose keys are absent, and returns the values of the others.
    fn put_if_absent(
        &self,
        batch: &Batch,
        now: i64,
        expires_at: Option<i64>,
    ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let look_up = |changes: &mut Vec<Change>| {
            batch.put_if_absent(
                |key| self.value(key, now),
                |key, value| changes.push((key, Some(Stored::encode(value, expires_at)))),
            )
        };
        let writes = self.writes.load(Ordering::Acquire);
        let mut changes = Vec::with_capacity(batch.len());
        let mut found = look_up(&mut changes)?;
        if changes.is_empty() {
            return Ok(found);
        }
        let writer = self.lock();
        if writer.recent.may_overlap(writes, &changes) {
            changes.clear();
            found = look_up(&mut changes)?;
        }
        self.write(writer, batch.len(), now, changes)?;
        Ok(found)
    }

    /// Writes changes, releases the lock, and then makes them durable. Sweeps as a writer of
    /// `entries` does.
    fn write(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        entries: usize,
        now: i64,
        mut changes: Vec<Change>,
    ) -> Result<(), StateError> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.store.needs_sweep() {
            self.sweep(&mut writer.swept_to, 2 * entries, now, &mut changes)?;
        }
        let hashes = writer.recent.hashes(&changes);
        let written = self.store.write(changes);
        // After the write: before it, a look-up could miss the keys and still count the write.
        self.writes.store(writer.recent.add(hashes), Ordering::Release);
        drop(writer);
        written?;
        self.store.sync()
    }

    /// Looks at the next `count` entries after `position` and removes those that have expired.
    ///
    /// A writer of n entries looks at 2n, so the whole store is seen before it has grown by half.
    fn sweep(
        &self,
        position: &mut Vec<u8>,
        count: usize,
        now: i64,
        changes: &mut Vec<Change>,
    ) -> Result<(), StateError> {
        let (mut seen, mut expired) = (0, Vec::new());
        let mut last = Vec::new();
        self.store.range(position, true, &mut |key, stored| {
            seen += 1;
            let stored = Stored::decode(stored).map_err(|error| error.of(S::BACKEND))?;
            if stored.value_at(now).is_none() {
                expired.push(key.to_vec());
            }
            if seen < count {
                return Ok(Step::Continue);
            }
            last = key.to_vec();
            Ok(Step::Stop)
        })?;
        // Empty after the end of the store: the next sweep begins at its start.
        *position = last;
        if !expired.is_empty() {
            let written: std::collections::HashSet<Vec<u8>> =
                changes.iter().map(|(key, _)| key.clone()).collect();
            expired.retain(|key| !written.contains(key));
            changes.extend(expired.into_iter().map(|key| (key, None)));
        }
        Ok(())
    }
}

#[async_trait]
impl<S: Store> StateBackend for LocalBackend<S> {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        let key = key.to_vec();
        self.run(move |shared| shared.value(&key, now_us())).await
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.store(key, value, self.default_ttl).await
    }

    async fn put_with_ttl(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), StateError> {
        self.store(key, value, Some(ttl)).await
    }

    async fn put_if_absent_all(
        &self,
        entries: &[(&[u8], &[u8])],
        ttl: Option<Duration>,
    ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        check_entries(entries)?;
        let ttl = ttl.or(self.default_ttl).map(ttl_ms).transpose()?;
        let batch = Batch::copy_of(entries);
        self.run(move |shared| {
            let now = now_us();
            shared.put_if_absent(&batch, now, expiry_us(now, ttl))
        })
        .await
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StateError> {
        check_key(key)?;
        let key = key.to_vec();
        self.run(move |shared| {
            let now = now_us();
            shared.change(now, |shared, changes| {
                let Some(found) = shared.store.get(&key)? else { return Ok(false) };
                let stored =
                    Stored::decode(found.as_ref()).map_err(|error| error.of(S::BACKEND))?;
                changes.push((key, None));
                Ok(stored.value_at(now).is_some())
            })
        })
        .await
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let prefix = prefix.to_vec();
        let after = after.filter(|after| *after >= prefix.as_slice()).map(<[u8]>::to_vec);
        self.run(move |shared| {
            let now = now_us();
            let mut page = Vec::new();
            let start = after.as_deref().unwrap_or(&prefix);
            shared.store.range(start, after.is_some(), &mut |key, stored| {
                if !key.starts_with(&prefix) {
                    return Ok(Step::Stop);
                }
                let stored = Stored::decode(stored).map_err(|error| error.of(S::BACKEND))?;
                if let Some(value) = stored.value_at(now) {
                    page.push((key.to_vec(), value.to_vec()));
                }
                Ok(if page.len() < limit { Step::Continue } else { Step::Stop })
            })?;
            Ok(page)
        })
        .await
    }

    async fn flush(&self) -> Result<(), StateError> {
        self.run(|shared| shared.store.sync()).await
    }
}

/// Implements [`StateBackend`] for a public type by its field `inner`.
macro_rules! delegate_state_backend {
    ($backend:ty) => {
        #[async_trait::async_trait]
        impl crate::state::StateBackend for $backend {
            async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
                self.inner.get(key).await
            }

            async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
                self.inner.put(key, value).await
            }

            async fn put_with_ttl(
                &self,
                key: &[u8],
                value: &[u8],
                ttl: std::time::Duration,
            ) -> Result<(), StateError> {
                self.inner.put_with_ttl(key, value, ttl).await
            }

            async fn put_if_absent_all(
                &self,
                entries: &[(&[u8], &[u8])],
                ttl: Option<std::time::Duration>,
            ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
                self.inner.put_if_absent_all(entries, ttl).await
            }

            async fn delete(&self, key: &[u8]) -> Result<bool, StateError> {
                self.inner.delete(key).await
            }

            async fn scan(
                &self,
                prefix: &[u8],
                after: Option<&[u8]>,
                limit: usize,
            ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
                self.inner.scan(prefix, after, limit).await
            }

            async fn flush(&self) -> Result<(), StateError> {
                self.inner.flush().await
            }
        }
    };
}
use delegate_state_backend;
