//! The stream of results: order, ends, a full buffer, and tasks that wait.

use std::pin::pin;
use std::sync::Arc;

use chrono::Duration;
use futures_util::StreamExt;
use processor::{Error, StreamProcessor, StreamProcessorConfig, WindowResults};

use crate::common::{process, shorts, strict, sums, time};

fn small_buffer(size: usize) -> StreamProcessor {
    sums(StreamProcessorConfig { result_buffer_size: size, ..strict() })
}

#[test]
fn processor_and_results_cross_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<StreamProcessor>();
    is_shared::<WindowResults>();
    is_shared::<Error>();
    let processor = sums(strict());
    fn is_sent(_: &impl Send) {}
    is_sent(&processor.process_event("a", time(0), 1.0));
    is_sent(&processor.finish());
}

#[tokio::test]
async fn results_come_once() {
    let mut processor = sums(strict());
    assert!(processor.results().is_some());
    assert!(processor.results().is_none());
}

#[tokio::test]
async fn results_are_a_stream_of_the_crate_futures() {
    let mut processor = sums(strict());
    let results = processor.results().unwrap();
    process(&processor, &[("a", 1, 1.0), ("b", 2, 2.0), ("a", 11, 4.0)]).await;
    processor.finish().await.unwrap();
    let keys: Vec<String> = StreamExt::map(results, |result| result.key).collect().await;
    assert_eq!(keys, ["a", "b", "a"]);
}

#[tokio::test]
async fn waiting_reader_is_woken_by_each_result() {
    let mut processor = sums(strict());
    let mut results = processor.results().unwrap();
    let reader = tokio::spawn(async move {
        let mut ends = Vec::new();
        while let Some(result) = results.next().await {
            ends.push(result.window.end().unwrap().timestamp());
        }
        ends
    });
    for second in [1, 11, 21] {
        process(&processor, &[("a", second, 1.0)]).await;
        tokio::task::yield_now().await;
    }
    processor.finish().await.unwrap();
    assert_eq!(reader.await.unwrap(), [10, 20, 30]);
}

#[tokio::test]
async fn dropping_the_processor_ends_the_results() {
    let mut processor = sums(strict());
    let mut results = processor.results().unwrap();
    process(&processor, &[("a", 1, 1.0), ("a", 11, 2.0)]).await;
    let reader = tokio::spawn(async move {
        let mut count = 0;
        while results.next().await.is_some() {
            count += 1;
        }
        count
    });
    tokio::task::yield_now().await;
    drop(processor);
    assert_eq!(reader.await.unwrap(), 1);
}

#[tokio::test]
async fn dropping_the_results_discards_them() {
    let mut processor = small_buffer(1);
    let results = processor.results().unwrap();
    process(&processor, &[("a", 1, 1.0), ("a", 11, 2.0)]).await;
    assert!(processor.process_event("a", time(21), 1.0).await.is_err());
    drop(results);
    process(&processor, &[("a", 21, 1.0), ("a", 31, 2.0)]).await;
    processor.finish().await.unwrap();
    assert_eq!(processor.stats().await.windows_fired, 4);
}

