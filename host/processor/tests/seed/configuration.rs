//! Configuration.

use processor::{StreamProcessor, StreamProcessorBuilder};

use crate::common::{aggregator_factory, rows};

fn processor() -> StreamProcessor {
    use processor::StreamProcessorConfig;
    use chrono::Duration;

    let config = StreamProcessorConfig {
        allow_late_events: true,
        late_event_threshold: Duration::seconds(30),
        watermark_interval: Duration::seconds(1),
        window_retention: Duration::hours(1),
        max_windows_per_key: 1000,
        result_buffer_size: 1000,
    };

    let processor = StreamProcessorBuilder::new()
        .with_config(config)
        .build_tumbling(Duration::minutes(5), aggregator_factory);
    processor
}

#[tokio::test]
async fn configuration_accepts_events_up_to_30_s_late() -> anyhow::Result<()> {
    let events = [(10, 1.0), (329, 2.0), (20, 3.0), (330, 2.0), (30, 5.0)];
    let rows = rows(processor(), &events).await?;
    // The event at 20 s corrects its window; the one at 30 s comes when the window has expired.
    assert_eq!(
        rows,
        [(0, 300, 1, Some(1.0)), (0, 300, 2, Some(2.0)), (300, 600, 2, Some(2.0))]
    );
    Ok(())
}
