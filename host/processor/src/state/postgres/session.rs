//! Runs statements on pooled connections, with time limits and reconnection.

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::PostgresConfig;
use super::error::{BACKEND, is_conflict, state_error};
use super::sql::Statements;
use crate::state::StateError;
use crate::state::backoff::Backoff;

pub(super) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// Says if a statement may be sent a second time when the connection broke before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Safe,
    Unsafe,
}

pub(super) struct Session {
    pool: Pool,
    config: PostgresConfig,
}

/// What an error of a statement means for the next attempt.
enum Outcome {
    /// Nothing was changed.
    Repeat(StateError),
    /// The connection broke: the statement may have taken effect.
    Broken(StateError),
    Failed(StateError),
}

impl Session {
    /// Opens the minimum of connections, at least one.
    pub(super) async fn open(config: &PostgresConfig) -> Result<Self, StateError> {
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let tls = config.tls()?;
        let manager = Manager::from_config(config.connection.clone(), tls, manager);
        let pool = Pool::builder(manager)
            .max_size(config.max_connections as usize)
            .create_timeout(Some(config.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StateError::option("pool_size", error.to_string()))?;
        let session = Self { pool, config: config.clone() };
        let mut opened = Vec::new();
        for _ in 0..config.min_connections.max(1) {
            opened.push(session.connection().await?);
        }
        drop(opened);
        Ok(session)
    }

    /// Creates the schema and the table.
    pub(super) async fn create_table(&self, sql: &Statements) -> Result<(), StateError> {
        let limit = self.config.command_timeout;
        let create = async {
            let connection = self.connection().await?;
            let created = connection.batch_execute(&sql.create).await;
            created.map_err(|error| {
                // Its transaction is open and failed.
                drop(Object::take(connection));
                state_error(&self.config, &error)
            })
        };
        let timed_out = Err(StateError::Timeout { backend: BACKEND, after: limit });
        timeout(limit, create).await.unwrap_or(timed_out)
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn query(
        &self,
        statement: &str,
        parameters: Parameters<'_>,
        repeat: Repeat,
    ) -> Result<Vec<Row>, StateError> {
        let limit = self.config.command_timeout;
        let mut last = None;
        let run = async {
            let mut backoff = Backoff::new();
            loop {
                let error = match self.attempt(statement, parameters).await {
                    Ok(rows) => return Ok(rows),
                    Err(Outcome::Failed(error)) => return Err(error),
                    Err(Outcome::Repeat(error)) => error,
                    Err(Outcome::Broken(error)) if repeat == Repeat::Safe => error,
                    Err(Outcome::Broken(error)) => return Err(error),
                };
                last = Some(error);
                backoff.wait().await;
            }
        };
        let result = timeout(limit, run).await;
        result.unwrap_or_else(|_| {
            Err(last.unwrap_or(StateError::Timeout { backend: BACKEND, after: limit }))
        })
    }

    async fn attempt(
        &self,
        statement: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Outcome> {
        let connection = self.connection().await.map_err(|error| match error {
            StateError::Unavailable { .. } => Outcome::Repeat(error),
            error => Outcome::Failed(error),
        })?;
        // Unless the answer arrives, the connection is not used again: its next answer would be
        // that of this statement.
        let connection = Unanswered(Some(connection));
        let Some(client) = &connection.0 else { return Ok(Vec::new()) };
        let result = client.query_typed(statement, parameters).await;
        result.map(|rows| (rows, connection.answered()).0).map_err(|error| {
            let converted = state_error(&self.config, &error);
            if is_conflict(&error) {
                Outcome::Repeat(converted)
            } else if error.as_db_error().is_none() || error.is_closed() {
                Outcome::Broken(converted)
            } else if matches!(converted, StateError::Unavailable { .. }) {
                // The server said that it stops: it has rolled the statement back.
                Outcome::Repeat(converted)
            } else {
                Outcome::Failed(converted)
            }
        })
    }

    async fn connection(&self) -> Result<Object, StateError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => state_error(&self.config, &error),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                let after = self.config.connect_timeout;
                let reason = format!("{}: no connection within {after:?}", self.config.address());
                StateError::Unavailable { backend: BACKEND, reason }
            }
            error => StateError::Unavailable { backend: BACKEND, reason: error.to_string() },
        })
    }
}

/// A connection that is closed when it is dropped.
struct Unanswered(Option<Object>);

impl Unanswered {
    /// Returns the connection to the pool.
    fn answered(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}
