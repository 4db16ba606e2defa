//! Session windows.

use chrono::Duration;
use processor::{StreamProcessor, StreamProcessorBuilder};

use crate::common::{aggregator_factory, rows};

fn processor() -> StreamProcessor {
    let processor = StreamProcessorBuilder::new()
        .build_session(
            Duration::seconds(30),  // Inactivity gap
            aggregator_factory
        );
    processor
}

#[tokio::test]
async fn sessions_end_after_a_gap() -> anyhow::Result<()> {
    let rows = rows(processor(), &[(0, 1.0), (30, 2.0), (61, 9.0)]).await?;
    assert_eq!(rows, [(0, 60, 2, Some(1.5)), (61, 91, 1, Some(9.0))]);
    Ok(())
}
