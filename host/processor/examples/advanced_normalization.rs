//! Two metrics with different strategies as a stream: disorder, gaps, several samples on one point,
//! outliers.

use std::io::{self, Write};

use chrono::{DateTime, Duration, Utc};
use processor::engine::spec::{OutlierAction, Outliers, Reduce};
use processor::normalization::{FillStrategy, NormalizationConfig, TimeSeriesNormalizer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> anyhow::Result<()> {
    // A temperature: the mean per 10 s, gaps up to a minute by straight lines, outliers replaced.
    let config = NormalizationConfig::builder()
        .interval(Duration::seconds(10))
        .fill_strategy(FillStrategy::Linear)
        .max_gap_duration(Duration::minutes(1))
        .out_of_order_threshold(Duration::seconds(5))
        .build()?;
    let outliers = Outliers { zscore: 5.0, window: 20, action: OutlierAction::Drop };
    let mut temperature =
        TimeSeriesNormalizer::new(config).with_reduce(Reduce::Mean).with_outliers(outliers);
    // A count of errors: the sum per 10 s, and 0 where there were none.
    let config = NormalizationConfig::builder()
        .interval(Duration::seconds(10))
        .fill_strategy(FillStrategy::ZeroFill)
        .build()?;
    let mut errors = TimeSeriesNormalizer::new(config).with_reduce(Reduce::Sum);

    let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
    let mut certain = 0;
    for number in 0..100_i64 {
        // Every 3 s, but silent for 2 minutes after number 60; pairs arrive in the wrong order.
        let second = 3 * (number ^ 1) + if number >= 60 { 120 } else { 0 };
        let broken = number == 40;
        let value = if broken { 900.0 } else { 20.0 + (number % 5) as f64 };
        temperature.process_event(noon + Duration::seconds(second), value).await?;
        if number % 25 == 0 {
            errors.process_event(noon + Duration::seconds(second), 2.0).await?;
        }
        // A stream takes points as they become certain, long before the end.
        certain += temperature.take_certain().len();
    }
    let rest = temperature.normalize().await?.len();
    let stats = temperature.stats();
    writeln!(out, "temperature: {certain} points during the stream, {rest} at its end")?;
    writeln!(
        out,
        "temperature: {} samples, {} outlier, {} points filled, {} late",
        stats.events, stats.outliers, stats.filled, stats.late_dropped
    )?;
    let points = errors.normalize().await?;
    let sum: f64 = points.iter().filter_map(|point| point.value).sum();
    let zeros = points.iter().filter(|point| point.filled).count();
    writeln!(out, "errors: {sum} on {} points, {zeros} of them without errors", points.len())?;
    Ok(())
}
