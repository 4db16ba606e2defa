//! A type of the program's own works in every kind of window, with late events and merges.

use chrono::Duration;
use processor::aggregation::{Aggregator, CompositeAggregator};
use processor::{
    AggregationResult, StreamProcessor, StreamProcessorBuilder, StreamProcessorConfig,
};

use crate::common::{Event, run, shorts, strict, time, window};

/// A sum and a product, written by hand.
#[derive(Clone)]
struct Own {
    sum: f64,
    product: f64,
    key: String,
}

impl Own {
    fn of(key: &str) -> Self {
        Self { sum: 0.0, product: 1.0, key: key.to_owned() }
    }
}

impl Aggregator for Own {
    fn update(&mut self, value: f64) {
        self.sum += value;
        self.product *= value;
    }

    fn merge(&mut self, later: &Self) {
        assert_eq!(self.key, later.key);
        self.sum += later.sum;
        self.product *= later.product;
    }

    fn results(&self) -> AggregationResult {
        let product = Some(self.product).filter(|_| self.key != "no product");
        AggregationResult::new([("sum", Some(self.sum)), ("product", product)])
    }
}

const EVENTS: [Event; 9] = [
    ("a", 1, 2.0),
    ("b", 3, 7.0),
    ("a", 4, 3.0),
    ("no product", 8, 5.0),
    ("a", 12, 4.0),
    ("a", 9, 8.0),
    ("b", 17, 16.0),
    ("a", 21, 32.0),
    ("a", 16, 64.0),
];

fn late() -> StreamProcessorConfig {
    let late_event_threshold = Duration::seconds(5);
    StreamProcessorConfig { allow_late_events: true, late_event_threshold, ..strict() }
}

/// Checks that sums of both kinds agree: own ones, and those of the engine.
async fn compare(
    build: impl Fn(StreamProcessorBuilder) -> (StreamProcessor, StreamProcessor),
) -> Vec<AggregationResult> {
    let (own, engine) = build(StreamProcessorBuilder::new().with_config(late()));
    own.check().unwrap();
    assert!(own.spec().is_none());
    let (own, engine) = (run(own, &EVENTS).await, run(engine, &EVENTS).await);
    assert_eq!(shorts(&own), shorts(&engine));
    for (own, engine) in own.iter().zip(&engine) {
        assert_eq!(own.key, engine.key);
        assert_eq!(own.event_count, engine.event_count);
        assert_eq!((own.revision, own.retracted), (engine.revision, engine.retracted));
    }
    assert!(own.iter().any(|result| result.revision > 0), "no late event corrects a window");
    own.into_iter().map(|result| result.results).collect()
}

fn sum(_key: &str) -> CompositeAggregator {
    crate::common::sum("")
}

#[tokio::test]
async fn tumbling_windows_run_own_aggregators() {
    let size = Duration::seconds(10);
    let results = compare(|builder| {
        (builder.clone().build_tumbling(size, Own::of), builder.build_tumbling(size, sum))
    })
    .await;
    assert_eq!(results[0].get("product"), Some(6.0));
    assert_eq!(format!("{:?}", results[2]), r#"{"sum": 5.0, "product": None}"#);
}

#[tokio::test]
async fn sliding_windows_merge_own_aggregators() {
    let (size, slide) = (Duration::seconds(10), Duration::seconds(5));
    compare(|builder| {
        let own = builder.clone().build_sliding(size, slide, Own::of);
        (own, builder.build_sliding(size, slide, sum))
    })
    .await;
}

#[tokio::test]
async fn sessions_merge_own_aggregators() {
    let gap = Duration::seconds(4);
    let results = compare(|builder| {
        (builder.clone().build_session(gap, Own::of), builder.build_session(gap, sum))
    })
    .await;
    assert!(results.iter().any(|one| one.get("product") == Some(2.0 * 3.0)));
}

#[tokio::test]
async fn global_windows_run_own_aggregators() {
    let global = window(r#"{"window": "global", "aggregations": []}"#);
    let own = StreamProcessorBuilder::new().build_window(global, Own::of);
    let results = run(own, &EVENTS).await;
    assert_eq!(results[0].results.get("product"), Some(2.0 * 3.0 * 4.0 * 8.0 * 32.0 * 64.0));
    assert_eq!((results[0].window.start(), results[0].window.end()), (None, None));
    assert_eq!(results[0].window.to_string(), "[all events]");
}

#[tokio::test]
async fn snapshot_of_own_aggregators_is_an_error() {
    let size = Duration::seconds(10);
    let own = StreamProcessorBuilder::new().build_tumbling(size, Own::of);
    own.process_event("a", time(0), 1.0).await.unwrap();
    assert_eq!(own.snapshot().await.unwrap_err().code(), "custom_state");
    let engine = StreamProcessorBuilder::new().build_tumbling(size, sum);
    let snapshot = engine.snapshot().await.unwrap();
    let window = engine.window().unwrap().clone();
    let error = StreamProcessorBuilder::new().restore(window, Own::of, &snapshot).unwrap_err();
    assert_eq!(error.code(), "custom_state");
}
