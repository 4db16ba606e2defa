//! Watermark generators: the progress of event time.
//!
//! A watermark says that events up to it have most likely arrived. A processor has a generator of
//! its own, by the options of [`crate::engine::spec::Time`]; the generators here follow the same
//! rules for programs that need the watermark elsewhere. They compute it for a source, and pass it
//! to a processor with `watermark = "manual"` by
//! [`crate::StreamProcessor::advance_watermark`]:
//! ```
//! use processor::watermark::{Periodic, WatermarkGenerator};
//! use chrono::{DateTime, Duration, Utc};
//!
//! let mut generator = Periodic::new(Duration::seconds(2), Duration::seconds(10));
//! let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
//! assert!(generator.observe(noon, 1.0));
//! assert!(!generator.observe(noon + Duration::seconds(9), 1.0));
//! assert!(generator.observe(noon + Duration::seconds(11), 1.0));
//! let watermark = generator.watermark().unwrap();
//! assert_eq!(watermark, noon + Duration::seconds(9) - Duration::microseconds(1));
//! # Ok::<(), chrono::ParseError>(())
//! ```

use chrono::{DateTime, Duration, Utc};

use crate::time::{date_time, micros};

/// Computes a watermark from events in the order of arrival.
pub trait WatermarkGenerator: Send {
    /// Takes the time and the value of an event. Returns whether the watermark has moved.
    fn observe(&mut self, timestamp: DateTime<Utc>, value: f64) -> bool;

    /// Returns the watermark: all windows that end at or before it, plus 1 µs, are complete. `None`
    /// before the first event that moves it.
    fn watermark(&self) -> Option<DateTime<Utc>>;
}

/// A watermark that never moves back.
#[derive(Debug, Clone, Copy, Default)]
struct Progress(Option<i64>);

impl Progress {
    /// Moves to `time − bound − 1 µs`, if that is forward. Returns whether it has moved.
    fn follow(&mut self, time: i64, bound_us: i64) -> bool {
        let watermark = time.saturating_sub(bound_us).saturating_sub(1);
        let moves = self.0.is_none_or(|before| before < watermark);
        if moves {
            self.0 = Some(watermark);
        }
        moves
    }
}

/// Returns a duration in microseconds; a negative one is 0.
fn bound_us(bound: Duration) -> i64 {
    bound.num_microseconds().unwrap_or(i64::MAX).max(0)
}

/// Follows the greatest event time at a fixed distance: `watermark = "bounded"`.
///
/// ```
/// use processor::watermark::{BoundedOutOfOrderness, WatermarkGenerator};
/// use chrono::{DateTime, Duration, Utc};
///
/// let mut generator = BoundedOutOfOrderness::new(Duration::seconds(2));
/// let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
/// assert!(generator.observe(noon, 1.0));
/// assert!(!generator.observe(noon - Duration::seconds(1), 1.0));
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BoundedOutOfOrderness {
    bound_us: i64,
    progress: Progress,
}

impl BoundedOutOfOrderness {
    /// Creates a generator for events at most `bound` behind the greatest event time. With zero,
    /// event times never decrease.
    #[must_use]
    pub fn new(bound: Duration) -> Self {
        Self { bound_us: bound_us(bound), progress: Progress::default() }
    }
}

impl WatermarkGenerator for BoundedOutOfOrderness {
    fn observe(&mut self, timestamp: DateTime<Utc>, _: f64) -> bool {
        self.progress.follow(micros(timestamp), self.bound_us)
    }

    fn watermark(&self) -> Option<DateTime<Utc>> {
        self.progress.0.map(date_time)
    }
}

/// Moves only once event time has advanced by an interval since the last move: `watermark =
/// "periodic"`. The module has an example.
#[derive(Debug, Clone)]
pub struct Periodic {
    bound_us: i64,
    interval_us: i64,
    moved_at: Option<i64>,
    progress: Progress,
}

impl Periodic {
    /// Creates a generator as [`BoundedOutOfOrderness`] that moves in steps of `interval` or more.
    #[must_use]
    pub fn new(bound: Duration, interval: Duration) -> Self {
        let (bound_us, interval_us) = (bound_us(bound), bound_us(interval));
        Self { bound_us, interval_us, moved_at: None, progress: Progress::default() }
    }
}

impl WatermarkGenerator for Periodic {
    fn observe(&mut self, timestamp: DateTime<Utc>, _: f64) -> bool {
        let time = micros(timestamp);
        let is_due =
            self.moved_at.is_none_or(|moved| time.saturating_sub(moved) >= self.interval_us);
        is_due && self.progress.follow(time, self.bound_us) && {
            self.moved_at = Some(time);
            true
        }
    }

    fn watermark(&self) -> Option<DateTime<Utc>> {
        self.progress.0.map(date_time)
    }
}

/// Moves only at events that are marked: `watermark = "punctuated"` with `watermark_field =
/// "value"`. By default, a value other than 0 marks an event.
///
/// ```
/// use processor::watermark::{Punctuated, WatermarkGenerator};
/// use chrono::{DateTime, Duration, Utc};
///
/// let mut generator = Punctuated::new(Duration::zero()).with_mark(|value| value < 0.0);
/// let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
/// assert!(!generator.observe(noon, 7.0));
/// assert!(generator.observe(noon, -1.0));
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Punctuated {
    bound_us: i64,
    is_mark: fn(f64) -> bool,
    progress: Progress,
}

impl Punctuated {
    /// Creates a generator that moves to the time of a marked event, less `bound`.
    #[must_use]
    pub fn new(bound: Duration) -> Self {
        let is_mark = |value: f64| value != 0.0 && !value.is_nan();
        Self { bound_us: bound_us(bound), is_mark, progress: Progress::default() }
    }

    /// Sets which values mark an event.
    #[must_use]
    pub fn with_mark(self, is_mark: fn(f64) -> bool) -> Self {
        Self { is_mark, ..self }
    }
}

impl WatermarkGenerator for Punctuated {
    fn observe(&mut self, timestamp: DateTime<Utc>, value: f64) -> bool {
        (self.is_mark)(value) && self.progress.follow(micros(timestamp), self.bound_us)
    }

    fn watermark(&self) -> Option<DateTime<Utc>> {
        self.progress.0.map(date_time)
    }
}
