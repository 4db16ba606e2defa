//! Configuration options of normalization.

use chrono::Duration;
use processor::normalization::{
    AlignmentStrategy, FillStrategy, NormalizationConfig, TimeSeriesNormalizer,
};

#[tokio::test]
async fn literal_of_the_configuration_has_all_fields() -> anyhow::Result<()> {
    let config = NormalizationConfig {
        // Time interval between normalized points
        interval: Duration::seconds(1),

        // Timestamp alignment strategy
        alignment: AlignmentStrategy::Floor,  // or Ceil, Round

        // Gap filling strategy
        fill_strategy: FillStrategy::Linear,

        // Maximum gap to fill (larger gaps left as missing)
        max_gap_duration: Some(Duration::seconds(60)),

        // Out-of-order handling
        out_of_order_buffer_size: 1000,
        out_of_order_threshold: Duration::seconds(5),
    };
    let built = NormalizationConfig::builder()
        .interval(Duration::seconds(1))
        .max_gap_duration(Duration::seconds(60))
        .out_of_order_threshold(Duration::seconds(5))
        .build()?;
    assert_eq!(config, built);
    let mut normalizer = TimeSeriesNormalizer::new(config);
    let start = chrono::DateTime::UNIX_EPOCH;
    for (second, value) in [(0, 1.0), (4, 5.0), (2, 3.0), (70, 9.0), (64, 8.0)] {
        normalizer.process_event(start + Duration::seconds(second), value).await?;
    }
    let points = normalizer.normalize().await?;
    assert_eq!(points[1].value, Some(2.0));
    // The sample at 64 s is late, so the gap is longer than 60 s.
    assert_eq!(points[40].value, None);
    assert_eq!(normalizer.stats().late_dropped, 1);
    Ok(())
}
