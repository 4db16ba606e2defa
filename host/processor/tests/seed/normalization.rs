//! Time-series normalization.

#[tokio::test]
async fn irregular_samples_become_regular() -> anyhow::Result<()> {
    let start = chrono::DateTime::UNIX_EPOCH;
    let (timestamp1, value1) = (start, 10.0);
    let (timestamp2, value2) = (start + Duration::seconds(4), 18.0);
    use processor::normalization::{TimeSeriesNormalizer, NormalizationConfig, FillStrategy};
    use chrono::Duration;

    // Configure normalization with 1-second intervals
    let config = NormalizationConfig::builder()
        .interval(Duration::seconds(1))
        .fill_strategy(FillStrategy::Linear)
        .max_gap_duration(Duration::seconds(60))
        .out_of_order_threshold(Duration::seconds(5))
        .build()?;

    let mut normalizer = TimeSeriesNormalizer::new(config);

    // Process irregular events
    normalizer.process_event(timestamp1, value1).await?;
    normalizer.process_event(timestamp2, value2).await?;

    // Get normalized time-series with uniform intervals
    let normalized = normalizer.normalize().await?;
    let points: Vec<_> = normalized.iter().map(|point| (point.value, point.filled)).collect();
    let expected = [(10.0, false), (12.0, true), (14.0, true), (16.0, true), (18.0, false)];
    assert_eq!(points, expected.map(|(value, filled)| (Some(value), filled)));
    assert_eq!(normalized[3].timestamp, start + Duration::seconds(3));
    Ok(())
}
