//! The backend over Redis 7.
//!
//! [`RedisStateBackend`] turns calls into commands; `pool` runs them on a connection, with time
//! limits and reconnection; `config` checks the options.

mod config;
mod error;
mod pool;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, Pipeline, Value};

use self::error::BACKEND;
use self::pool::Pool;
use super::contract::{check_entries, check_entry, check_key, ttl_ms};
use super::remote::Repeat;
use super::{StateBackend, StateError};

pub use self::config::{RedisConfig, RedisConfigBuilder};

/// The keys that one SCAN command asks for.
const SCAN_COUNT: usize = 1000;

/// A backend that processes and machines share: a Redis server, version 7.0 or later.
///
/// An acknowledged write is in the memory of the server. What of it survives a failure of the
/// server depends on its `appendonly` and `appendfsync`; see [`warnings`](Self::warnings). Redis
/// Cluster is not supported: all keys are on one server.
///
/// [`scan`](StateBackend::scan) visits all keys of the server for each page, as Redis keeps keys in
/// no order. It is for tools, not for each event.
///
/// ```no_run
/// # async fn run() -> Result<(), processor::state::StateError> {
/// use processor::state::{RedisConfig, RedisStateBackend, StateBackend};
/// use std::time::Duration;
///
/// let config = RedisConfig::builder()
///     .url("redis://localhost:6379")
///     .key_prefix("dedup:")
///     .default_ttl(Duration::from_secs(3600))
///     .build()?;
/// let backend = RedisStateBackend::new(config).await?;
/// assert_eq!(backend.put_if_absent(b"order-17", b"1", None).await?, None);
/// # Ok(()) }
/// ```
pub struct RedisStateBackend {
    config: RedisConfig,
    pool: Pool,
}

impl RedisStateBackend {
    /// Connects to the server, with the pool's minimum of connections.
    ///
    /// Logs each of the [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// Returns an error if the server cannot be reached, refuses the login, or is older than 7.0.
    pub async fn new(config: RedisConfig) -> Result<Self, StateError> {
        let pool = Pool::open(&config).await?;
        let backend = Self { config, pool };
        // Fails if the server asks for a login, or denies keys with the prefix.
        backend.get(b"login").await?;
        backend.check_version().await?;
        for warning in backend.warnings().await? {
            tracing::warn!(backend = BACKEND, "{warning}");
        }
        Ok(backend)
    }

    /// Returns what in the server's settings endangers stored entries.
    ///
    /// That is an append-only file that is off, or an eviction policy that removes entries before
    /// their ttl. Empty if all is well, or if the server does not show its settings.
    ///
    /// # Errors
    /// Returns an error if the server does not answer.
    pub async fn warnings(&self) -> Result<Vec<String>, StateError> {
        let mut warnings = Vec::new();
        if self.setting("appendonly").await?.as_deref() == Some("no") {
            warnings.push(
                "appendonly is off: a restart of the server loses entries since its last snapshot; \
                 set `appendonly yes`"
                    .into(),
            );
        }
        let policy = self.setting("maxmemory-policy").await?;
        if let Some(policy) = policy.filter(|policy| policy != "noeviction") {
            warnings.push(format!(
                "maxmemory-policy is {policy}: the server may remove entries before their ttl; set \
                 `maxmemory-policy noeviction`"
            ));
        }
        Ok(warnings)
    }

    /// Returns a setting of the server, if it may be read.
    async fn setting(&self, name: &str) -> Result<Option<String>, StateError> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(name);
        match self.command::<Vec<String>>(command, Repeat::Safe).await {
            Ok(pair) => Ok(pair.into_iter().nth(1)),
            Err(StateError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn check_version(&self) -> Result<(), StateError> {
        let mut command = redis::cmd("INFO");
        command.arg("server");
        let info: String = match self.command(command, Repeat::Safe).await {
            Err(StateError::Refused { .. }) => return Ok(()),
            info => info?,
        };
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        let version = version.unwrap_or_default().trim();
        match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
            Some(major) if major < 7 => Err(StateError::Refused {
                backend: BACKEND,
                reason: format!("the server has version {version}, but 7.0 or later is needed"),
            }),
            _ => Ok(()),
        }
    }

    /// Returns the key on the server.
    fn key(&self, key: &[u8]) -> Vec<u8> {
        [self.config.key_prefix.as_bytes(), key].concat()
    }

    async fn command<T: FromRedisValue>(
        &self,
        command: Cmd,
        repeat: Repeat,
    ) -> Result<T, StateError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        let (result,): (T,) = self.pool.query(&pipeline, repeat).await?;
        Ok(result)
    }