#[tokio::test]
async fn full_buffer_refuses_events_until_a_result_is_read() {
    let mut processor = small_buffer(1);
    let mut results = processor.results().unwrap();
    process(&processor, &[("a", 1, 1.0), ("b", 2, 2.0), ("c", 3, 4.0)]).await;
    // Three windows fire here: one result fits.
    process(&processor, &[("a", 11, 8.0)]).await;
    let mut all = Vec::new();
    while let Err(error) = processor.process_event("a", time(21), 1.0).await {
        assert!(matches!(error, Error::ResultsFull { consumed: 0, waiting: 0 | 1 }), "{error}");
        all.push(results.try_next().unwrap());
    }
    assert_eq!(all.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(processor.stats().await.events_processed, 5);
}

#[tokio::test]
async fn batches_say_how_many_events_were_taken() {
    let mut processor = small_buffer(3);
    let mut results = processor.results().unwrap();
    // More events than the engine takes at once.
    let count = 20_000;
    let events: Vec<_> = (0..count).map(|at| ("a", time(at * 10), at as f64)).collect();
    let (mut rest, mut all, mut calls) = (events.as_slice(), Vec::new(), 0);
    while let Err(error) = processor.process_events(rest).await {
        let Error::ResultsFull { consumed, waiting } = error else { panic!("{error}") };
        assert!(waiting <= 3);
        rest = &rest[consumed..];
        calls += 1;
        while let Some(result) = results.try_next() {
            all.push(result);
        }
    }
    while processor.finish().await.is_err() {
        all.extend(results.try_next());
    }
    while let Some(result) = results.next().await {
        all.push(result);
    }
    assert!(calls > 3);
    let expected: Vec<_> =
        (0..count).map(|at: i64| (at * 10, at * 10 + 10, Some(at as f64))).collect();
    assert_eq!(shorts(&all), expected);
}

#[tokio::test]
async fn ready_waits_until_there_is_room() {
    let mut processor = small_buffer(1);
    let mut results = processor.results().unwrap();
    process(&processor, &[("a", 1, 1.0), ("a", 11, 2.0)]).await;
    let processor = Arc::new(processor);
    let waiting = Arc::clone(&processor);
    let writer = tokio::spawn(async move {
        waiting.ready().await.unwrap();
        waiting.process_event("a", time(21), 4.0).await.unwrap();
        loop {
            waiting.ready().await.unwrap();
            if waiting.finish().await.is_ok() {
                break;
            }
        }
    });
    {
        let ready = processor.ready();
        let mut ready = pin!(ready);
        assert!(futures_util::poll!(ready.as_mut()).is_pending());
        tokio::task::yield_now().await;
        assert!(results.next().await.is_some());
        ready.await.unwrap();
    }
    let mut sums = Vec::new();
    while let Some(result) = results.next().await {
        sums.push(result.results.get("sum").unwrap());
    }
    writer.await.unwrap();
    assert_eq!(sums, [2.0, 4.0]);
}

#[tokio::test]
async fn reading_completes_a_finish_that_found_the_buffer_full() {
    let mut processor = small_buffer(2);
    let mut results = processor.results().unwrap();
    let keys: Vec<String> = (0..10).map(|number| format!("key {number}")).collect();
    for key in &keys {
        processor.process_event(key, time(1), 1.0).await.unwrap();
    }
    assert_eq!(processor.finish().await.unwrap_err().code(), "results_full");
    let mut found = Vec::new();
    while let Some(result) = results.next().await {
        found.push(result.key);
    }
    assert_eq!(found, keys);
    processor.finish().await.unwrap();
}

#[tokio::test]
async fn batches_and_single_events_give_the_same_results() {
    let events: Vec<_> = (0..10_000_i64)
        .map(|at| (format!("key {}", at * 7 % 13), time(at / 3), (at * 31 % 101) as f64))
        .collect();
    let (mut one, mut many) = (sums(strict()), sums(strict()));
    let (mut ones, mut manies) = (one.results().unwrap(), many.results().unwrap());
    let (mut all_of_one, mut all_of_many) = (Vec::new(), Vec::new());
    for (key, time, value) in &events {
        one.process_event(key.as_str(), *time, *value).await.unwrap();
        all_of_one.extend(std::iter::from_fn(|| ones.try_next()));
    }
    let mut rest = events.as_slice();
    while let Err(Error::ResultsFull { consumed, .. }) = many.process_events(rest).await {
        rest = &rest[consumed..];
        all_of_many.extend(std::iter::from_fn(|| manies.try_next()));
    }
    one.finish().await.unwrap();
    all_of_many.extend(std::iter::from_fn(|| manies.try_next()));
    many.finish().await.unwrap();
    while let Some(result) = ones.next().await {
        all_of_one.push(result);
    }
    while let Some(result) = manies.next().await {
        all_of_many.push(result);
    }
    assert_eq!(all_of_one.len(), 333 * 13 + 10);
    assert_eq!(all_of_one, all_of_many);
}

#[tokio::test]
async fn latencies_are_those_of_process_event() {
    let processor = sums(strict());
    assert_eq!(processor.stats().await.latency_max_ms, 0.0);
    for second in 0..1000 {
        processor.process_event("a", time(second / 200), 1.0).await.unwrap();
    }
    let stats = processor.stats().await;
    let percentiles = [stats.latency_p50_ms, stats.latency_p95_ms, stats.latency_p99_ms];
    assert!(percentiles[0] > 0.0 && percentiles.is_sorted(), "{percentiles:?}");
    assert!(percentiles[2] <= stats.latency_max_ms);
    assert_eq!(stats.watermark, Some(time(4) - Duration::microseconds(1)));
}
