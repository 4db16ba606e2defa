//! Online variance.

#[test]
fn online_variance_is_that_of_a_sample() {
    let values = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
    use processor::aggregation::statistics::OnlineVariance;

    let mut variance = OnlineVariance::new();
    for value in values {
        variance.update(value);
    }
    let std_dev = variance.std_dev();
    assert_eq!(std_dev, Some(30.0_f64.sqrt()));
}