    async fn store(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        check_entry(key, value)?;
        let mut command = redis::cmd("SET");
        command.arg(self.key(key)).arg(value);
        if let Some(ttl) = ttl {
            command.arg("PX").arg(ttl_ms(ttl)?);
        }
        self.command(command, Repeat::Safe).await
    }

    /// Returns the first `limit` of the keys on the server that match, in order.
    async fn keys(
        &self,
        pattern: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<BTreeSet<Vec<u8>>, StateError> {
        let mut first = BTreeSet::new();
        let mut cursor: u64 = 0;
        loop {
            let mut command = redis::cmd("SCAN");
            command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.command(command, Repeat::Safe).await?;
            for key in keys {
                if after.is_none_or(|after| key.as_slice() > after) {
                    first.insert(key);
                    if first.len() > limit {
                        first.pop_last();
                    }
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(first);
            }
        }
    }
}

impl fmt::Debug for RedisStateBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, pool: _ } = self;
        f.debug_struct("RedisStateBackend").field("config", config).finish_non_exhaustive()
    }
}

/// Returns a pattern that matches the keys that start with `prefix`.
fn pattern_of(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for byte in prefix {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

#[async_trait]
impl StateBackend for RedisStateBackend {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        let mut command = redis::cmd("GET");
        command.arg(self.key(key));
        self.command(command, Repeat::Safe).await
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.store(key, value, self.config.remote.default_ttl).await
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
        let ttl = ttl.or(self.config.remote.default_ttl).map(ttl_ms).transpose()?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let prefix = self.config.key_prefix.as_bytes();
        let mut pipeline = Pipeline::with_capacity(entries.len());
        let mut name = Vec::new();
        for (key, value) in entries {
            name.clear();
            name.extend_from_slice(prefix);
            name.extend_from_slice(key);
            let mut command = Cmd::with_capacity(7, name.len() + value.len() + 32);
            command.arg("SET").arg(&name).arg(*value).arg("NX").arg("GET");
            if let Some(ttl) = ttl {
                command.arg("PX").arg(ttl);
            }
            pipeline.add_command(command);
        }
        // Not safe to repeat: the second attempt would find the writes of the first.
        let stored: Vec<Value> = self.pool.query(&pipeline, Repeat::Unsafe).await?;
        let stored = stored.into_iter().map(|value| match value {
            Value::Nil => Ok(None),
            Value::BulkString(value) => Ok(Some(value)),
            _ => Err(StateError::Corrupt {
                backend: BACKEND,
                reason: "the answer to SET NX GET is not a string".into(),
            }),
        });
        stored.collect()
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StateError> {
        check_key(key)?;
        let mut command = redis::cmd("DEL");
        command.arg(self.key(key));
        // Not safe to repeat: the second attempt would not find the key.
        self.command(command, Repeat::Unsafe).await
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
        let pattern = pattern_of(&self.key(prefix));
        let mut after = after.map(|after| self.key(after));
        loop {
            let keys = self.keys(&pattern, after.as_deref(), limit).await?;
            let Some(last) = keys.last().cloned() else { return Ok(Vec::new()) };
            let mut command = redis::cmd("MGET");
            for key in &keys {
                command.arg(key);
            }
            let values: Vec<Option<Vec<u8>>> = self.command(command, Repeat::Safe).await?;
            let page: Vec<_> = keys
                .into_iter()
                .zip(values)
                .filter_map(|(mut key, value)| {
                    Some((key.split_off(self.config.key_prefix.len()), value?))
                })
                .collect();
            if !page.is_empty() {
                return Ok(page);
            }
            // All of them expired between the two commands: an empty page would mean the end.
            after = Some(last);
        }
    }

    async fn flush(&self) -> Result<(), StateError> {
        // A write is acknowledged when the server has it, so no write waits here. Redis 7.0 has no
        // command that waits for its append-only file.
        Ok(())
    }
}
