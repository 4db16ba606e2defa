//! Stores of keys and values that survive a restart or are shared by several processes.
//!
//! [`StateBackend`] is one trait with five implementations:
//!
//! | backend | feature | shared by | survives |
//! |---|---|---|---|
//! | [`MemoryStateBackend`] | | tasks of one process | nothing |
//! | [`SledStateBackend`] | `sled` (default) | tasks of one process | a restart and a power failure |
//! | [`EmbeddedStateBackend`] | `embedded` | tasks of one process | a restart and a power failure |
//! | [`RedisStateBackend`] | `redis` (default) | processes and machines | what its server is set to |
//! | [`PostgresStateBackend`] | `postgres` | processes and machines | what its server is set to |
//!
//! ```text
//! StateBackend
//!   MemoryStateBackend    a sorted map under a lock
//!   LocalBackend<S>       expiry, locking and durability over a store in a folder
//!     SledStore             -> SledStateBackend
//!     FjallStore            -> EmbeddedStateBackend
//!   RedisStateBackend     a pool of connections, one pipeline per batch
//!   PostgresStateBackend  a pool of connections, one statement per batch
//! ```
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! use processor::state::{MemoryStateBackend, StateBackend};
//! use std::time::Duration;
//!
//! let backend = MemoryStateBackend::new(Some(Duration::from_secs(3600)));
//! // None: the key was absent, and the value is stored now.
//! assert_eq!(backend.put_if_absent(b"order-17", b"first", None).await?, None);
//! // Else the value that was stored before.
//! let stored = backend.put_if_absent(b"order-17", b"second", None).await?;
//! assert_eq!(stored.as_deref(), Some(b"first".as_slice()));
//! # Ok::<(), processor::state::StateError>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contract;
mod error;
#[cfg(any(feature = "sled", feature = "embedded"))]
mod local;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod remote;

use std::time::Duration;

use async_trait::async_trait;

pub use contract::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
pub use error::StateError;
#[cfg(feature = "embedded")]
pub use local::EmbeddedStateBackend;
#[cfg(feature = "sled")]
pub use local::SledStateBackend;
pub use memory::MemoryStateBackend;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresConfigBuilder, PostgresStateBackend};
#[cfg(feature = "redis")]
pub use redis::{RedisConfig, RedisConfigBuilder, RedisStateBackend};

/// A store of keys and values.
///
/// A key has 1 to [`MAX_KEY_BYTES`] bytes and a value at most [`MAX_VALUE_BYTES`]; both are binary.
///
/// An entry with a ttl is visible until its ttl has passed since the write, never for less. It is
/// invisible from then on, also after a restart. The precision is a millisecond or better. A ttl is
/// at least one millisecond; fractions are rounded up.
///
/// All methods can be called by many tasks at once. A write that has returned is acknowledged. What
/// of it survives a failure depends on the backend and is described there.
///
/// # Errors
/// All methods return a [`StateError`] if the store fails or does not answer in time. A write that
/// returned an error may have taken effect, or take effect later if it timed out.
#[async_trait]
pub trait StateBackend: Send + Sync + 'static {
    /// Returns the value of `key`.
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Stores a value with the backend's default ttl.
    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StateError>;

    /// Stores a value that expires after `ttl`.
    async fn put_with_ttl(&self, key: &[u8], value: &[u8], ttl: Duration)
    -> Result<(), StateError>;

    /// Stores a value if the key is absent, in one atomic step.
    ///
    /// Returns `None` if the value was stored, else the value that the key already has. Without
    /// `ttl`, the backend's default applies.
    async fn put_if_absent(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let stored = self.put_if_absent_all(&[(key, value)], ttl).await?;
        Ok(stored.into_iter().next().flatten())
    }

    /// Does [`put_if_absent`](Self::put_if_absent) for each entry, in order, in one round trip.
    ///
    /// The batch as a whole is not atomic. A key that the batch repeats is stored once; its later
    /// entries get the value of the first one.
    async fn put_if_absent_all(
        &self,
        entries: &[(&[u8], &[u8])],
        ttl: Option<Duration>,
    ) -> Result<Vec<Option<Vec<u8>>>, StateError>;

    /// Removes a key. Returns true if it had a value.
    async fn delete(&self, key: &[u8]) -> Result<bool, StateError>;

    /// Returns up to `limit` entries whose keys start with `prefix`, in the order of their bytes.
    ///
    /// With `after`, only keys greater than it. To read all entries, pass the last key of a page as
    /// `after` of the next one, until a page is empty. An entry that exists during the whole scan
    /// is returned exactly once.
    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError>;

    /// Waits until all acknowledged writes are as durable as the backend can make them.
    async fn flush(&self) -> Result<(), StateError>;
}
