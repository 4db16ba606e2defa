//! Runs on sled in a temporary folder. On Redis: cargo run --example advanced_deduplication -- redis://localhost:6379
//!
//! Four workers get the same 5,000 events. The program counts how many pass with the racing
//! get-then-put and with a `SharedDeduplicator`; then it shows composite keys, content, release, and
//! what a Bloom filter saves.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use processor::deduplication::{SharedDeduplicator, SharedDeduplicatorBuilder, Strategy};
use processor::state::{RedisConfig, RedisStateBackend, SledStateBackend, StateBackend};

const WORKERS: usize = 4;
const EVENTS: usize = 5000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(&mut io::stdout(), std::env::args().nth(1), EVENTS).await
}

/// Returns a backend on the Redis of `url`, or on sled in `folder`.
async fn backend(
    url: Option<String>,
    folder: &tempfile::TempDir,
) -> anyhow::Result<Arc<dyn StateBackend>> {
    let Some(url) = url else {
        return Ok(Arc::new(SledStateBackend::new(folder.path())?));
    };
    // A prefix of its own, so that the program can run twice.
    let config = RedisConfig::builder()
        .url(url)
        .key_prefix(format!("demo:{}:", std::process::id()))
        .default_ttl(Duration::from_secs(60))
        .build()?;
    Ok(Arc::new(RedisStateBackend::new(config).await?))
}

fn by(backend: &Arc<dyn StateBackend>, strategies: &[Strategy]) -> SharedDeduplicatorBuilder {
    SharedDeduplicator::builder(backend.clone()).strategies(strategies.iter().cloned())
}

fn fields(names: &[&str]) -> Strategy {
    Strategy::Fields(names.iter().map(|name| (*name).to_owned()).collect())
}

/// The wrong way: between the get and the put, another worker does the same.
async fn get_then_put(backend: Arc<dyn StateBackend>, events: usize) -> anyhow::Result<usize> {
    let mut passed = 0;
    for id in 0..events {
        let key = format!("racing:{id}");
        if backend.get(key.as_bytes()).await?.is_none() {
            backend.put(key.as_bytes(), b"1").await?;
            passed += 1;
        }
    }
    Ok(passed)
}

/// The right way: one atomic step for each event, one round trip for each batch.
async fn check(
    seen: Arc<SharedDeduplicator>,
    worker: usize,
    events: usize,
) -> anyhow::Result<usize> {
    let events: Vec<(String, String)> = (0..events)
        .map(|id| (format!(r#"{{"id": {id}}}"#), format!("topic/{worker}/{id}")))
        .collect();
    let mut passed = 0;
    for batch in events.chunks(100) {
        let batch: Vec<(&[u8], &[u8])> =
            batch.iter().map(|(event, at)| (event.as_bytes(), at.as_bytes())).collect();
        passed += seen.check_all(&batch).await?.iter().filter(|seen| seen.passes()).count();
    }
    Ok(passed)
}

async fn total(
    workers: Vec<tokio::task::JoinHandle<anyhow::Result<usize>>>,
) -> anyhow::Result<usize> {
    let mut passed = 0;
    for worker in workers {
        passed += worker.await??;
    }
    Ok(passed)
}

pub(crate) async fn run(
    out: &mut impl Write,
    redis: Option<String>,
    events: usize,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let backend = backend(redis, &folder).await?;

    // Each put waits for the disk, so fewer ids are enough to show the race.
    let few = events / 10;
    let racing = (0..WORKERS).map(|_| tokio::spawn(get_then_put(backend.clone(), few))).collect();
    let racing = total(racing).await?;
    writeln!(out, "get-then-put: {racing} of {few} events passed, {} too many", racing - few)?;

    let seen = Arc::new(by(&backend, &[fields(&["id"])]).build()?);
    let workers =
        (0..WORKERS).map(|worker| tokio::spawn(check(seen.clone(), worker, events))).collect();
    let passed = total(workers).await?;
    writeln!(out, "SharedDeduplicator: {passed} of {events} events passed")?;
    let stats = seen.stats();
    writeln!(out, "{} checks in {} round trips", stats.new + stats.duplicates, stats.round_trips)?;

    // The first strategy that finds its fields gives the identity.
    let chain = [fields(&["event_id"]), fields(&["tenant", "order"]), Strategy::Content];
    let seen = by(&backend, &chain).key_prefix("chain:").build()?;
    for event in [
        r#"{"event_id": "e-1", "total": 7}"#,
        r#"{"event_id": "e-1", "total": 8}"#,
        r#"{"tenant": "acme", "order": 17}"#,
        r#"{"order": 17.0, "tenant": "acme", "retry": true}"#,
        r#"{"temperature": 21.5, "room": "b"}"#,
        r#"{"room": "b", "temperature": 21.50}"#,
    ] {
        let verdict = seen.check(event.as_bytes(), event.as_bytes()).await?;
        writeln!(out, "{verdict:?}: {event}")?;
    }

    // Processing failed: after the release, another delivery passes.
    let event = br#"{"event_id": "e-2"}"#;
    let first = seen.check(event, b"topic/0/1").await?;
    let released = seen.release(event, b"topic/0/1").await?;
    let retry = seen.check(event, b"topic/0/2").await?;
    writeln!(out, "{first:?}, released: {released}, the retry: {retry:?}")?;

    // A worker that gets its own duplicates answers for them without a round trip.
    let seen = by(&backend, &[fields(&["id"])]).key_prefix("bloom:").bloom(10_000, 1e-9).build()?;
    let seen = Arc::new(seen);
    for _delivery in 0..3 {
        check(seen.clone(), 0, events).await?;
    }
    let stats = seen.stats();
    writeln!(
        out,
        "Bloom filter: {} new, {} duplicates, {} round trips",
        stats.new, stats.duplicates, stats.round_trips
    )?;
    Ok(())
}
