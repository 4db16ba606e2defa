//! Programs as a new user writes them: each compares the results with a plain computation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration as Time;

use chrono::{DateTime, Duration, Utc};
use processor::aggregation::{Aggregator, AverageAggregator};
use processor::deduplication::{Seen, SharedDeduplicator, Strategy};
use processor::state::MemoryStateBackend;
use processor::{
    AggregationResult, Error, StreamProcessor, StreamProcessorBuilder, StreamProcessorConfig,
    WindowResult,
};

use crate::common::{strict, sum, sums, time};

/// Returns 3,000 events of five keys, out of order by less than 20 s.
fn disordered() -> Vec<(String, DateTime<Utc>, f64)> {
    (0..3_000_i64)
        .map(|at| {
            let second = at / 4 + at * 7 % 19;
            (format!("key {}", at * 3 % 5), time(second), (at * 31 % 101) as f64)
        })
        .collect()
}

/// Processes all events as the documents say: after `results_full`, it waits and continues.
async fn send(processor: &StreamProcessor, events: &[(String, DateTime<Utc>, f64)]) {
    let mut rest = events;
    while let Err(error) = processor.process_events(rest).await {
        let Error::ResultsFull { consumed, .. } = error else { panic!("{error}") };
        rest = &rest[consumed..];
        processor.ready().await.unwrap();
    }
    while let Err(error) = processor.finish().await {
        assert_eq!(error.code(), "results_full");
        processor.ready().await.unwrap();
    }
}

