//! Runs in memory. On Redis: cargo run --example event_deduplication_demo -- redis://localhost:6379
//!
//! A payment service gets some events twice, as at-least-once delivery does. The program books each
//! payment once: by `put_if_absent`, and then by a `SharedDeduplicator` that also survives a crash
//! between the mark and the booking.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use processor::deduplication::{Seen, SharedDeduplicator, Strategy};
use processor::state::{MemoryStateBackend, RedisConfig, RedisStateBackend, StateBackend};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout(), std::env::args().nth(1)).await
}

/// Returns a backend on the Redis of `url`, or in memory.
async fn backend(url: Option<String>) -> anyhow::Result<Arc<dyn StateBackend>> {
    let Some(url) = url else {
        return Ok(Arc::new(MemoryStateBackend::new(Some(Duration::from_secs(3600)))));
    };
    // A prefix of its own, so that the program can run twice.
    let config = RedisConfig::builder()
        .url(url)
        .key_prefix(format!("demo:{}:", std::process::id()))
        .default_ttl(Duration::from_secs(60))
        .build()?;
    Ok(Arc::new(RedisStateBackend::new(config).await?))
}

/// Deliveries of a queue: a position and an event.
const DELIVERIES: [(&str, &str); 7] = [
    ("payments/0/0", r#"{"payment": "p-1", "amount": 20}"#),
    ("payments/0/1", r#"{"payment": "p-2", "amount": 5}"#),
    ("payments/0/2", r#"{"amount": 20, "payment": "p-1"}"#),
    ("payments/0/3", r#"{"payment": "p-3", "amount": 12}"#),
    ("payments/0/4", r#"{"payment": "p-2", "amount": 5.0}"#),
    ("payments/0/5", r#"{"payment": "p-3", "amount": 12}"#),
    ("payments/0/6", r#"{"payment": "p-4", "amount": 7}"#),
];

pub(crate) async fn run(out: &mut impl Write, redis: Option<String>) -> anyhow::Result<()> {
    let backend = backend(redis).await?;

    writeln!(out, "By put_if_absent, one id after the other:")?;
    let mut booked = 0;
    for (position, event) in DELIVERIES {
        let event: serde_json::Value = serde_json::from_str(event)?;
        let key = format!("payment:{}", event["payment"].as_str().unwrap_or_default());
        // One atomic step: of two processes with the same id, one gets None.
        let stored = backend.put_if_absent(key.as_bytes(), position.as_bytes(), None).await?;
        match stored {
            None => booked += 1,
            Some(first) => {
                let first = String::from_utf8_lossy(&first);
                writeln!(out, "  {position}: duplicate of {first}")?;
            }
        }
    }
    writeln!(out, "booked {booked} of {} deliveries", DELIVERIES.len())?;

    writeln!(out, "By a SharedDeduplicator, in one round trip:")?;
    let build = || {
        SharedDeduplicator::builder(backend.clone())
            .strategies([Strategy::Fields(vec!["payment".into()])])
            .ttl(Duration::from_secs(60))
            .build()
    };
    let seen = build()?;
    let batch: Vec<(&[u8], &[u8])> =
        DELIVERIES.iter().map(|(at, event)| (event.as_bytes(), at.as_bytes())).collect();
    let verdicts = seen.check_all(&batch).await?;
    let new = verdicts.iter().filter(|seen| **seen == Seen::New).count();
    writeln!(out, "booked {new} of {} deliveries", DELIVERIES.len())?;

    // The process crashes before it has booked them, and reads the same deliveries again.
    let seen = build()?;
    let again = seen.check_all(&batch).await?;
    writeln!(out, "after a crash, the same {new} pass again: {}", again == verdicts)?;
    let late = seen.check(DELIVERIES[0].1.as_bytes(), b"payments/1/0").await?;
    writeln!(out, "the first payment at another position: {late:?}")?;
    Ok(())
}
