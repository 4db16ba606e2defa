//! Wrong options and values are errors with a code and the place, from `check` and every call.

use chrono::{DateTime, Duration, Utc};
use processor::aggregation::{AverageAggregator, CompositeAggregator, PercentileAggregator};
use processor::engine::spec::{Time, Watermark};
use processor::normalization::{FillStrategy, NormalizationConfig, TimeSeriesNormalizer};
use processor::{StreamProcessor, StreamProcessorBuilder, StreamProcessorConfig};

use crate::common::{run, strict, sum, sums, time, window};

/// Checks that all calls return `invalid_pipeline` at `path`.
async fn expect_invalid(mut processor: StreamProcessor, path: &str) {
    let checked = processor.check().unwrap_err();
    assert_eq!(checked.code(), "invalid_pipeline");
    let text = checked.to_string();
    assert!(text.starts_with(path), "{text:?} is not at {path}");
    let event = [("a", time(0), 1.0)];
    for error in [
        processor.process_event("a", time(0), 1.0).await.unwrap_err(),
        processor.process_events(&event).await.unwrap_err(),
        processor.advance_watermark(time(0)).await.unwrap_err(),
        processor.tick(time(0)).await.unwrap_err(),
        processor.finish().await.unwrap_err(),
        processor.ready().await.unwrap_err(),
        processor.snapshot().await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), text);
    }
    assert!(processor.spec().is_none() && processor.next_deadline().is_none());
    assert_eq!(processor.stats().await.events_processed, 0);
    assert!(processor.results().unwrap().next().await.is_none());
}

fn tumbling(size: Duration) -> StreamProcessor {
    StreamProcessorBuilder::new().build_tumbling(size, sum)
}

#[tokio::test]
async fn sizes_that_no_window_has_are_invalid() {
    for size in [
        Duration::zero(),
        Duration::seconds(-1),
        Duration::nanoseconds(1500),
        Duration::MAX,
        Duration::MIN,
    ] {
        expect_invalid(tumbling(size), "stages[0].size").await;
        let session = StreamProcessorBuilder::new().build_session(size, sum);
        expect_invalid(session, "stages[0].gap").await;
        let sliding = StreamProcessorBuilder::new().build_sliding(Duration::seconds(1), size, sum);
        expect_invalid(sliding, "stages[0].slide").await;
    }
    let count = window(r#"{"window": "count", "aggregations": []}"#);
    let counted = StreamProcessorBuilder::new().build_window(count, sum);
    expect_invalid(counted, "stages[0].count").await;
}

#[tokio::test]
async fn configurations_out_of_range_are_invalid() {
    let second = Duration::seconds(-1);
    for (config, path) in [
        (
            StreamProcessorConfig { late_event_threshold: second, ..Default::default() },
            "config.late_event_threshold",
        ),
        (
            StreamProcessorConfig { window_retention: second, ..Default::default() },
            "config.window_retention",
        ),
        (
            StreamProcessorConfig { watermark_interval: second, ..strict() },
            "config.watermark_interval",
        ),
        (
            StreamProcessorConfig { max_windows_per_key: 0, ..strict() },
            "config.max_windows_per_key",
        ),
        (StreamProcessorConfig { result_buffer_size: 0, ..strict() }, "config.result_buffer_size"),
    ] {
        expect_invalid(sums(config), path).await;
    }
    let late = StreamProcessorBuilder::new().with_max_out_of_orderness(second);
    let late = late.build_tumbling(Duration::seconds(1), sum);
    expect_invalid(late, "time.max_out_of_orderness").await;
    let time = Time {
        watermark: Watermark::Punctuated,
        watermark_field: Some("mark".to_owned()),
        ..Time::default()
    };
    let marked = StreamProcessorBuilder::new().with_time(time);
    let marked = marked.build_tumbling(Duration::seconds(1), sum);
    expect_invalid(marked, "time.watermark_field").await;
}

#[tokio::test]
async fn aggregators_that_cannot_be_are_invalid() {
    let with = |add: fn(&mut CompositeAggregator)| {
        StreamProcessorBuilder::new().build_tumbling(Duration::seconds(1), move |_key: &str| {
            let mut aggregator = CompositeAggregator::new();
            add(&mut aggregator);
            aggregator
        })
    };
    expect_invalid(with(|_| ()), "stages[0].aggregations").await;
    let equal = |aggregator: &mut CompositeAggregator| {
        aggregator.add_count("same").add_avg("same");
    };
    expect_invalid(with(equal), "stages[0].aggregations[1]").await;
    for percent in [101.0, -0.5, f64::NAN, f64::INFINITY, 99.999_999_9] {
        let factory = move |_key: &str| PercentileAggregator::new(percent);
        let processor = StreamProcessorBuilder::new().build_tumbling(Duration::seconds(1), factory);
        expect_invalid(processor, "stages[0].aggregations[0]").await;
        assert!(PercentileAggregator::try_new(percent).is_err());
        let mut by_hand = PercentileAggregator::new(percent);
        by_hand.update(1.0);
        assert_eq!(by_hand.result(), None);
    }
}

#[tokio::test]
async fn wrong_aggregator_of_one_key_is_an_error_of_its_events() {
    let processor = StreamProcessorBuilder::new()
        .build_tumbling(Duration::seconds(10), |key: &str| {
            PercentileAggregator::new(if key == "bad" { 101 } else { 50 })
        });
    processor.check().unwrap();
    let events = [("good", time(0), 1.0), ("bad", time(1), 2.0)];
    for _ in 0..2 {
        let error = processor.process_event("bad", time(0), 1.0).await.unwrap_err();
        assert_eq!(error.code(), "invalid_pipeline");
    }
    assert!(processor.process_events(&events).await.is_err());
    processor.process_event("good", time(0), 1.0).await.unwrap();
}

#[tokio::test]
async fn values_that_are_not_finite_are_rejected() {
    let processor = sums(strict());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = processor.process_event("a", time(0), value).await.unwrap_err();
        assert_eq!(error.code(), "non_finite");
        let events = [("a", time(0), 1.0), ("a", time(1), value)];
        let error = processor.process_events(&events).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the event is rejected: non_finite: a value is a finite number"
        );
    }
    assert_eq!(processor.stats().await.events_processed, 0);
}

