//! The timer of ticks: when the engine must get the time of day although no input has arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The stored time while no tick is scheduled.
const NEVER: i64 = i64::MAX;

/// The time of the next tick, in microseconds since the epoch. The shard sets it; the parser waits
/// for it.
#[derive(Clone)]
pub(super) struct TickTimer {
    next_tick: Arc<AtomicI64>,
    wake_parser: Arc<dyn Fn() + Send + Sync>,
}

impl TickTimer {
    /// Creates a timer whose first tick is due at once. `wake_parser` ends the parser's wait, so
    /// that it reads the new time.
    pub(super) fn new(wake_parser: impl Fn() + Send + Sync + 'static) -> Self {
        Self { next_tick: Arc::new(AtomicI64::new(i64::MIN)), wake_parser: Arc::new(wake_parser) }
    }

    /// Schedules the next tick at `time`; `i64::MAX` schedules none.
    pub(super) fn schedule(&self, time: i64) {
        self.next_tick.store(time, Ordering::Release);
        (self.wake_parser)();
    }

    /// Removes the scheduled tick, because a batch with the time was sent. The shard schedules the
    /// next one after that batch.
    pub(super) fn clear(&self) {
        self.next_tick.store(NEVER, Ordering::Release);
    }

    /// Returns the time until the next tick, or `None` if no tick is scheduled.
    pub(super) fn time_left(&self) -> Option<Duration> {
        match self.next_tick.load(Ordering::Acquire) {
            NEVER => None,
            time => {
                let micros = time.saturating_sub(now()).max(0);
                Some(Duration::from_micros(micros.unsigned_abs()))
            }
        }
    }
}

/// Returns the time of day in microseconds since the epoch.
pub(super) fn now() -> i64 {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => micros(before.duration()).saturating_neg(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_tick_is_due_at_once_and_clear_unschedules_it() {
        let timer = TickTimer::new(|| {});
        assert_eq!(timer.time_left(), Some(Duration::ZERO), "the first tick is due at once");
        timer.clear();
        assert_eq!(timer.time_left(), None);
        timer.schedule(now() + 60_000_000);
        assert!(timer.time_left().is_some_and(|left| left > Duration::from_secs(50)));
    }
}
