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
use crate::state::backoff::Backoff;

/// An idle connection is tested before use after this time: the server may have restarted.
const TEST_AFTER: Duration = Duration::from_secs(1);

/// Whether a call may be sent a second time when the connection broke before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Safe,
    Unsafe,
}

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

/// The result of one attempt to run a call.
enum Attempt<T> {
    Done(T),
    /// The call was not sent: it can be repeated.
    NotSent(StateError),
    /// The connection broke after the call was sent.
    Broken(StateError),
    Failed(StateError),
}

impl Pool {
    /// Opens the minimum of connections, at least one.
    pub(super) async fn open(config: &RedisConfig) -> Result<Self, StateError> {
        let permits = Semaphore::new(config.max_connections as usize);
        let client = config.client()?;
        let pool = Self { client, config: config.clone(), idle: Mutex::default(), permits };
        for _ in 0..config.min_connections.max(1) {
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
        let limit = self.config.command_timeout;
        let mut last = None;
        let run = async {
            let Ok(_permit) = self.permits.acquire().await else { return Err(closed()) };
            let mut backoff = Backoff::new();
            loop {
                let error = match self.attempt(pipeline).await {
                    Attempt::Done(answer) => return Ok(answer),
                    Attempt::Failed(error) => return Err(error),
                    Attempt::NotSent(error) => error,
                    Attempt::Broken(error) if repeat == Repeat::Safe => error,
                    Attempt::Broken(error) => return Err(error),
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

    async fn attempt<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Attempt<T> {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error @ StateError::Refused { .. }) => return Attempt::Failed(error),
            Err(error) => return Attempt::NotSent(error),
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
            if let Ok(Ok(())) = timeout(self.config.connect_timeout, test).await {
                return Ok(connection);
            }
            self.idle().clear();
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StateError> {
        let limit = self.config.connect_timeout;
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