#[tokio::test]
async fn all_times_of_chrono_are_in_range() {
    let mut processor = sums(strict());
    let mut results = processor.results().unwrap();
    for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        processor.process_event("a", time, 1.0).await.unwrap();
    }
    processor.finish().await.unwrap();
    let first = results.next().await.unwrap();
    assert_eq!(first.window.start(), Some(DateTime::<Utc>::MIN_UTC));
    assert_eq!(results.next().await.unwrap().window.end(), Some(DateTime::<Utc>::MAX_UTC));
}

#[tokio::test]
async fn events_after_the_end_are_an_error() {
    let processor = sums(strict());
    processor.finish().await.unwrap();
    processor.finish().await.unwrap();
    let error = processor.process_event("a", time(0), 1.0).await.unwrap_err();
    assert_eq!(error.code(), "finished");
}

#[tokio::test]
async fn unfinished_and_wrong_normalizers_are_errors() {
    let builder = NormalizationConfig::builder;
    let second = Duration::seconds(1);
    for (config, path) in [
        (builder(), "stages[0].interval"),
        (builder().interval(Duration::zero()), "stages[0].interval"),
        (builder().interval(second).out_of_order_buffer_size(0), "stages[0].max_buffered"),
        (builder().interval(second).out_of_order_threshold(-second), "time.max_out_of_orderness"),
        (builder().interval(second).max_gap_duration(-second), "stages[0].max_gap"),
        (
            builder().interval(second).fill_strategy(FillStrategy::Polynomial { degree: 10 }),
            "stages[0].degree",
        ),
    ] {
        let error = config.build().unwrap_err();
        assert_eq!(error.code(), "invalid_pipeline");
        assert!(error.to_string().starts_with(path), "{error} is not at {path}");
    }
    let mut config = builder().interval(second).build().unwrap();
    config.interval = Duration::zero();
    let mut normalizer = TimeSeriesNormalizer::new(config);
    let error = normalizer.process_event(time(0), 1.0).await.unwrap_err();
    assert!(error.to_string().starts_with("stages[0].interval"), "{error}");
    assert!(normalizer.normalize().await.is_err() && normalizer.take_certain().is_empty());
    let mut normalizer = TimeSeriesNormalizer::new(builder().interval(second).build().unwrap());
    let error = normalizer.process_event(time(0), f64::NAN).await.unwrap_err();
    assert_eq!(error.code(), "non_finite");
}

#[tokio::test]
async fn values_that_an_aggregator_already_has_are_ignored() {
    let factory = |_key: &str| {
        let mut aggregator = AverageAggregator::new();
        aggregator.update(1e6);
        aggregator
    };
    let processor = StreamProcessorBuilder::new().build_tumbling(Duration::seconds(10), factory);
    let results = run(processor, &[("a", 0, 2.0)]).await;
    assert_eq!(results[0].results.get("avg"), Some(2.0));
}
