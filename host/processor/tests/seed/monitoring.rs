//! Monitoring.

use chrono::Duration;
use processor::StreamProcessorBuilder;

use crate::common::{aggregator_factory, time};

#[tokio::test]
async fn counters_say_what_happened() -> anyhow::Result<()> {
    let processor = StreamProcessorBuilder::new()
        .build_tumbling(Duration::minutes(5), aggregator_factory);
    for (second, value) in [(10, 1.0), (290, 2.0), (400, 3.0)] {
        processor.process_event("key", time(second), value).await?;
    }
    let stats = processor.stats().await;
    println!("Events processed: {}", stats.events_processed);
    println!("Windows fired: {}", stats.windows_fired);
    println!("Active windows: {}", stats.active_windows);
    println!("P99 latency: {:.2}ms", stats.latency_p99_ms);
    assert_eq!((stats.events_processed, stats.windows_fired, stats.active_windows), (3, 1, 1));
    assert!(stats.latency_p99_ms > 0.0 && stats.latency_p99_ms <= stats.latency_max_ms);
    Ok(())
}
