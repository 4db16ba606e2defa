//! Completions that several snippets share.

use chrono::{DateTime, Duration, Utc};
use processor::StreamProcessor;
use processor::aggregation::CompositeAggregator;

/// Returns a count and a mean.
pub fn aggregator_factory(_key: &str) -> CompositeAggregator {
    let mut aggregator = CompositeAggregator::new();
    aggregator.add_count("count").add_avg("avg");
    aggregator
}

/// Returns the time that many seconds after the epoch.
pub fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::seconds(seconds)
}

/// A result: start and end in seconds, the number of events, and the mean.
pub type Row = (i64, i64, u64, Option<f64>);

/// Processes events of one key, by seconds and values, and returns all results.
pub async fn rows(
    mut processor: StreamProcessor,
    events: &[(i64, f64)],
) -> anyhow::Result<Vec<Row>> {
    let mut results = processor.results().unwrap();
    for (seconds, value) in events {
        processor.process_event("key", time(*seconds), *value).await?;
    }
    processor.finish().await?;
    let mut rows = Vec::new();
    while let Some(result) = results.next().await {
        let [start, end] =
            [result.window.start(), result.window.end()].map(|bound| bound.unwrap().timestamp());
        assert_eq!(result.results.get("count"), Some(result.event_count as f64));
        rows.push((start, end, result.event_count, result.results.get("avg")));
    }
    Ok(rows)
}
