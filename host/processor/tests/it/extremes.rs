//! Extreme keys, times, sizes and limits: exact results or an error that names the field.

use chrono::{DateTime, Duration, Utc};
use processor::aggregation::{Aggregator, CompositeAggregator};
use processor::engine::spec::{LimitPolicy, Limits};
use processor::normalization::{FillStrategy, NormalizationConfig, TimeSeriesNormalizer};
use processor::{AggregationResult, Error, StreamProcessor, StreamProcessorBuilder};

use crate::common::{process, run, shorts, strict, sum, sums, time};

#[tokio::test]
async fn keys_are_any_text_up_to_their_limit() {
    let mut processor = sums(strict());
    let mut results = processor.results().unwrap();
    let mut keys: Vec<String> =
        ["", "\0", " ", "\"quoted\"\n", "ключ 🔑"].map(str::to_owned).into();
    // An encoded text has two bytes more.
    keys.push("x".repeat((1 << 16) - 2));
    for key in &keys {
        processor.process_event(key, time(1), 1.0).await.unwrap();
        processor.process_events(&[(key, time(2), 2.0)]).await.unwrap();
    }
    let long = "y".repeat((1 << 16) - 1);
    let error = processor.process_event(&long, time(1), 1.0).await.unwrap_err();
    assert_eq!(error.code(), "invalid_field");
    let text = error.to_string();
    assert!(
        text.contains("65535 bytes: limits.max_key_bytes is 65536") && text.len() < 300,
        "{text}"
    );
    let events = [("a", time(3), 1.0), (&long, time(3), 1.0), ("b", time(3), 1.0)];
    let Err(Error::Key { consumed: 1, key, .. }) = processor.process_events(&events).await else {
        panic!("the key is too long")
    };
    assert_eq!(key, format!("{}…", "y".repeat(64)));
    assert_eq!(processor.stats().await.events_processed, 2 * keys.len() as u64 + 1);
    processor.finish().await.unwrap();
    keys.push("a".to_owned());
    keys.sort();
    for key in keys {
        let result = results.next().await.unwrap();
        assert!(result.key == key, "another key of {} bytes", result.key.len());
        assert_eq!(result.event_count, if key == "a" { 1 } else { 2 });
    }
}

#[tokio::test]
async fn batch_with_many_bytes_of_keys_is_processed_whole() {
    let processor = sums(strict());
    let keys: Vec<String> = (0..400).map(|at| format!("{at}{}", "z".repeat(60_000))).collect();
    let events: Vec<_> = keys.iter().map(|key| (key, time(1), 1.0)).collect();
    processor.process_events(&events).await.unwrap();
    let stats = processor.stats().await;
    assert_eq!((stats.events_processed, stats.active_windows), (400, 400));
}

