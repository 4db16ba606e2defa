//! Tumbling windows.

use chrono::Duration;
use processor::{StreamProcessor, StreamProcessorBuilder};

use crate::common::{aggregator_factory, rows};

fn processor() -> StreamProcessor {
    let processor = StreamProcessorBuilder::new()
        .build_tumbling(Duration::minutes(5), aggregator_factory);
    processor
}

#[tokio::test]
async fn tumbling_windows_are_consecutive() -> anyhow::Result<()> {
    let rows = rows(processor(), &[(10, 1.0), (299, 3.0), (300, 5.0)]).await?;
    assert_eq!(rows, [(0, 300, 2, Some(2.0)), (300, 600, 1, Some(5.0))]);
    Ok(())
}
