//! The backend over PostgreSQL.
//!
//! [`PostgresStateBackend`] turns calls into statements of `sql`; `session` runs them on a pooled
//! connection, with time limits and reconnection; `sweep` removes expired rows; `config` checks the
//! options.
//!
//! Every statement is sent with its parameters in one round trip and is not prepared, so that a
//! pooler like pgbouncer may give each transaction another connection.

mod config;
mod error;
mod session;
mod sql;
mod sweep;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use self::error::state_error;
use self::session::Session;
use self::sql::Statements;
use super::contract::{check_entries, check_entry, check_key, end_of_prefix, ttl_ms};
use super::remote::Repeat;
use super::{StateBackend, StateError};

pub use self::config::{PostgresConfig, PostgresConfigBuilder};

/// A backend that processes and machines share: a table of a PostgreSQL database.
///
/// An acknowledged write is committed. It survives what a commit survives: with the server's default
/// settings, a crash and a power failure. Expiry uses the server's clock. Expired rows are invisible
/// at once; a task of the backend removes them at each `sweep_interval`.
///
/// ```no_run
/// # async fn run() -> Result<(), processor::state::StateError> {
/// use processor::state::{PostgresConfig, PostgresStateBackend, StateBackend};
///
/// let config = PostgresConfig::builder()
///     .url("postgres://app:secret@db.internal/app?sslmode=require")
///     .schema("stream_processor")
///     .build()?;
/// let backend = PostgresStateBackend::new(config).await?;
/// assert_eq!(backend.put_if_absent(b"order-17", b"1", None).await?, None);
/// # Ok(()) }
/// ```
pub struct PostgresStateBackend {
    config: PostgresConfig,
    session: Arc<Session>,
    sql: Arc<Statements>,
    sweeper: JoinHandle<()>,
}

impl PostgresStateBackend {
    /// Connects to the server, creates the schema and the table if they do not exist, and starts
    /// the task that removes expired rows.
    ///
    /// # Errors
    /// Returns an error if the server cannot be reached, refuses the login, or denies a right.
    pub async fn new(config: PostgresConfig) -> Result<Self, StateError> {
        let session = Arc::new(Session::open(&config).await?);
        let sql = Arc::new(Statements::new(&config.schema));
        session.create_table(&sql).await?;
        let sweeper = tokio::spawn(sweep::run(session.clone(), sql.clone(), config.sweep_interval));
        Ok(Self { config, session, sql, sweeper })
    }

    async fn store(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        check_entry(key, value)?;
        let ttl_us = ttl_us(ttl)?;
        let parameters: session::Parameters<'_> =
            &[(&key, Type::BYTEA), (&value, Type::BYTEA), (&ttl_us, Type::INT8)];
        self.session.query(&self.sql.put, parameters, Repeat::Safe).await.map(drop)
    }

    /// Stores the absent ones of different keys, in order. Returns `None` for an entry that another
    /// call changed meanwhile.
    async fn put_absent(
        &self,
        keys: &[&[u8]],
        values: &[&[u8]],
        ttl_us: Option<i64>,
    ) -> Result<Vec<Option<Put>>, StateError> {
        let parameters: session::Parameters<'_> =
            &[(&keys, Type::BYTEA_ARRAY), (&values, Type::BYTEA_ARRAY), (&ttl_us, Type::INT8)];
        // Not safe to repeat: the second attempt would find the rows of the first.
        let rows = self.session.query(&self.sql.put_if_absent, parameters, Repeat::Unsafe).await?;
        rows.iter().map(|row| self.put_of(row)).collect()
    }

    fn put_of(&self, row: &Row) -> Result<Option<Put>, StateError> {
        let written: bool = self.column(row, 0)?;
        if written {
            return Ok(Some(Put::Written));
        }
        let value: Option<Vec<u8>> = self.column(row, 1)?;
        Ok(value.map(Put::Found))
    }

    fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
        &self,
        row: &'a Row,
        column: usize,
    ) -> Result<T, StateError> {
        row.try_get(column).map_err(|error| state_error(&self.config, &error))
    }
}

/// The result of [`StateBackend::put_if_absent`] for one key.
#[derive(Clone)]
enum Put {
    Written,
    Found(Vec<u8>),
}

/// Returns a ttl in microseconds.
fn ttl_us(ttl: Option<Duration>) -> Result<Option<i64>, StateError> {
    let ms = ttl.map(ttl_ms).transpose()?;
    Ok(ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX / 1000).saturating_mul(1000)))
}

impl Drop for PostgresStateBackend {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

impl fmt::Debug for PostgresStateBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStateBackend").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl StateBackend for PostgresStateBackend {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        let rows = self.session.query(&self.sql.get, &[(&key, Type::BYTEA)], Repeat::Safe).await?;
        rows.first().map(|row| self.column(row, 0)).transpose()
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
        let ttl_us = ttl_us(ttl.or(self.config.remote.default_ttl))?;
        // One row per key: a statement cannot change a row twice.
        let mut first_of: HashMap<&[u8], usize> = HashMap::with_capacity(entries.len());
        let mut open = Vec::with_capacity(entries.len());
        for (index, (key, _)) in entries.iter().enumerate() {
            first_of.entry(key).or_insert_with(|| {
                open.push(index);
                index
            });
        }
        let mut puts: Vec<Option<Put>> = vec![None; entries.len()];
        // The statement sees the table as of its start, so it cannot see the value of a row that
        // another transaction has committed meanwhile. Such keys are tried again.
        while !open.is_empty() {
            let of = |index: &usize| entries.get(*index).copied().unwrap_or_default();
            let (keys, values): (Vec<_>, Vec<_>) = open.iter().map(of).unzip();
            let found = self.put_absent(&keys, &values, ttl_us).await?;
            for (index, put) in open.iter().zip(found) {
                if let Some(slot) = puts.get_mut(*index) {
                    *slot = put;
                }
            }
            open.retain(|index| puts.get(*index).is_some_and(Option::is_none));
        }
        let result = entries.iter().enumerate().map(|(index, (key, _))| {
            let first = first_of.get(key).copied().unwrap_or(index);
            match puts.get(first)?.as_ref()? {
                Put::Found(value) => Some(value.clone()),
                Put::Written if first == index => None,
                Put::Written => entries.get(first).map(|(_, value)| value.to_vec()),
            }
        });
        Ok(result.collect())
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StateError> {
        check_key(key)?;
        // Not safe to repeat: the second attempt would not find the row.
        let parameters: session::Parameters<'_> = &[(&key, Type::BYTEA)];
        let rows = self.session.query(&self.sql.delete, parameters, Repeat::Unsafe).await?;
        rows.first().map_or(Ok(false), |row| self.column(row, 0))
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
        let after = after.filter(|after| *after >= prefix);
        let end = end_of_prefix(prefix);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters: session::Parameters<'_> = &[
            (&prefix, Type::BYTEA),
            (&after, Type::BYTEA),
            (&end, Type::BYTEA),
            (&limit, Type::INT8),
        ];
        let rows = self.session.query(&self.sql.scan, parameters, Repeat::Safe).await?;
        rows.iter().map(|row| Ok((self.column(row, 0)?, self.column(row, 1)?))).collect()
    }

    async fn flush(&self) -> Result<(), StateError> {
        // Every write is committed before it is acknowledged.
        Ok(())
    }
}
