//! Configuration options of deduplication.

use std::process::Command;
use std::time::Duration;

use processor::state::{MemoryStateBackend, RedisConfig, SledStateBackend, StateBackend};

fn backends() -> anyhow::Result<(MemoryStateBackend, RedisConfig, SledStateBackend)> {
    // Basic configuration with in-memory backend
    let backend = MemoryStateBackend::new(Some(Duration::from_secs(3600)));

    // Production configuration with Redis
    let redis_config = RedisConfig::builder()
        .url("redis://redis-cluster:6379")
        .key_prefix("dedup:")
        .default_ttl(Duration::from_secs(86400)) // 24 hours
        .pool_size(10, 50)  // min 10, max 50 connections
        .build()?;

    // High-performance local storage with Sled
    let sled_backend = SledStateBackend::new("./dedup.db")?;
    Ok((backend, redis_config, sled_backend))
}

/// Runs in a folder of its own: see below.
#[tokio::test]
#[ignore = "started by options_are_those_of_the_snippet"]
async fn snippet_in_a_folder() -> anyhow::Result<()> {
    let (memory, redis, sled) = backends()?;
    for backend in [&memory as &dyn StateBackend, &sled] {
        assert_eq!(backend.put_if_absent(b"event_123", b"1", None).await?, None);
        assert!(backend.put_if_absent(b"event_123", b"1", None).await?.is_some());
    }
    let shown = format!("{redis:?}");
    for part in ["redis-cluster:6379", "\"dedup:\"", "86400s", "(10, 50)"] {
        assert!(shown.contains(part), "{shown}");
    }
    Ok(())
}

#[test]
fn options_are_those_of_the_snippet() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "deduplication_config::snippet_in_a_folder"])
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
    assert!(folder.path().join("dedup.db").is_dir());
}
