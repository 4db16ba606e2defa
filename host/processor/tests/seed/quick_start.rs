//! Quick start.

use std::sync::{Arc, Mutex};

use processor::{StreamProcessorBuilder, aggregation::CompositeAggregator};
use chrono::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Create a stream processor with 5-minute tumbling windows
    let mut processor = StreamProcessorBuilder::new()
        .build_tumbling(
            Duration::minutes(5),
            |_key| {
                let mut agg = CompositeAggregator::new();
                agg.add_count("requests")
                   .add_avg("avg_latency")
                   .add_p95("p95_latency")
                   .add_p99("p99_latency");
                agg
            },
        );

    // Get results stream
    let mut results = processor.results().unwrap();

    // Process events
    processor.process_event(
        "my-service".to_string(),
        chrono::Utc::now(),
        123.45  // metric value
    ).await?;

    // Collect results
    tokio::spawn(async move {
        while let Some(result) = results.next().await {
            println!("Window: {}", result.window);
            println!("Results: {:?}", result.results);
        }
    });

    Ok(())
}

#[test]
fn program_of_the_quick_start_ends() {
    main().unwrap();
}

/// The same program with the event at a known time, completed by `finish` and by waiting for the
/// task.
#[tokio::test]
async fn completed_quick_start_prints_its_window() -> anyhow::Result<()> {
    let mut processor =
        StreamProcessorBuilder::new().build_tumbling(Duration::minutes(5), |_key| {
            let mut agg = CompositeAggregator::new();
            agg.add_count("requests")
                .add_avg("avg_latency")
                .add_p95("p95_latency")
                .add_p99("p99_latency");
            agg
        });
    let mut results = processor.results().unwrap();
    let time = "2024-05-01T12:01:00Z".parse()?;
    processor.process_event("my-service".to_string(), time, 123.45).await?;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let printed = Arc::clone(&lines);
    let reader = tokio::spawn(async move {
        while let Some(result) = results.next().await {
            printed.lock().unwrap().push(format!("Window: {}", result.window));
            printed.lock().unwrap().push(format!("Results: {:?}", result.results));
        }
    });
    processor.finish().await?;
    reader.await?;
    let expected = [
        "Window: [2024-05-01T12:00:00Z, 2024-05-01T12:05:00Z)",
        r#"Results: {"requests": 1.0, "avg_latency": 123.45, "p95_latency": 123.45, "p99_latency": 123.45}"#,
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
    Ok(())
}
