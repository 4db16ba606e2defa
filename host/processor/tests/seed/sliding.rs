//! Sliding windows.

use chrono::Duration;
use processor::{StreamProcessor, StreamProcessorBuilder};

use crate::common::{aggregator_factory, rows};

fn processor() -> StreamProcessor {
    let processor = StreamProcessorBuilder::new()
        .build_sliding(
            Duration::minutes(10),  // Window size
            Duration::seconds(30),  // Slide interval
            aggregator_factory
        );
    processor
}

#[tokio::test]
async fn sliding_windows_overlap() -> anyhow::Result<()> {
    let rows = rows(processor(), &[(10, 1.0), (40, 3.0)]).await?;
    assert_eq!(rows.len(), 21);
    assert_eq!(rows[0], (-570, 30, 1, Some(1.0)));
    assert_eq!(rows[1], (-540, 60, 2, Some(2.0)));
    assert_eq!(rows[19], (0, 600, 2, Some(2.0)));
    assert_eq!(rows[20], (30, 630, 1, Some(3.0)));
    Ok(())
}
