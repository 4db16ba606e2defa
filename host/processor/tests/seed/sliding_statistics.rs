//! Sliding window statistics.

#[test]
fn statistics_of_the_last_100_values() -> anyhow::Result<()> {
    let values = (1..=200).map(f64::from);
    use processor::aggregation::statistics::SlidingWindowStats;

    let mut stats = SlidingWindowStats::new(100)?;
    for value in values {
        stats.update(value);
    }
    let p95 = stats.percentile(95.0)?;
    let median = stats.median();
    assert_eq!((p95, median), (195.05, Some(150.5)));
    Ok(())
}
