//! Connections to the server: as many as calls at the same time, within the pool's limits.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisResult};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::RedisConfig;
use super::error::{BACKEND, state_error};
use crate::state::StateError;
use crate::state::remote::{Attempt, Repeat, retry};

/// An idle connection is tested before use after this time: the server may have restarted.
const TEST_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Pool {
    client: Client,
    config: RedisConfig,
    idle: Mutex<Vec<Idle>>,
    permits: Semaphore,
}

struct Idle {
    connection: MultiplexedConnection,
    since: Instant,
}

impl Pool {
    /// Opens the minimum of connections, at least one.
    pub(super) async fn open(config: &RedisConfig) -> Result<Self, StateError> {
        let permits = Semaphore::new(config.remote.max_connections());
        let client = config.client()?;
        let pool = Self { client, config: config.clone(), idle: Mutex::default(), permits };
        for _ in 0..config.remote.first_connections() {
            let connection = pool.connect().await?;
            pool.put_back(connection);
        }
        Ok(pool)
    }

    /// Runs a pipeline and returns its answers.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
        repeat: Repeat,
    ) -> Result<T, StateError> {
        let limit = self.config.remote.command_timeout;
        retry(BACKEND, limit, repeat, || self.attempt(pipeline)).await
    }

    async fn attempt<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Attempt<T> {
        let Ok(_permit) = self.permits.acquire().await else { return Attempt::Failed(closed()) };
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error @ StateError::Refused { .. }) => return Attempt::Failed(error),
            Err(error) => return Attempt::NoEffect(error),
        };
        // Dropped in the middle by a time-out, the connection closes: its next answer would be that
        // of this call.
        let result: RedisResult<T> = pipeline.query_async(&mut connection).await;
        match result {
            Ok(answer) => {
                self.put_back(connection);
                Attempt::Done(answer)
            }
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => {
                // The server has restarted or is away: the others are broken as well.
                self.idle().clear();
                Attempt::Broken(state_error(&self.config, error))
            }
            Err(error) => {
                self.put_back(connection);
                Attempt::Failed(state_error(&self.config, error))
            }
        }
    }

    /// Returns an idle connection that works, or a new one.
    async fn connection(&self) -> Result<MultiplexedConnection, StateError> {
        loop {
            let Some(idle) = self.idle().pop() else { return self.connect().await };
            let Idle { mut connection, since } = idle;
            if since.elapsed() < TEST_AFTER {
                return Ok(connection);
            }
            let ping = redis::cmd("PING");
            let test = ping.query_async::<()>(&mut connection);
            if let Ok(Ok(())) = timeout(self.config.remote.connect_timeout, test).await {
                return Ok(connection);
            }
            self.idle().clear();
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StateError> {
        let limit = self.config.remote.connect_timeout;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            .set_response_timeout(None);
        let connect = self.client.get_multiplexed_async_connection_with_config(&config);
        match timeout(limit, connect).await {
            Ok(connection) => connection.map_err(|error| state_error(&self.config, error)),
            Err(_) => Err(StateError::Unavailable {
                backend: BACKEND,
                reason: format!(
                    "{}: no connection within {limit:?}",
                    self.config.connection.addr()
                ),
            }),
        }
    }

    fn put_back(&self, connection: MultiplexedConnection) {
        self.idle().push(Idle { connection, since: Instant::now() });
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> StateError {
    StateError::Unavailable { backend: BACKEND, reason: "the pool is closed".into() }
}
