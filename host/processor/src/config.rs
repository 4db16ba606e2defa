//! The configuration of a processor, and durations in the engine's form.

use chrono::Duration;

use crate::engine::SpecError;
use crate::engine::spec;

/// Lateness, watermarks and buffers of a [`crate::StreamProcessor`].
///
/// The struct has exactly these fields for good. Everything else is a method of
/// [`crate::StreamProcessorBuilder`].
/// ```
/// use processor::StreamProcessorConfig;
/// use chrono::Duration;
///
/// let config = StreamProcessorConfig { allow_late_events: false, ..Default::default() };
/// assert_eq!(config.watermark_interval, Duration::seconds(1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamProcessorConfig {
    /// True if a window accepts events after it has fired, and then fires again with the corrected
    /// results. If false, such events are dropped and counted.
    pub allow_late_events: bool,
    /// The time after its end during which a window accepts late events. This is not the disorder
    /// of the stream: see [`crate::StreamProcessorBuilder::with_max_out_of_orderness`].
    pub late_event_threshold: Duration,
    /// The distance in event time between two moves of the watermark. Zero: every event may move
    /// it.
    pub watermark_interval: Duration,
    /// The longest time for which a window that has fired keeps its state. Late events are accepted
    /// for the lesser of this and `late_event_threshold`.
    pub window_retention: Duration,
    /// The maximum number of open windows of one key, including those kept for late events. Where
    /// windows slide, slices are counted. Events that would open one more are dropped and counted.
    pub max_windows_per_key: usize,
    /// The number of results that may wait for the reader. At this number, events are refused with
    /// [`crate::Error::ResultsFull`].
    pub result_buffer_size: usize,
}

impl Default for StreamProcessorConfig {
    /// Returns a configuration with late events up to 30 s, a watermark that moves in steps of 1 s,
    /// a retention of 1 h, 20,000 windows per key and 1,000 results that may wait.
    fn default() -> Self {
        Self {
            allow_late_events: true,
            late_event_threshold: Duration::seconds(30),
            watermark_interval: Duration::seconds(1),
            window_retention: Duration::hours(1),
            max_windows_per_key: 20_000,
            result_buffer_size: 1_000,
        }
    }
}

impl StreamProcessorConfig {
    /// Returns how long windows accept late events.
    pub(crate) fn allowed_lateness(&self) -> Result<spec::Duration, SpecError> {
        if !self.allow_late_events {
            return Ok(spec::Duration::default());
        }
        let threshold = not_negative("config.late_event_threshold", self.late_event_threshold)?;
        let retention = not_negative("config.window_retention", self.window_retention)?;
        Ok(threshold.min(retention))
    }
}

/// Converts a duration for the option at `path`.
pub(crate) fn duration(path: &str, duration: Duration) -> Result<spec::Duration, SpecError> {
    let whole = duration.subsec_nanos() % 1_000 == 0;
    let micros = duration.num_microseconds().filter(|_| whole);
    micros.and_then(spec::Duration::from_micros).ok_or_else(|| {
        let message = format!(
            "{duration}: a duration is a whole number of microseconds, at most 10,000 years"
        );
        SpecError::new(path, message)
    })
}

/// Converts a duration that must not be negative.
pub(crate) fn not_negative(path: &str, value: Duration) -> Result<spec::Duration, SpecError> {
    if value < Duration::zero() {
        return Err(SpecError::new(path, format!("{value}: must be 0 or more")));
    }
    duration(path, value)
}

/// Converts a count for the option at `path`, which must be at least 1.
pub(crate) fn count(path: &str, value: usize) -> Result<u32, SpecError> {
    match u32::try_from(value) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(SpecError::new(path, format!("{value}: must be from 1 to {}", u32::MAX))),
    }
}
