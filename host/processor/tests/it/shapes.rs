//! Keys whose aggregators differ share one watermark, and their results come in one order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::Duration;
use processor::aggregation::CompositeAggregator;
use processor::engine::spec::{Future, Time};
use processor::{StreamProcessor, StreamProcessorBuilder, StreamProcessorConfig, WindowResult};

use crate::common::{strict, time, window};

fn one_shape(_key: &str) -> CompositeAggregator {
    let mut aggregator = CompositeAggregator::new();
    aggregator.add_sum("sum").add_last("last");
    aggregator
}

/// Keys have one of three shapes, by their last digit.
fn three_shapes(key: &str) -> CompositeAggregator {
    let mut aggregator = one_shape(key);
    match key.bytes().last().map(|byte| byte % 3) {
        Some(0) => aggregator.add_max("max"),
        Some(1) => aggregator.add_p50("median"),
        _ => &mut aggregator,
    };
    aggregator
}

fn configs() -> Vec<StreamProcessorConfig> {
    let late = StreamProcessorConfig {
        allow_late_events: true,
        late_event_threshold: Duration::seconds(6),
        ..strict()
    };
    let interval = Duration::seconds(3);
    let periodic = StreamProcessorConfig { watermark_interval: interval, ..late.clone() };
    let small = StreamProcessorConfig { result_buffer_size: 3, ..periodic.clone() };
    vec![strict(), late, periodic, small]
}

/// A result without the outputs that only one shape has.
fn common(result: WindowResult) -> String {
    let WindowResult { window, key, results, event_count, revision, retracted, .. } = result;
    let (sum, last) = (results.get("sum"), results.get("last"));
    format!("{window} {key} {sum:?} {last:?} {event_count} {revision} {retracted}")
}

/// Processes disordered events of 12 keys, reading whenever the buffer is full.
async fn run(mut processor: StreamProcessor) -> Vec<String> {
    let mut results = processor.results().unwrap();
    let mut all = Vec::new();
    for number in 0..2_000_i64 {
        let key = format!("key {}", number * 5 % 12);
        let at = time(number / 10 + number * 7 % 13);
        while processor.process_event(&*key, at, (number % 17) as f64).await.is_err() {
            all.extend(results.try_next().map(common));
        }
    }
    while processor.finish().await.is_err() {
        all.extend(results.try_next().map(common));
    }
    while let Some(result) = results.next().await {
        all.push(common(result));
    }
    all
}

fn builder(config: &StreamProcessorConfig) -> StreamProcessorBuilder {
    StreamProcessorBuilder::new()
        .with_config(config.clone())
        .with_max_out_of_orderness(Duration::seconds(4))
}

#[tokio::test]
async fn results_of_several_shapes_are_those_of_one() {
    let size = Duration::seconds(10);
    for config in configs() {
        let one = run(builder(&config).build_tumbling(size, one_shape)).await;
        let three = run(builder(&config).build_tumbling(size, three_shapes)).await;
        assert!(one.len() > 200);
        assert_eq!(one, three, "{config:?}");
    }
}

#[tokio::test]
async fn sessions_of_several_shapes_are_those_of_one() {
    let gap = Duration::seconds(2);
    for config in configs() {
        let one = run(builder(&config).build_session(gap, one_shape)).await;
        let three = run(builder(&config).build_session(gap, three_shapes)).await;
        assert_eq!(one, three, "{config:?}");
    }
}

#[tokio::test]
async fn early_results_of_several_shapes_are_those_of_one() {
    let early = window(
        r#"{"window": "sliding", "size": "12s", "slide": "4s", "early": "3s",
            "allowed_lateness": "2s", "aggregations": []}"#,
    );
    let config = strict();
    let one = run(builder(&config).build_window(early.clone(), one_shape)).await;
    let three = run(builder(&config).build_window(early, three_shapes)).await;
    assert_eq!(one, three);
}

#[tokio::test]
async fn host_time_of_several_shapes_is_that_of_one() {
    let options = Time {
        max_future_skew: "5s".parse().ok(),
        future: Some(Future::Drop),
        close_after_idle: "30s".parse().ok(),
        ..Time::default()
    };
    let mut stats = Vec::new();
    for factory in [one_shape, three_shapes] {
        let processor = StreamProcessorBuilder::new()
            .with_config(strict())
            .with_time(options.clone())
            .build_tumbling(Duration::seconds(10), factory);
        processor.tick(time(0)).await.unwrap();
        for (key, second) in [("key 1", 1), ("key 2", 2), ("key 3", 100), ("key 3", 3)] {
            processor.process_event(key, time(second), 1.0).await.unwrap();
        }
        assert_eq!(processor.next_deadline(), Some(time(30)));
        processor.tick(time(31)).await.unwrap();
        let found = processor.stats().await;
        stats.push((found.events_processed, found.windows_fired, found.engine.future));
    }
    assert_eq!(stats, [(4, 3, 1), (4, 3, 1)]);
}

#[tokio::test]
async fn factory_is_asked_once_for_each_key() {
    let calls = Arc::new(Mutex::new(BTreeMap::new()));
    let counted = Arc::clone(&calls);
    let processor = StreamProcessorBuilder::new().with_config(strict()).build_tumbling(
        Duration::seconds(10),
        move |key: &str| {
            *counted.lock().unwrap().entry(key.to_owned()).or_insert(0) += 1;
            three_shapes(key)
        },
    );
    for second in 0..50 {
        let key = if second % 2 == 0 { "key 1" } else { "key 2" };
        processor.process_event(key, time(second), 1.0).await.unwrap();
        processor.process_events(&[(key, time(second), 1.0)]).await.unwrap();
    }
    let expected = ["", "key 1", "key 2"].map(|key| (key.to_owned(), 1));
    assert_eq!(*calls.lock().unwrap(), BTreeMap::from(expected));
    let stats = processor.stats().await;
    assert_eq!((stats.events_processed, stats.active_windows), (100, 2));
}
