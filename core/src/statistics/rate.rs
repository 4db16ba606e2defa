//! Events per second.

use std::collections::VecDeque;

use super::{StatisticsError, number};

/// Maximum number of timestamps kept exactly; beyond that, neighbours are merged.
const MAX_TIMES: usize = 65_536;

/// Events per second over a trailing window. Time is a parameter, in microseconds of any clock, and
/// never goes back.
///
/// ```
/// use stream_processor_core::statistics::RateCalculator;
///
/// let mut rate = RateCalculator::new(10_000_000)?; // over 10 s
/// for second in 0..5 {
///     rate.record(second * 1_000_000, 4);
/// }
/// assert_eq!(rate.rate(5_000_000), 2.0); // 20 events in 10 s
/// assert_eq!(rate.rate(12_000_000), 0.8); // those of the last 10 s: 8
/// # Ok::<(), stream_processor_core::statistics::StatisticsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RateCalculator {
    window_us: u64,
    /// Entries of merged events: their latest timestamp and their number, ascending.
    times: VecDeque<(i64, u64)>,
    count: u64,
    /// Events at most this far apart are merged into one entry.
    resolution_us: u64,
    now: i64,
}

impl RateCalculator {
    /// Creates a calculator over the last `window_us` microseconds.
    ///
    /// # Errors
    /// [`StatisticsError::EmptyWindow`] if `window_us` is 0.
    pub fn new(window_us: u64) -> Result<Self, StatisticsError> {
        if window_us == 0 {
            return Err(StatisticsError::EmptyWindow);
        }
        Ok(Self { window_us, times: VecDeque::new(), count: 0, resolution_us: 0, now: i64::MIN })
    }

    /// Records `events` at `now`. An earlier time counts as the latest one.
    pub fn record(&mut self, now: i64, events: u64) {
        self.advance(now);
        if events == 0 {
            return;
        }
        self.count = self.count.saturating_add(events);
        self.times.push_back((self.now, events));
        self.merge_last();
        if self.times.len() > MAX_TIMES {
            self.coarsen();
        }
    }

    /// Returns events per second in the window that ends at `now`: those later than `now − window`.
    pub fn rate(&mut self, now: i64) -> f64 {
        self.advance(now);
        number(self.count) * 1e6 / number(self.window_us)
    }

    /// Returns the number of events in the window that ends at the latest time.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Moves the latest time to `now`, and removes the events that have left the window.
    fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        let has_expired = |(time, _): &mut (i64, u64)| self.now.abs_diff(*time) >= self.window_us;
        while let Some((_, events)) = self.times.pop_front_if(has_expired) {
            self.count = self.count.saturating_sub(events);
        }
        if self.times.is_empty() {
            (self.count, self.resolution_us) = (0, 0);
        }
    }

    /// Merges the last two entries, if they are within the resolution.
    fn merge_last(&mut self) {
        let Some((time, events)) = self.times.pop_back() else { return };
        let near = |(before, _): &&mut (i64, u64)| self.resolution_us >= time.abs_diff(*before);
        match self.times.back_mut().filter(near) {
            Some((_, before)) => *before = before.saturating_add(events),
            None => self.times.push_back((time, events)),
        }
    }

    /// Doubles the resolution until at most half as many entries remain.
    #[cold]
    fn coarsen(&mut self) {
        while self.times.len() > MAX_TIMES / 2 {
            self.resolution_us = (self.resolution_us * 2).max(1);
            for entry in core::mem::take(&mut self.times) {
                self.times.push_back(entry);
                self.merge_last();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_within_the_window_count() {
        let mut rate = RateCalculator::new(1_000_000).unwrap();
        assert_eq!(rate.rate(-5), 0.0);
        rate.record(0, 1);
        rate.record(400_000, 2);
        assert_eq!(rate.rate(999_999), 3.0);
        assert_eq!(rate.rate(1_000_000), 2.0);
        rate.record(0, 5); // counts as now
        assert_eq!(rate.rate(1_400_000), 5.0);
        assert_eq!((rate.rate(2_000_000), rate.count()), (0.0, 0));
        assert!(RateCalculator::new(0).is_err());
    }

    #[test]
    fn many_timestamps_take_bounded_memory_with_small_error() {
        let mut rate = RateCalculator::new(1_000_000).unwrap();
        for time in 0..3_000_000 {
            rate.record(time, 1);
        }
        assert!(rate.times.len() <= MAX_TIMES);
        let found = rate.rate(3_000_000);
        assert!((found / 1e6 - 1.0).abs() < 1e-4, "{found}");
    }

    #[test]
    fn extreme_timestamps_do_not_overflow() {
        let mut rate = RateCalculator::new(u64::MAX).unwrap();
        rate.record(i64::MIN, u64::MAX);
        rate.record(i64::MAX, u64::MAX);
        assert_eq!(rate.count(), u64::MAX);
    }
}
