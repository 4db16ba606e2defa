//! Functions that several test modules use.

use chrono::{DateTime, Duration, Utc};
use processor::aggregation::CompositeAggregator;
use processor::engine::spec::Window;
use processor::{StreamProcessor, StreamProcessorBuilder, StreamProcessorConfig, WindowResult};

/// An event: key, seconds since the epoch, value.
pub type Event = (&'static str, i64, f64);

/// Returns the time that many seconds after the epoch.
pub fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::seconds(seconds)
}

/// Returns a configuration under which every event moves the watermark and no late events count.
pub fn strict() -> StreamProcessorConfig {
    StreamProcessorConfig {
        allow_late_events: false,
        watermark_interval: Duration::zero(),
        ..StreamProcessorConfig::default()
    }
}

/// Returns a sum.
pub fn sum(_key: &str) -> CompositeAggregator {
    let mut aggregator = CompositeAggregator::new();
    aggregator.add_sum("sum");
    aggregator
}

/// Returns a processor of sums in windows of 10 s.
pub fn sums(config: StreamProcessorConfig) -> StreamProcessor {
    StreamProcessorBuilder::new().with_config(config).build_tumbling(Duration::seconds(10), sum)
}

/// Returns windows in the form of a pipeline.
pub fn window(json: &str) -> Window {
    serde_json::from_str(json).unwrap()
}

/// Processes events one by one.
pub async fn process(processor: &StreamProcessor, events: &[Event]) {
    for (key, seconds, value) in events {
        processor.process_event(*key, time(*seconds), *value).await.unwrap();
    }
}

/// Processes events, ends the stream, and returns all results.
pub async fn run(mut processor: StreamProcessor, events: &[Event]) -> Vec<WindowResult> {
    let mut results = processor.results().unwrap();
    process(&processor, events).await;
    processor.finish().await.unwrap();
    let mut all = Vec::new();
    while let Some(result) = results.next().await {
        all.push(result);
    }
    all
}

/// Returns start and end of a result in seconds, and its first output.
pub fn short(result: &WindowResult) -> (i64, i64, Option<f64>) {
    let bound = |bound: Option<DateTime<Utc>>| bound.unwrap().timestamp();
    let first = result.results.iter().next().unwrap().1;
    (bound(result.window.start()), bound(result.window.end()), first)
}

/// Returns the short form of several results.
pub fn shorts(results: &[WindowResult]) -> Vec<(i64, i64, Option<f64>)> {
    results.iter().map(short).collect()
}
