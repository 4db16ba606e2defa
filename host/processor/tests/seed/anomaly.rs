//! Anomaly detection.

fn is_anomaly(earlier: &[f64], value: f64) -> bool {
    let value_checked = value;
    let value = earlier.first().copied().unwrap_or(value);
    use processor::aggregation::statistics::ZScoreAnomalyDetector;

    let mut detector = ZScoreAnomalyDetector::new(3.0); // 3-sigma threshold
    let is_anomaly = detector.check(value);
    assert!(!is_anomaly, "the first value has nothing to differ from");
    for value in earlier.iter().skip(1) {
        detector.check(*value);
    }
    detector.check(value_checked)
}

#[test]
fn values_beyond_three_deviations_are_anomalies() {
    let earlier: Vec<f64> = (0..50).map(|value| f64::from(value % 5)).collect();
    assert!(!is_anomaly(&earlier, 5.0));
    assert!(is_anomaly(&earlier, 9.0));
}