/// Processes events while a task reads the results.
async fn run(
    mut processor: StreamProcessor,
    events: &[(String, DateTime<Utc>, f64)],
) -> Vec<WindowResult> {
    let mut results = processor.results().unwrap();
    let reader = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(result) = results.next().await {
            all.push(result);
        }
        all
    });
    send(&processor, events).await;
    tokio::time::timeout(Time::from_secs(60), reader).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sliding_averages_by_key_are_those_of_all_events() {
    let events = disordered();
    let processor = StreamProcessorBuilder::new()
        .with_config(StreamProcessorConfig { result_buffer_size: 7, ..strict() })
        .with_max_out_of_orderness(Duration::seconds(20))
        .build_sliding(Duration::seconds(60), Duration::seconds(20), |_key: &str| {
            AverageAggregator::new()
        });
    let results = run(processor, &events).await;
    let mut expected: BTreeMap<(i64, &str), (f64, f64)> = BTreeMap::new();
    for (key, at, value) in &events {
        let last = at.timestamp().div_euclid(20) * 20;
        for start in [last - 40, last - 20, last] {
            let (sum, count) = expected.entry((start, key)).or_default();
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
    }
    let found: BTreeMap<(i64, &str), f64> = results
        .iter()
        .map(|result| {
            let start = result.window.start().unwrap().timestamp();
            ((start, result.key.as_str()), result.results.get("avg").unwrap())
        })
        .collect();
    assert_eq!(found.len(), results.len(), "a window came twice");
    let expected: BTreeMap<(i64, &str), f64> =
        expected.into_iter().map(|(window, (sum, count))| (window, sum / count)).collect();
    assert_eq!(found, expected);
}

/// The distance between the least and the greatest value.
#[derive(Clone)]
struct Spread(f64, f64);

impl Aggregator for Spread {
    fn update(&mut self, value: f64) {
        self.merge(&Self(value, value));
    }

    fn merge(&mut self, later: &Self) {
        *self = Self(self.0.min(later.0), self.1.max(later.1));
    }

    fn results(&self) -> AggregationResult {
        AggregationResult::new([("spread", Some(self.1 - self.0))])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_events_correct_windows_of_an_own_aggregator() {
    let events = disordered();
    let config = StreamProcessorConfig {
        allow_late_events: true,
        late_event_threshold: Duration::seconds(30),
        ..strict()
    };
    let processor = StreamProcessorBuilder::new()
        .with_config(config)
        .build_tumbling(Duration::seconds(10), |_key: &str| Spread(f64::MAX, f64::MIN));
    let results = run(processor, &events).await;
    let mut expected: BTreeMap<(i64, &str), Spread> = BTreeMap::new();
    for (key, at, value) in &events {
        let start = at.timestamp().div_euclid(10) * 10;
        expected.entry((start, key)).or_insert(Spread(f64::MAX, f64::MIN)).update(*value);
    }
    // The last result of a window is the valid one.
    let mut last = BTreeMap::new();
    for result in &results {
        let start = result.window.start().unwrap().timestamp();
        last.insert((start, result.key.as_str()), result.results.get("spread").unwrap());
    }
    assert!(results.len() > last.len(), "no window was corrected");
    let expected: BTreeMap<(i64, &str), f64> =
        expected.into_iter().map(|(window, Spread(min, max))| (window, max - min)).collect();
    assert_eq!(last, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_share_a_processor_lose_no_event() {
    const TASKS: i64 = 8;
    const EVENTS: i64 = 2_000;
    let mut processor = sums(StreamProcessorConfig { result_buffer_size: 1, ..strict() });
    let mut results = processor.results().unwrap();
    let processor = Arc::new(processor);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let processor = Arc::clone(&processor);
            tokio::spawn(async move {
                for at in 0..EVENTS {
                    let key = format!("key {task}");
                    while processor.process_event(&key, time(at / 4), 1.0).await.is_err() {
                        processor.ready().await.unwrap();
                    }
                }
            })
        })
        .collect();
    let reader = tokio::spawn(async move {
        let mut events = 0;
        while let Some(result) = results.next().await {
            events += result.event_count;
        }
        events
    });
    let send_all = async {
        for task in tasks {
            task.await.unwrap();
        }
        while processor.finish().await.is_err() {
            processor.ready().await.unwrap();
        }
        reader.await.unwrap()
    };
    let in_windows = tokio::time::timeout(Time::from_secs(60), send_all).await.unwrap();
    let stats = processor.stats().await;
    assert_eq!(stats.events_processed, (TASKS * EVENTS) as u64);
    assert_eq!(in_windows + stats.events_dropped, stats.events_processed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_that_leaves_stops_no_task() {
    let mut processor = sums(StreamProcessorConfig { result_buffer_size: 2, ..strict() });
    let mut results = processor.results().unwrap();
    let reader = tokio::spawn(async move {
        for _ in 0..10 {
            results.next().await.unwrap();
        }
    });
    let events: Vec<_> = (0..500).map(|at| ("a".to_owned(), time(at * 10), 1.0)).collect();
    tokio::time::timeout(Time::from_secs(60), send(&processor, &events)).await.unwrap();
    reader.await.unwrap();
    assert_eq!(processor.stats().await.windows_fired, 500);
}

#[tokio::test]
async fn snapshot_of_another_processor_names_the_option_that_differs() {
    let processor = sums(strict());
    processor.process_event("a", time(1), 1.0).await.unwrap();
    let snapshot = processor.snapshot().await.unwrap();
    let window = processor.window().unwrap().clone();
    let builder = || StreamProcessorBuilder::new().with_config(strict());
    let text = |error: Error| {
        assert_eq!(error.code(), "snapshot_other_pipeline");
        error.to_string()
    };

    let late = builder().with_max_out_of_orderness(Duration::seconds(2));
    let error = text(late.restore(window.clone(), sum, &snapshot).unwrap_err());
    assert!(error.contains("time.max_out_of_orderness is"), "{error}");
    assert!(error.contains(r#""2s" here"#), "{error}");

    let mut wider = window.clone();
    wider.size = "20s".parse().ok();
    let error = text(builder().restore(wider, sum, &snapshot).unwrap_err());
    assert!(error.contains(r#"stages[0].size is "10s" there, but "20s" here"#), "{error}");

    let average = |_key: &str| AverageAggregator::new();
    let error = text(builder().restore(window.clone(), average, &snapshot).unwrap_err());
    assert!(error.contains(r#"stages[0].aggregations[0]"#), "{error}");

    builder().restore(window, sum, &snapshot).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_id_passes_once_when_tasks_check_the_same_ids() {
    const IDS: usize = 500;
    let backend = Arc::new(MemoryStateBackend::new(None));
    let deduplicator = SharedDeduplicator::builder(backend)
        .strategies([Strategy::Fields(vec!["id".to_owned()])])
        .build()
        .unwrap();
    assert!(deduplicator.check_all(&[]).await.unwrap().is_empty());
    let deduplicator = Arc::new(deduplicator);
    let passed = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (deduplicator, passed) = (Arc::clone(&deduplicator), Arc::clone(&passed));
            tokio::spawn(async move {
                for id in 0..IDS {
                    let event = format!(r#"{{"id": "{id}"}}"#);
                    let position = format!("{task}/{id}");
                    let seen = deduplicator.check(event.as_bytes(), position.as_bytes()).await;
                    passed.fetch_add(usize::from(seen.unwrap() == Seen::New), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(passed.load(Ordering::Relaxed), IDS);
    assert_eq!(deduplicator.stats().duplicates, 3 * IDS as u64);
    for event in [&b"not json"[..], b"", b"[1]", b"{}", br#"{"id": null}"#] {
        assert_eq!(deduplicator.check(event, b"0").await.unwrap(), Seen::Unidentified);
    }
}
