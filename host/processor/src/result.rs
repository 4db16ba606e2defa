//! Results: windows with the outputs of their aggregations.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::time::date_time;

/// The result of one window of one key.
///
/// With late events, a window comes several times: `revision` counts, and the last result of a
/// (key, window) is valid. See [`crate::StreamProcessor`] for an example.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WindowResult {
    /// The window.
    pub window: Window,
    /// The key.
    pub key: String,
    /// The outputs of the aggregator, in the order of `add_…`.
    pub results: AggregationResult,
    /// The number of events in the window.
    pub event_count: u64,
    /// The number of earlier results of this key and window.
    pub revision: u32,
    /// True if the window has not ended yet: only if the window has an `early` interval.
    pub early: bool,
    /// True if the result revokes an earlier one: its session was changed or merged by late events.
    pub retracted: bool,
}

/// The bounds of a window: from its start up to, but not including, its end.
///
/// ```
/// # use processor::{StreamProcessorBuilder, aggregation::CountAggregator};
/// # use chrono::{DateTime, Duration};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
/// let mut processor = StreamProcessorBuilder::new()
///     .build_tumbling(Duration::minutes(5), |_key: &str| CountAggregator::new());
/// let mut results = processor.results().unwrap();
/// processor.process_event("a", "2024-05-01T12:01:00Z".parse()?, 1.0).await?;
/// processor.finish().await?;
/// let window = results.next().await.unwrap().window;
/// assert_eq!(window.to_string(), "[2024-05-01T12:00:00Z, 2024-05-01T12:05:00Z)");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    pub(crate) start_us: Option<i64>,
    pub(crate) end_us: Option<i64>,
}

impl Window {
    /// Returns the start; `None` for the window of all events. A time beyond the range of chrono is
    /// its first or last one.
    #[must_use]
    pub fn start(&self) -> Option<DateTime<Utc>> {
        self.start_us.map(date_time)
    }

    /// Returns the end, which is not part of the window; `None` for the window of all events.
    #[must_use]
    pub fn end(&self) -> Option<DateTime<Utc>> {
        self.end_us.map(date_time)
    }
}

impl fmt::Display for Window {
    /// Writes `[start, end)` in RFC 3339, with as many decimals as needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.start(), self.end()) {
            (Some(start), Some(end)) => {
                let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
                write!(f, "[{}, {})", text(start), text(end))
            }
            _ => f.write_str("[all events]"),
        }
    }
}

/// The outputs of an aggregator by name, in their order.
///
/// ```
/// use processor::aggregation::CompositeAggregator;
///
/// let mut aggregator = CompositeAggregator::new();
/// aggregator.add_count("requests").add_avg("latency");
/// aggregator.update(120.5);
/// let results = aggregator.results();
/// assert_eq!(results.get("latency"), Some(120.5));
/// assert_eq!(results.get("bytes"), None);
/// assert_eq!(format!("{results:?}"), r#"{"requests": 1.0, "latency": 120.5}"#);
/// ```
#[derive(Clone, PartialEq)]
pub struct AggregationResult {
    pub(crate) names: Arc<[String]>,
    pub(crate) values: Vec<Option<f64>>,
}

impl AggregationResult {
    /// Creates the result of an aggregator of your own: names and values in order. `None` is a
    /// value that is undefined.
    /// ```
    /// use processor::AggregationResult;
    /// let result = AggregationResult::new([("rms", Some(1.5))]);
    /// assert_eq!(result.get("rms"), Some(1.5));
    /// ```
    pub fn new<N: Into<String>>(outputs: impl IntoIterator<Item = (N, Option<f64>)>) -> Self {
        let (names, values): (Vec<String>, Vec<_>) =
            outputs.into_iter().map(|(name, value)| (name.into(), value)).unzip();
        Self { names: names.into(), values }
    }

    /// Returns the output `name`; `None` if it is undefined, as the mean of no values is, or if
    /// there is no such output.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name)?.1
    }

    /// Returns all outputs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<f64>)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().copied())
    }

    /// Returns the number of outputs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns true if there are no outputs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl fmt::Debug for AggregationResult {
    /// Writes `{"name": 1.5, …}`, with `None` for what is undefined.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            match value {
                Some(value) => map.entry(&name, &value),
                None => map.entry(&name, &None::<f64>),
            };
        }
        map.finish()
    }
}
