//! Simple aggregators.

#[test]
fn simple_aggregators_compute_one_output() {
    use processor::aggregation::{
        AverageAggregator,
        PercentileAggregator,
        StandardDeviationAggregator,
    };

    let avg = AverageAggregator::new();
    let p95 = PercentileAggregator::new(95);
    let stddev = StandardDeviationAggregator::new();
    let (mut avg, mut p95, mut stddev) = (avg, p95, stddev);
    for value in [10.0, 20.0, 30.0] {
        avg.update(value);
        p95.update(value);
        stddev.update(value);
    }
    assert_eq!(avg.result(), Some(20.0));
    assert_eq!(p95.result(), Some(29.0));
    assert_eq!(stddev.result(), Some(10.0));
}
