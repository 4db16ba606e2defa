//! Repetition of calls that failed for a time.

use std::time::Duration;

use tokio::time::timeout;

use super::backoff::Backoff;
use crate::state::StateError;

/// Says if a call may be sent a second time when the connection broke before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Repeat {
    Safe,
    Unsafe,
}

/// The result of one attempt to run a call.
pub(in crate::state) enum Attempt<T> {
    Done(T),
    /// The call changed nothing: it can be repeated.
    NoEffect(StateError),
    /// The connection broke after the call was sent: it may have taken effect.
    Broken(StateError),
    Failed(StateError),
}

/// Runs attempts, with growing pauses, until one is done or a repetition is not allowed.
///
/// # Errors
/// Returns the error of the last attempt after `limit`, or a time-out if no attempt had ended.
pub(in crate::state) async fn retry<T, F: Future<Output = Attempt<T>>>(
    backend: &'static str,
    limit: Duration,
    repeat: Repeat,
    attempt: impl Fn() -> F,
) -> Result<T, StateError> {
    let mut last = StateError::Timeout { backend, after: limit };
    let run = async {
        let mut backoff = Backoff::new();
        loop {
            last = match attempt().await {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::NoEffect(error) => error,
                Attempt::Broken(error) if repeat == Repeat::Safe => error,
                Attempt::Broken(error) | Attempt::Failed(error) => return Err(error),
            };
            backoff.wait().await;
        }
    };
    let result = timeout(limit, run).await;
    result.unwrap_or(Err(last))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    fn away() -> StateError {
        StateError::Unavailable { backend: "test", reason: "away".into() }
    }

    /// Runs attempts that fail `failures` times. Returns the result and the number of attempts.
    async fn run(
        repeat: Repeat,
        failures: u32,
        failure: fn(StateError) -> Attempt<u32>,
    ) -> (Result<u32, StateError>, u32) {
        let attempts = Cell::new(0);
        let result = retry("test", LIMIT, repeat, || {
            attempts.set(attempts.get() + 1);
            let failed = attempts.get() <= failures;
            async move { if failed { failure(away()) } else { Attempt::Done(7) } }
        });
        (result.await, attempts.get())
    }

    #[tokio::test]
    async fn call_without_effect_is_repeated_until_it_is_done() {
        assert_eq!(run(Repeat::Unsafe, 2, Attempt::NoEffect).await, (Ok(7), 3));
        assert_eq!(run(Repeat::Safe, 2, Attempt::Broken).await, (Ok(7), 3));
    }

    #[tokio::test]
    async fn unsafe_call_is_not_repeated_after_a_broken_connection() {
        assert_eq!(run(Repeat::Unsafe, 1, Attempt::Broken).await, (Err(away()), 1));
        assert_eq!(run(Repeat::Safe, 1, Attempt::Failed).await, (Err(away()), 1));
    }

    #[tokio::test]
    async fn limit_ends_with_the_last_error_or_a_timeout() {
        let (result, attempts) = run(Repeat::Safe, u32::MAX, Attempt::NoEffect).await;
        assert_eq!(result, Err(away()));
        assert!(attempts > 1);
        let stuck = retry("test", LIMIT, Repeat::Safe, std::future::pending::<Attempt<u32>>);
        let after = LIMIT;
        assert_eq!(stuck.await, Err(StateError::Timeout { backend: "test", after }));
    }
}
