//! Limits with the policy `refuse` together with a full result buffer: each event is taken once.

use chrono::Duration;
use processor::engine;
use processor::engine::spec::{LimitPolicy, Limits};
use processor::{Error, StreamProcessor, StreamProcessorBuilder, StreamProcessorConfig};

use crate::common::{strict, sum, time};

/// The keys that the processor may hold at a time.
const MAX_KEYS: u32 = 3;

fn processor(result_buffer_size: usize) -> StreamProcessor {
    let limits =
        Limits { max_keys: MAX_KEYS, on_max_keys: LimitPolicy::Refuse, ..Limits::default() };
    StreamProcessorBuilder::new()
        .with_limits(limits)
        .with_config(StreamProcessorConfig { result_buffer_size, ..strict() })
        .build_tumbling(Duration::seconds(10), sum)
}

/// Returns events whose keys come and go: in some windows there are more than the limit allows.
fn events(seed: u64) -> Vec<(String, i64, f64)> {
    let mut state = seed;
    let mut random = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut at = 0;
    let event = |_| {
        at += random(4) as i64;
        (format!("key-{}", random(5)), at, 1.0 + random(7) as f64)
    };
    (0..300).map(event).collect()
}

/// Processes `events` in calls of `size`, each again from the first event that was not taken. An
/// event that is refused for its key is left out. Returns the sum of what was taken, and of all
/// results.
async fn run(events: &[(String, i64, f64)], size: usize, buffer: usize) -> (f64, f64) {
    let mut processor = processor(buffer);
    let mut results = processor.results().unwrap();
    let (mut taken, mut emitted) = (0.0, 0.0);
    for call in events.chunks(size) {
        let batch: Vec<_> =
            call.iter().map(|(key, at, value)| (key.as_str(), time(*at), *value)).collect();
        let mut rest = batch.as_slice();
        let sum = |events: &[(&str, _, f64)]| events.iter().map(|(_, _, value)| value).sum::<f64>();
        loop {
            let (consumed, skipped) = match processor.process_events(rest).await {
                Ok(()) => (rest.len(), 0),
                Err(Error::ResultsFull { consumed, .. }) => (consumed, 0),
                Err(Error::Engine(engine::Error::LimitReached(reached))) => (reached.consumed, 1),
                Err(error) => panic!("{error}"),
            };
            taken += sum(&rest[..consumed]);
            rest = &rest[consumed + skipped..];
            while let Some(result) = results.try_next() {
                emitted += result.results.iter().next().unwrap().1.unwrap();
            }
            if rest.is_empty() {
                break;
            }
        }
    }
    while processor.finish().await.is_err() {
        while let Some(result) = results.try_next() {
            emitted += result.results.iter().next().unwrap().1.unwrap();
        }
    }
    while let Some(result) = results.next().await {
        emitted += result.results.iter().next().unwrap().1.unwrap();
    }
    (taken, emitted)
}

#[tokio::test]
async fn refused_events_and_a_full_buffer_lose_no_other_event() {
    for seed in 0..40 {
        let events = events(seed);
        let all: f64 = events.iter().map(|(_, _, value)| value).sum();
        let mut expected = None;
        for size in [1, 7, 300] {
            for buffer in [1, 2, 1_000] {
                let (taken, emitted) = run(&events, size, buffer).await;
                assert_eq!(taken, emitted, "seed {seed}, calls of {size}, buffer of {buffer}");
                assert!(taken < all, "the limit refuses events");
                assert_eq!(*expected.get_or_insert(taken), taken, "seed {seed}, {size}, {buffer}");
            }
        }
    }
}
