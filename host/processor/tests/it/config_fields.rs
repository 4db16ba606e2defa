//! Each field of the configuration has an effect.

use chrono::Duration;
use processor::{Error, StreamProcessorBuilder, StreamProcessorConfig};

use crate::common::{process, run, shorts, strict, sum, sums, time};

const LATE: [(&str, i64, f64); 3] = [("a", 1, 1.0), ("a", 12, 2.0), ("a", 5, 4.0)];

fn late(threshold: i64, retention: i64) -> StreamProcessorConfig {
    StreamProcessorConfig {
        allow_late_events: true,
        late_event_threshold: Duration::seconds(threshold),
        window_retention: Duration::seconds(retention),
        ..strict()
    }
}

#[test]
fn configuration_has_exactly_six_fields() {
    let StreamProcessorConfig {
        allow_late_events,
        late_event_threshold,
        watermark_interval,
        window_retention,
        max_windows_per_key,
        result_buffer_size,
    } = StreamProcessorConfig::default();
    assert!(allow_late_events);
    assert_eq!(late_event_threshold, Duration::seconds(30));
    assert_eq!(watermark_interval, Duration::seconds(1));
    assert_eq!(window_retention, Duration::hours(1));
    assert_eq!((max_windows_per_key, result_buffer_size), (20_000, 1_000));
}

#[tokio::test]
async fn late_events_correct_their_window_if_allowed() {
    let results = run(sums(late(5, 3600)), &LATE).await;
    let expected = [(0, 10, Some(1.0)), (0, 10, Some(5.0)), (10, 20, Some(2.0))];
    assert_eq!(shorts(&results), expected);
    assert_eq!(results.iter().map(|one| one.revision).collect::<Vec<_>>(), [0, 1, 0]);
    let dropped = [(0, 10, Some(1.0)), (10, 20, Some(2.0))];
    let config = StreamProcessorConfig { allow_late_events: false, ..late(5, 3600) };
    assert_eq!(shorts(&run(sums(config), &LATE).await), dropped);
}

#[tokio::test]
async fn late_event_threshold_is_the_allowed_lateness() {
    assert_eq!(run(sums(late(3, 3600)), &LATE).await.len(), 3);
    let processor = sums(late(1, 3600));
    process(&processor, &LATE).await;
    let stats = processor.stats().await;
    assert_eq!((stats.events_processed, stats.events_late, stats.events_dropped), (3, 1, 1));
}

#[tokio::test]
async fn window_retention_limits_the_allowed_lateness() {
    assert_eq!(run(sums(late(60, 3)), &LATE).await.len(), 3);
    assert_eq!(run(sums(late(60, 1)), &LATE).await.len(), 2);
}

#[tokio::test]
async fn watermark_interval_delays_the_watermark() {
    for (interval, fired) in [(0, 1), (10, 1), (15, 0)] {
        let interval = Duration::seconds(interval);
        let processor = sums(StreamProcessorConfig { watermark_interval: interval, ..strict() });
        process(&processor, &[("a", 1, 1.0), ("a", 12, 2.0)]).await;
        assert_eq!(processor.stats().await.windows_fired, fired, "{interval}");
    }
}

#[tokio::test]
async fn max_windows_per_key_drops_events_of_further_windows() {
    let events = [("a", 1, 1.0), ("a", 11, 2.0), ("a", 21, 4.0), ("b", 21, 8.0)];
    for (max, dropped) in [(3, 0), (2, 1), (1, 2)] {
        let config = StreamProcessorConfig { max_windows_per_key: max, ..strict() };
        let processor = StreamProcessorBuilder::new()
            .with_config(config)
            .with_max_out_of_orderness(Duration::minutes(1))
            .build_tumbling(Duration::seconds(10), sum);
        process(&processor, &events).await;
        let stats = processor.stats().await;
        assert_eq!((stats.events_dropped, stats.events_late), (dropped, 0), "{max}");
    }
}

#[test]
fn fewer_windows_per_key_than_slices_are_an_error() {
    let config = StreamProcessorConfig { max_windows_per_key: 1000, ..strict() };
    let processor = StreamProcessorBuilder::new().with_config(config).build_sliding(
        Duration::hours(1),
        Duration::seconds(1),
        sum,
    );
    let error = processor.check().unwrap_err();
    assert_eq!(error.code(), "invalid_pipeline");
    assert!(error.to_string().contains("3600"), "{error}");
}

#[tokio::test]
async fn result_buffer_size_is_the_number_of_results_that_wait() {
    let processor = sums(StreamProcessorConfig { result_buffer_size: 2, ..strict() });
    let event = |number: i64| ("a", time(number * 10), 1.0);
    for number in 0..3 {
        let (key, time, value) = event(number);
        processor.process_event(key, time, value).await.unwrap();
    }
    let (key, time, value) = event(3);
    match processor.process_event(key, time, value).await {
        Err(error @ Error::ResultsFull { consumed: 0, waiting: 2 }) => {
            assert_eq!(error.code(), "results_full");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(processor.stats().await.events_processed, 3);
}
