//! Moving averages of several services: windows of 10 minutes, one every 5 minutes. One service has
//! another aggregator than the others.

use std::io::{self, Write};

use chrono::{DateTime, Duration, Utc};
use processor::StreamProcessorBuilder;
use processor::aggregation::CompositeAggregator;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> anyhow::Result<()> {
    let mut processor = StreamProcessorBuilder::new().build_sliding(
        Duration::minutes(10),
        Duration::minutes(5),
        |key: &str| {
            let mut aggregator = CompositeAggregator::new();
            aggregator.add_count("requests").add_avg("avg");
            if key == "search" {
                aggregator.add_p99("p99");
            }
            aggregator
        },
    );
    let mut results = processor.results().expect("the first call");

    let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
    let mut events = Vec::new();
    for second in 0..1_200_i64 {
        // `login` slows down over time; `search` has a slow request every minute.
        events.push(("login", noon + Duration::seconds(second), 20.0 + second as f64 / 60.0));
        let search = if second % 60 == 30 { 900.0 } else { 80.0 };
        events.push(("search", noon + Duration::seconds(second), search));
    }
    processor.process_events(&events).await?;
    processor.finish().await?;

    while let Some(result) = results.next().await {
        writeln!(out, "{} {:<6} {:?}", result.window, result.key, result.results)?;
    }
    Ok(())
}
