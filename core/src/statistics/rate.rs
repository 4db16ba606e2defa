//! Events per second.

use std::collections::VecDeque;

use super::{StatisticsError, number};

/// Different times that are kept as they are; of more, neighbours are counted together.
const MAX_TIMES: usize = 65_536;

/// Events per second over the time just past. Time is passed in: microseconds of any clock, and it never goes back.
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
    /// The latest time of its events and their number, in ascending order.
    times: VecDeque<(i64, u64)>,
    count: u64,
    /// Events no further apart than this are counted at one time.
    resolution_us: u64,
    now: i64,
}

impl RateCalculator {
    /// Over the last `window_us` microseconds.
    ///
    /// # Errors
    /// If that is 0.
    pub fn new(window_us: u64) -> Result<Self, StatisticsError> {
        if window_us == 0 {
            return Err(StatisticsError::EmptyWindow);
        }
        Ok(Self { window_us, times: VecDeque::new(), count: 0, resolution_us: 0, now: i64::MIN })
    }

    /// Takes note of `events` at `now`. A time before the latest one counts as that.
    pub fn record(&mut self, now: i64, events: u64) {
        self.advance(now);
        if events == 0 {
            return;
        }
        self.count = self.count.saturating_add(events);
        self.times.push_back((self.now, events));
        self.join_last();
        if self.times.len() > MAX_TIMES {
            self.coarsen();
        }
    }

    /// Events per second in the window that ends with `now`: those that came later than `now − window`.
    pub fn rate(&mut self, now: i64) -> f64 {
        self.advance(now);
        number(self.count) * 1e6 / number(self.window_us)
    }

    /// Events in the window that ends with the latest time.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        let is_over = |(time, _): &mut (i64, u64)| self.now.abs_diff(*time) >= self.window_us;
        while let Some((_, events)) = self.times.pop_front_if(is_over) {
            self.count = self.count.saturating_sub(events);
        }
        if self.times.is_empty() {
            (self.count, self.resolution_us) = (0, 0);
        }
    }

    /// Counts the last events with those before, if they are near enough.
    fn join_last(&mut self) {
        let Some((time, events)) = self.times.pop_back() else { return };
        let near = |(before, _): &&mut (i64, u64)| self.resolution_us >= time.abs_diff(*before);
        match self.times.back_mut().filter(near) {
            Some((_, before)) => *before = before.saturating_add(events),
            None => self.times.push_back((time, events)),
        }
    }

    /// Counts neighbours together until at most half as many times are left.
    #[cold]
    fn coarsen(&mut self) {
        while self.times.len() > MAX_TIMES / 2 {
            self.resolution_us = (self.resolution_us * 2).max(1);
            for entry in core::mem::take(&mut self.times) {
                self.times.push_back(entry);
                self.join_last();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_younger_than_the_window() {
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
    fn many_times_take_little_memory_and_are_nearly_exact() {
        let mut rate = RateCalculator::new(1_000_000).unwrap();
        for time in 0..3_000_000 {
            rate.record(time, 1);
        }
        assert!(rate.times.len() <= MAX_TIMES);
        let found = rate.rate(3_000_000);
        assert!((found / 1e6 - 1.0).abs() < 1e-4, "{found}");
    }

    #[test]
    fn the_ends_of_time_are_times() {
        let mut rate = RateCalculator::new(u64::MAX).unwrap();
        rate.record(i64::MIN, u64::MAX);
        rate.record(i64::MAX, u64::MAX);
        assert_eq!(rate.count(), u64::MAX);
    }
}
