//! Composite aggregator.

use processor::aggregation::CompositeAggregator;

#[test]
fn composite_aggregator_computes_all_outputs() {
    let mut agg = CompositeAggregator::new();
    agg.add_count("total_requests")
       .add_avg("avg_response_time")
       .add_min("min_response_time")
       .add_max("max_response_time")
       .add_p50("p50_response_time")
       .add_p95("p95_response_time")
       .add_p99("p99_response_time")
       .add_stddev("stddev_response_time");
    (1..=100).for_each(|value| agg.update(f64::from(value)));
    let results = agg.results();
    let found: Vec<_> = results.iter().map(|(name, value)| (name, value.unwrap())).collect();
    let expected = [
        ("total_requests", 100.0),
        ("avg_response_time", 50.5),
        ("min_response_time", 1.0),
        ("max_response_time", 100.0),
        ("p50_response_time", 50.5),
        ("p95_response_time", 95.05),
        ("p99_response_time", 99.01),
        ("stddev_response_time", 29.011_491_975_882_016),
    ];
    for ((name, value), (expected_name, expected)) in found.into_iter().zip(expected) {
        assert_eq!(name, expected_name);
        assert!((value - expected).abs() < 1e-12, "{name} is {value}");
    }
}
