//! Shows when the watermark fires a window, and which events are late.

use std::io::{self, Write};

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use processor::aggregation::CountAggregator;
use processor::watermark::{BoundedOutOfOrderness, Periodic, Punctuated, WatermarkGenerator};
use processor::{StreamProcessorBuilder, StreamProcessorConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout()).await
}

/// Seconds after noon at which events happened, in the order in which they arrive.
const ARRIVALS: [i64; 7] = [1, 4, 9, 7, 12, 14, 3];

fn clock(time: Option<DateTime<Utc>>) -> String {
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
    time.map_or("-".to_owned(), |time| text(time)[11..].to_owned())
}

pub(crate) async fn run(out: &mut impl Write) -> anyhow::Result<()> {
    let noon: DateTime<Utc> = "2024-05-01T12:00:00Z".parse()?;
    let config = StreamProcessorConfig {
        allow_late_events: false,
        watermark_interval: Duration::zero(),
        ..StreamProcessorConfig::default()
    };
    let mut processor = StreamProcessorBuilder::new()
        .with_config(config)
        .with_max_out_of_orderness(Duration::seconds(3))
        .build_tumbling(Duration::seconds(10), |_key: &str| CountAggregator::new());
    let mut results = processor.results().expect("the first call");

    // The same rules outside of a processor.
    let mut bounded = BoundedOutOfOrderness::new(Duration::seconds(3));
    let mut periodic = Periodic::new(Duration::seconds(3), Duration::seconds(5));
    let mut punctuated = Punctuated::new(Duration::zero()).with_mark(|value| value > 10.0);

    writeln!(out, "event      bounded          periodic         punctuated")?;
    for second in ARRIVALS {
        let time = noon + Duration::seconds(second);
        let value = second as f64;
        let late = processor.stats().await.events_late;
        processor.process_event("sensor", time, value).await?;
        bounded.observe(time, value);
        periodic.observe(time, value);
        punctuated.observe(time, value);
        writeln!(
            out,
            "{}   {:<16} {:<16} {}",
            &clock(Some(time))[..8],
            clock(bounded.watermark()),
            clock(periodic.watermark()),
            clock(punctuated.watermark()),
        )?;
        while let Some(result) = results.try_next() {
            writeln!(out, "  fired: {} with {} events", result.window, result.event_count)?;
        }
        if processor.stats().await.events_late > late {
            writeln!(out, "  late: the window of this event has fired")?;
        }
    }
    // A source that knows that nothing more comes before 12:00:30 moves the watermark itself.
    processor.advance_watermark(noon + Duration::seconds(30)).await?;
    while let Some(result) = results.try_next() {
        writeln!(out, "advanced: {} with {} events", result.window, result.event_count)?;
    }
    Ok(())
}
