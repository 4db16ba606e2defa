//! A restored processor continues as if it had never stopped.

use chrono::Duration;
use processor::aggregation::CompositeAggregator;
use processor::{StreamProcessorBuilder, StreamProcessorConfig, WindowResult, WindowResults};

use crate::common::{strict, sum, sums, time};

/// Keys have one of two shapes.
fn factory(key: &str) -> CompositeAggregator {
    let mut aggregator = sum(key);
    if key == "b" {
        aggregator.add_p95("p95").add_count("count");
    }
    aggregator
}

fn builder() -> StreamProcessorBuilder {
    let config =
        StreamProcessorConfig { allow_late_events: true, result_buffer_size: 4, ..strict() };
    StreamProcessorBuilder::new().with_config(config)
}

async fn drain(results: &mut WindowResults) -> Vec<WindowResult> {
    std::iter::from_fn(|| results.try_next()).collect()
}

/// Runs 300 events, with snapshot and restore before each event for which `stops` is true.
async fn run(stops: impl Fn(i64) -> bool) -> (Vec<WindowResult>, u64) {
    let size = Duration::seconds(10);
    let mut processor = builder().build_tumbling(size, factory);
    let window = processor.window().unwrap().clone();
    let mut results = processor.results().unwrap();
    let mut all = Vec::new();
    for number in 0..300_i64 {
        if stops(number) {
            // Results that were read from the engine, but not taken, belong to the state.
            if number % 3 == 0 {
                all.extend(results.try_next());
            }
            processor.stats().await;
            let snapshot = processor.snapshot().await.unwrap();
            processor = builder().restore(window.clone(), factory, &snapshot).unwrap();
            assert_eq!(processor.snapshot().await.unwrap(), snapshot);
            results = processor.results().unwrap();
        }
        let key = ["a", "b", "c"][(number % 3) as usize];
        let at = time(number + number * 11 % 19);
        while processor.process_event(key, at, number as f64).await.is_err() {
            all.extend(results.try_next());
        }
    }
    while processor.finish().await.is_err() {
        all.extend(drain(&mut results).await);
    }
    all.extend(drain(&mut results).await);
    (all, processor.stats().await.windows_fired)
}

#[tokio::test]
async fn restored_processor_gives_the_same_results() {
    let (whole, fired) = run(|_| false).await;
    assert!(whole.len() > 90);
    for every in [1, 7, 50] {
        let (stopped, fired_with_stops) = run(|number| number % every == 0).await;
        assert_eq!(stopped, whole);
        assert_eq!(fired_with_stops, fired);
    }
}

#[tokio::test]
async fn finished_processor_restores_its_results() {
    let mut processor = builder().build_tumbling(Duration::seconds(10), factory);
    for key in ["a", "b", "c", "d", "e", "f"] {
        processor.process_event(key, time(1), 1.0).await.unwrap();
    }
    processor.finish().await.unwrap_err();
    let snapshot = processor.snapshot().await.unwrap();
    let window = processor.window().unwrap().clone();
    let mut restored = builder().restore(window, factory, &snapshot).unwrap();
    for processor in [&mut processor, &mut restored] {
        let mut results = processor.results().unwrap();
        let mut keys = Vec::new();
        while let Some(result) = results.next().await {
            keys.push(result.key);
        }
        assert_eq!(keys, ["a", "b", "c", "d", "e", "f"]);
    }
}

#[tokio::test]
async fn other_bytes_are_not_restored() {
    let processor = builder().build_tumbling(Duration::seconds(10), factory);
    processor.process_event("b", time(1), 1.0).await.unwrap();
    let snapshot = processor.snapshot().await.unwrap();
    let window = processor.window().unwrap().clone();
    let code = |builder: StreamProcessorBuilder, bytes: &[u8]| {
        builder.restore(window.clone(), factory, bytes).unwrap_err().code().to_owned()
    };
    assert_eq!(code(builder(), b"something else"), "snapshot_not_a_snapshot");
    assert_eq!(code(StreamProcessorBuilder::new(), &snapshot), "snapshot_other_pipeline");
    for length in 0..snapshot.len() {
        assert!(builder().restore(window.clone(), factory, &snapshot[..length]).is_err());
    }
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 0x41;
        // Must not panic; a change may also be harmless.
        let _ = builder().restore(window.clone(), factory, &damaged);
    }
    let other = sums(strict()).snapshot().await.unwrap();
    assert_eq!(code(builder(), &other), "snapshot_other_pipeline");
}
