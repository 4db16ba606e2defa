//! Five minutes of requests in tumbling windows of one minute, with late events and statistics.

use std::io::{self, Write};

use chrono::{DateTime, Duration, Utc};
use processor::StreamProcessorBuilder;
use processor::aggregation::CompositeAggregator;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> anyhow::Result<()> {
    let mut processor = StreamProcessorBuilder::new()
        .with_max_out_of_orderness(Duration::seconds(2))
        .build_tumbling(Duration::minutes(1), |_key: &str| {
            let mut aggregator = CompositeAggregator::new();
            aggregator.add_count("requests").add_avg("avg_latency").add_p95("p95_latency");
            aggregator
        });
    let mut results = processor.results().expect("the first call");

    // A request every 2 s. Every tenth one arrives 1 s late: within the allowed disorder.
    let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
    for number in 0..150_i64 {
        let delay = if number % 10 == 9 { 1 } else { 0 };
        let time = noon + Duration::seconds(2 * number - delay);
        let latency = 100.0 + (number * 37 % 50) as f64;
        processor.process_event("checkout", time, latency).await?;
        if number == 125 {
            // The watermark has passed 12:04, and the window of this event has fired: it is corrected.
            let late = noon + Duration::seconds(239);
            processor.process_event("checkout", late, 5_000.0).await?;
        }
    }
    // This one is minutes late: it is dropped and counted.
    processor.process_event("checkout", noon + Duration::seconds(20), 5_000.0).await?;
    processor.finish().await?;

    while let Some(result) = results.next().await {
        let correction = if result.revision > 0 { " (corrected)" } else { "" };
        writeln!(out, "{} {:?}{correction}", result.window, result.results)?;
    }
    let stats = processor.stats().await;
    writeln!(
        out,
        "{} events, {} windows fired, {} event too late",
        stats.events_processed, stats.windows_fired, stats.events_late
    )?;
    Ok(())
}
