//! Event deduplication.

use std::process::{Child, Command, Stdio};

use tracing::info;

thread_local! {
    /// The number of events that `process_event` was called with.
    static PROCESSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

async fn process_event(_event: &str) -> anyhow::Result<()> {
    PROCESSED.set(PROCESSED.get() + 1);
    Ok(())
}

async fn deduplicate(event: &str) -> anyhow::Result<()> {
    use processor::state::{RedisStateBackend, RedisConfig, StateBackend};
    use std::sync::Arc;
    use std::time::Duration;

    // Create Redis backend for deduplication
    let redis_config = RedisConfig::builder()
        .url("redis://localhost:6379")
        .key_prefix("dedup:")
        .default_ttl(Duration::from_secs(3600))
        .build()?;

    let backend = Arc::new(RedisStateBackend::new(redis_config).await?);

    // Check for duplicates
    let event_id = "event_123";
    let key = format!("dedup:{}", event_id);

    if backend.get(key.as_bytes()).await?.is_none() {
        // First time seeing this event - process it
        backend.put_with_ttl(key.as_bytes(), b"1", Duration::from_secs(3600)).await?;
        process_event(event).await?;
    } else {
        // Duplicate - skip processing
        info!("Duplicate event detected: {}", event_id);
    }
    Ok(())
}

/// A Redis of the test on the port that the snippet names; stopped at the end.
struct Redis(Child, #[allow(dead_code, reason = "removed when it is dropped")] tempfile::TempDir);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns none, with a message, if the port is in use or Redis is not installed.
fn redis_on_its_usual_port() -> Option<Redis> {
    let address = "127.0.0.1:6379";
    if std::net::TcpStream::connect(address).is_ok() {
        eprintln!("skipped: a server uses port 6379, and the test would write to it");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", "6379", "--save", "", "--dir"]);
    command.arg(folder.path()).stdout(Stdio::null());
    let Ok(child) = command.spawn() else {
        let required = std::env::var_os("STREAM_PROCESSOR_SERVERS").is_some();
        assert!(!required, "redis-server is not installed");
        eprintln!("skipped: redis-server is not installed (cargo xtask test installs it)");
        return None;
    };
    let redis = Redis(child, folder);
    for _ in 0..1000 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Some(redis);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("redis-server does not start");
}

#[tokio::test]
async fn second_event_with_the_id_is_skipped() -> anyhow::Result<()> {
    use processor::state::{RedisConfig, RedisStateBackend, StateBackend};

    let Some(_redis) = redis_on_its_usual_port() else { return Ok(()) };
    for _ in 0..3 {
        deduplicate("an event").await?;
        assert_eq!(PROCESSED.get(), 1);
    }
    // The prefix is always put in front, also of a key that begins with it.
    let plain = RedisConfig::builder().url("redis://localhost:6379").build()?;
    let entries = RedisStateBackend::new(plain).await?.scan(b"", None, 10).await?;
    assert_eq!(entries, [(b"dedup:dedup:event_123".to_vec(), b"1".to_vec())]);
    Ok(())
}
