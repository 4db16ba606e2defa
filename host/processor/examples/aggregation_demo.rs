//! Aggregators by hand, statistics of a series, and an aggregator of one's own in a session.

use std::io::{self, Write};

use chrono::{DateTime, Duration, Utc};
use processor::aggregation::statistics::{
    ExponentialMovingAverage, OnlineVariance, SlidingWindowStats, ZScoreAnomalyDetector,
};
use processor::aggregation::{Aggregator, CompositeAggregator, PercentileAggregator};
use processor::{AggregationResult, StreamProcessorBuilder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout()).await
}

/// The share of values above a threshold.
#[derive(Clone, Default)]
struct SlowShare {
    slow: u32,
    all: u32,
}

impl Aggregator for SlowShare {
    fn update(&mut self, value: f64) {
        self.slow += u32::from(value > 200.0);
        self.all += 1;
    }

    fn merge(&mut self, later: &Self) {
        self.slow += later.slow;
        self.all += later.all;
    }

    fn results(&self) -> AggregationResult {
        let share = (self.all > 0).then(|| f64::from(self.slow) / f64::from(self.all));
        AggregationResult::new([("slow_share", share)])
    }
}

pub(crate) async fn run(out: &mut impl Write) -> anyhow::Result<()> {
    let latencies: Vec<f64> =
        (0..200).map(|at| if at == 150 { 900.0 } else { 100.0 + f64::from(at * 7 % 20) }).collect();

    // Several aggregations at once, and one alone.
    let mut all = CompositeAggregator::new();
    all.add_count("count").add_avg("avg").add_max("max").add_p99("p99").add_stddev("stddev");
    let mut p50 = PercentileAggregator::new(50);
    for latency in &latencies {
        all.update(*latency);
        p50.update(*latency);
    }
    writeln!(out, "all values: {:?}", all.results())?;
    writeln!(out, "median: {:?}", p50.result())?;

    // Statistics that follow a series.
    let mut variance = OnlineVariance::new();
    let mut average = ExponentialMovingAverage::with_span(10.0)?;
    let mut last_20 = SlidingWindowStats::new(20)?;
    let mut detector = ZScoreAnomalyDetector::new(3.0);
    for (number, latency) in latencies.iter().enumerate() {
        variance.update(*latency);
        average.update(*latency);
        last_20.update(*latency);
        if detector.check(*latency) {
            writeln!(out, "anomaly: value {number} is {latency}")?;
        }
    }
    writeln!(
        out,
        "deviation {:.2}, moving average {:.2}, p95 of the last 20 {:.2}",
        variance.std_dev().unwrap_or_default(),
        average.value().unwrap_or_default(),
        last_20.percentile(95.0)?
    )?;

    // An aggregator of one's own: sessions merge it.
    let mut processor = StreamProcessorBuilder::new()
        .build_session(Duration::seconds(30), |_key: &str| SlowShare::default());
    let mut results = processor.results().expect("the first call");
    let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
    for (second, latency) in [(0, 150.0), (20, 250.0), (10, 180.0), (25, 300.0), (90, 120.0)] {
        processor.process_event("user 7", noon + Duration::seconds(second), latency).await?;
    }
    processor.finish().await?;
    while let Some(result) = results.next().await {
        writeln!(out, "session {} {:?}", result.window, result.results)?;
    }
    Ok(())
}
