//! The time of day, for pipelines that go by it: when the engine must be told it, though nothing comes in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// No tick is due.
const NEVER: i64 = i64::MAX;

/// The time of the next tick: set by the shard that knows it, waited for by the parser.
#[derive(Clone)]
pub(super) struct Alarm {
    due: Arc<AtomicI64>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Alarm {
    /// `wake` wakes the parser, so that it looks at the time again.
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { due: Arc::new(AtomicI64::new(i64::MIN)), wake: Arc::new(wake) }
    }

    /// A tick is due at `time`.
    pub(super) fn set(&self, time: i64) {
        self.due.store(time, Ordering::Release);
        (self.wake)();
    }

    /// A tick is on its way: the shard will say when the next one is due.
    pub(super) fn clear(&self) {
        self.due.store(NEVER, Ordering::Release);
    }

    /// How long there is until the next tick; `None`: none is due.
    pub(super) fn time_left(&self) -> Option<Duration> {
        match self.due.load(Ordering::Acquire) {
            NEVER => None,
            due => {
                let micros = due.saturating_sub(now()).max(0);
                Some(Duration::from_micros(micros.unsigned_abs()))
            }
        }
    }
}

/// The time of day, microseconds since the epoch.
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
    fn it_is_due_until_a_tick_is_on_its_way() {
        let alarm = Alarm::new(|| {});
        assert_eq!(alarm.time_left(), Some(Duration::ZERO), "the first tick is due at once");
        alarm.clear();
        assert_eq!(alarm.time_left(), None);
        alarm.set(now() + 60_000_000);
        assert!(alarm.time_left().is_some_and(|left| left > Duration::from_secs(50)));
    }
}
