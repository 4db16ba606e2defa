//! Runs statements on pooled connections, with time limits and reconnection.

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use super::PostgresConfig;
use super::error::{BACKEND, is_conflict, state_error};
use super::sql::Statements;
use crate::state::StateError;
use crate::state::remote::{Attempt, Repeat, retry};

pub(super) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

pub(super) struct Session {
    pool: Pool,
    config: PostgresConfig,
}

impl Session {
    /// Opens the minimum of connections, at least one.
    pub(super) async fn open(config: &PostgresConfig) -> Result<Self, StateError> {
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let tls = config.tls()?;
        let manager = Manager::from_config(config.connection.clone(), tls, manager);
        let pool = Pool::builder(manager)
            .max_size(config.remote.max_connections())
            .create_timeout(Some(config.remote.connect_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StateError::option("pool_size", error.to_string()))?;
        let session = Self { pool, config: config.clone() };
        let mut opened = Vec::new();
        for _ in 0..config.remote.first_connections() {
            opened.push(session.connection().await?);
        }
        drop(opened);
        Ok(session)
    }

    /// Creates the schema and the table.
    pub(super) async fn create_table(&self, sql: &Statements) -> Result<(), StateError> {
        let limit = self.config.remote.command_timeout;
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
        let limit = self.config.remote.command_timeout;
        retry(BACKEND, limit, repeat, || self.attempt(statement, parameters)).await
    }

    async fn attempt(&self, statement: &str, parameters: Parameters<'_>) -> Attempt<Vec<Row>> {
        let connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error @ StateError::Unavailable { .. }) => return Attempt::NoEffect(error),
            Err(error) => return Attempt::Failed(error),
        };
        // Unless the answer arrives, the connection is not used again: its next answer would be
        // that of this statement.
        let connection = Unanswered(Some(connection));
        let Some(client) = &connection.0 else { return Attempt::Done(Vec::new()) };
        match client.query_typed(statement, parameters).await {
            Ok(rows) => {
                connection.answered();
                Attempt::Done(rows)
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &Error) -> Attempt<Vec<Row>> {
        let converted = state_error(&self.config, error);
        if is_conflict(error) {
            Attempt::NoEffect(converted)
        } else if error.as_db_error().is_none() || error.is_closed() {
            Attempt::Broken(converted)
        } else if matches!(converted, StateError::Unavailable { .. }) {
            // The server said that it stops: it has rolled the statement back.
            Attempt::NoEffect(converted)
        } else {
            Attempt::Failed(converted)
        }
    }

    async fn connection(&self) -> Result<Object, StateError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => state_error(&self.config, &error),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                let after = self.config.remote.connect_timeout;
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