#[tokio::test]
async fn wrong_aggregator_in_a_batch_says_how_many_events_were_taken() {
    let processor =
        StreamProcessorBuilder::new().build_tumbling(Duration::seconds(10), |key: &str| {
            let mut aggregator = CompositeAggregator::new();
            aggregator.add_percentile("p", if key == "bad" { 101 } else { 50 });
            aggregator
        });
    let events = [("good", time(0), 1.0), ("good", time(1), 1.0), ("bad", time(2), 1.0)];
    let error = processor.process_events(&events).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Key { consumed: 2, .. }), "{text}");
    assert!(text.starts_with(r#"key "bad": stages[0].aggregations[0]: 101 is no"#), "{text}");
    assert_eq!(processor.stats().await.events_processed, 2);
}

#[tokio::test]
async fn empty_batches_do_nothing() {
    let none: [(&str, DateTime<Utc>, f64); 0] = [];
    let processor = sums(strict());
    processor.process_events(&none).await.unwrap();
    process(&processor, &[("a", 1, 1.0)]).await;
    processor.process_events(&none).await.unwrap();
    processor.finish().await.unwrap();
    assert_eq!(processor.stats().await.events_processed, 1);
}

#[tokio::test]
async fn windows_before_1970_and_far_ahead_are_aligned_alike() {
    let events = [("a", -25, 1.0), ("a", -1, 2.0), ("a", 0, 4.0), ("a", 4_000_000_000_000, 8.0)];
    let results = run(sums(strict()), &events).await;
    let far = 4_000_000_000_000;
    let expected = [
        (-30, -20, Some(1.0)),
        (-10, 0, Some(2.0)),
        (0, 10, Some(4.0)),
        (far, far + 10, Some(8.0)),
    ];
    assert_eq!(shorts(&results), expected);
    // After the leap, everything before is late, and counted.
    let processor = sums(strict());
    process(&processor, &[("a", far, 1.0), ("a", 0, 1.0), ("a", far, 1.0)]).await;
    let stats = processor.stats().await;
    assert_eq!((stats.events_processed, stats.events_late, stats.events_dropped), (3, 1, 1));
}

#[tokio::test]
async fn shortest_and_longest_windows_work() {
    let micro = Duration::microseconds(1);
    let builder = || StreamProcessorBuilder::new().with_config(strict());
    let events = [("a", 1, 1.0), ("a", 1, 2.0), ("a", 2, 4.0)];
    let sums = |processor: StreamProcessor| async move {
        let results = run(processor, &events).await;
        results.iter().map(|result| result.results.get("sum").unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(sums(builder().build_tumbling(micro, sum)).await, [3.0, 4.0]);
    assert_eq!(sums(builder().build_session(micro, sum)).await, [3.0, 4.0]);
    let years = Duration::days(9_999 * 365);
    assert_eq!(sums(builder().build_tumbling(years, sum)).await, [7.0]);
    assert_eq!(sums(builder().build_session(years, sum)).await, [7.0]);
}

#[tokio::test]
async fn limits_of_zero_name_the_limit_and_small_ones_count_what_they_drop() {
    let of = |limits: Limits| {
        let builder = StreamProcessorBuilder::new().with_limits(limits);
        builder.build_tumbling(Duration::seconds(10), sum)
    };
    let error = of(Limits { max_keys: 0, ..Limits::default() }).check().unwrap_err();
    assert!(error.to_string().starts_with("limits.max_keys: "), "{error}");
    let processor = of(Limits { max_keys: 1, on_max_keys: LimitPolicy::Drop, ..Limits::default() });
    process(&processor, &[("a", 1, 1.0), ("b", 1, 1.0), ("a", 2, 1.0)]).await;
    let stats = processor.stats().await;
    assert_eq!((stats.events_processed, stats.events_dropped), (3, 1));
    assert_eq!(stats.engine.limits_struck, ["key_limit"]);
}

/// An aggregator whose outputs have the given names.
#[derive(Clone)]
struct Named(Vec<&'static str>);

impl Aggregator for Named {
    fn update(&mut self, _: f64) {}

    fn merge(&mut self, _: &Self) {}

    fn results(&self) -> AggregationResult {
        AggregationResult::new(self.0.iter().map(|name| (*name, Some(7.0))))
    }
}

#[tokio::test]
async fn output_names_that_rows_cannot_have_are_errors() {
    for names in [vec!["same", "same"], vec!["window_start"], vec!["revision"], vec!["key"], vec![]]
    {
        let named = Named(names.clone());
        let processor = StreamProcessorBuilder::new()
            .build_tumbling(Duration::seconds(10), move |_key: &str| named.clone());
        let text = processor.check().expect_err(&format!("{names:?}")).to_string();
        let named = names.first().is_none_or(|name| text.contains(&format!("`{name}`")));
        assert!(named, "{names:?}: {text}");
    }
}

/// An aggregator that renames its outputs when it has values.
#[derive(Clone, Default)]
struct Renaming(bool);

impl Aggregator for Renaming {
    fn update(&mut self, _: f64) {
        self.0 = true;
    }

    fn merge(&mut self, later: &Self) {
        self.0 |= later.0;
    }

    fn results(&self) -> AggregationResult {
        let first = if self.0 { "other" } else { "first" };
        AggregationResult::new([(first, Some(1.0)), ("second", Some(f64::NAN))])
    }
}

#[tokio::test]
async fn outputs_that_an_own_aggregator_renames_are_undefined() {
    let processor = StreamProcessorBuilder::new()
        .build_tumbling(Duration::seconds(10), |_key: &str| Renaming::default());
    let results = run(processor, &[("a", 1, 1.0)]).await;
    assert_eq!(format!("{:?}", results[0].results), r#"{"first": None, "second": None}"#);
}

#[tokio::test]
async fn sums_beyond_the_greatest_number_are_undefined_or_infinite() {
    let results = run(sums(strict()), &[("a", 1, f64::MAX), ("a", 2, f64::MAX)]).await;
    let found = results[0].results.get("sum");
    assert!(found.is_none_or(|sum| sum == f64::INFINITY), "{found:?}");
    assert_eq!(results[0].event_count, 2);
}

#[tokio::test]
async fn normalizer_does_not_fill_from_1970_to_the_end_of_time() {
    let config = NormalizationConfig::builder().interval(Duration::seconds(1)).build().unwrap();
    let mut normalizer = TimeSeriesNormalizer::new(config);
    for (at, value) in [
        (DateTime::<Utc>::MIN_UTC, 1.0),
        (time(-1), 2.0),
        (time(1), 4.0),
        (DateTime::<Utc>::MAX_UTC, 8.0),
    ] {
        normalizer.process_event(at, value).await.unwrap();
    }
    let points = normalizer.normalize().await.unwrap();
    let values: Vec<_> = points.iter().map(|point| point.value).collect();
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 8.0].map(Some));
    assert_eq!(normalizer.stats().fill_limit, 2);
}

#[tokio::test]
async fn smallest_buffer_of_a_normalizer_keeps_the_order() {
    let config = NormalizationConfig::builder()
        .interval(Duration::seconds(1))
        .fill_strategy(FillStrategy::ForwardFill)
        .out_of_order_buffer_size(1)
        .out_of_order_threshold(Duration::seconds(100))
        .build()
        .unwrap();
    let mut normalizer = TimeSeriesNormalizer::new(config);
    for second in [5, 3, 4, 9, 1, 12] {
        normalizer.process_event(time(second), second as f64).await.unwrap();
    }
    let points = normalizer.normalize().await.unwrap();
    assert!(points.is_sorted_by(|a, b| a.timestamp < b.timestamp), "{points:?}");
    let stats = normalizer.stats();
    assert_eq!(points.len() as u64, stats.rows);
    assert!(stats.buffer_limit > 0, "{stats:?}");
    let samples = points.iter().filter(|point| !point.filled).count() as u64;
    assert_eq!(samples + stats.late_dropped, stats.events);
}
