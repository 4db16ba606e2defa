//! Every backend against the conformance suite, and what only one kind of backend has.

use std::sync::Arc;
use std::time::Duration;

use processor::state::{
    EmbeddedStateBackend, MemoryStateBackend, PostgresConfig, PostgresConfigBuilder,
    PostgresStateBackend, RedisConfig, RedisConfigBuilder, RedisStateBackend, SledStateBackend,
    StateBackend,
};

use crate::conformance::check_all;
use crate::servers::{self, Server};

pub(crate) fn redis_config(server: &Server) -> RedisConfigBuilder {
    // The machine may be busy, so limits are wide.
    RedisConfig::builder()
        .url(format!("redis://127.0.0.1:{}", server.port))
        .connect_timeout(Duration::from_secs(10))
        .command_timeout(Duration::from_secs(60))
}

pub(crate) async fn redis_backend(server: &Server) -> Arc<dyn StateBackend> {
    let config = redis_config(server).key_prefix("test:").build().unwrap();
    Arc::new(RedisStateBackend::new(config).await.unwrap())
}

pub(crate) fn postgres_config(server: &Server) -> PostgresConfigBuilder {
    PostgresConfig::builder()
        .url(format!("postgres://tester@127.0.0.1:{}/postgres?sslmode=disable", server.port))
        .connect_timeout(Duration::from_secs(10))
        .command_timeout(Duration::from_secs(60))
}

pub(crate) async fn postgres_backend(server: &Server) -> Arc<dyn StateBackend> {
    let config = postgres_config(server).build().unwrap();
    Arc::new(PostgresStateBackend::new(config).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    let backend: Arc<dyn StateBackend> = Arc::new(MemoryStateBackend::new(None));
    check_all(&backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sled_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let backend: Arc<dyn StateBackend> = Arc::new(SledStateBackend::new(folder.path()).unwrap());
    check_all(&backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let backend: Arc<dyn StateBackend> =
        Arc::new(EmbeddedStateBackend::new(folder.path()).unwrap());
    check_all(&backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms() {
    let Some(server) = servers::redis(&[]) else { return };
    check_all(&redis_backend(&server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_conforms() {
    let Some(server) = servers::postgres(&[]) else { return };
    check_all(&postgres_backend(&server).await).await;
}

async fn default_ttl_applies(backend: &dyn StateBackend) {
    backend.put(b"a", b"1").await.unwrap();
    backend.put_if_absent(b"b", b"1", None).await.unwrap();
    backend.put_if_absent(b"c", b"1", Some(Duration::from_secs(60))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(105)).await;
    assert_eq!(backend.get(b"a").await.unwrap(), None);
    assert_eq!(backend.get(b"b").await.unwrap(), None);
    assert!(backend.get(b"c").await.unwrap().is_some());
}

#[tokio::test]
async fn default_ttl_applies_to_put_and_put_if_absent() {
    let ttl = Duration::from_millis(100);
    default_ttl_applies(&MemoryStateBackend::new(Some(ttl))).await;
    let folder = tempfile::tempdir().unwrap();
    let sled = SledStateBackend::new(folder.path().join("sled")).unwrap();
    default_ttl_applies(&sled.with_default_ttl(ttl)).await;
    let embedded = EmbeddedStateBackend::new(folder.path().join("fjall")).unwrap();
    default_ttl_applies(&embedded.with_default_ttl(ttl)).await;
    if let Some(server) = servers::redis(&[]) {
        let config = redis_config(&server).default_ttl(ttl).build().unwrap();
        default_ttl_applies(&RedisStateBackend::new(config).await.unwrap()).await;
    }
    if let Some(server) = servers::postgres(&[]) {
        let config = postgres_config(&server).default_ttl(ttl).build().unwrap();
        default_ttl_applies(&PostgresStateBackend::new(config).await.unwrap()).await;
    }
}

/// Writes with one instance and reads with the next one, before and after the ttl.
async fn ttl_survives<B: StateBackend>(open: impl Fn() -> B) {
    let backend = open();
    let ttl = Duration::from_millis(1500);
    backend.put(b"forever", b"1").await.unwrap();
    let started = std::time::Instant::now();
    backend.put_with_ttl(b"short", b"2", ttl).await.unwrap();
    let written = std::time::Instant::now();
    drop(backend);
    let backend = open();
    let found = backend.get(b"short").await.unwrap();
    if started.elapsed() < ttl {
        assert_eq!(found.unwrap(), b"2");
    }
    drop(backend);
    tokio::time::sleep((ttl + Duration::from_millis(2)).saturating_sub(written.elapsed())).await;
    let backend = open();
    assert_eq!(backend.get(b"short").await.unwrap(), None);
    assert_eq!(backend.get(b"forever").await.unwrap().unwrap(), b"1");
}

#[tokio::test]
async fn entries_and_their_ttl_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    ttl_survives(|| SledStateBackend::new(folder.path().join("sled")).unwrap()).await;
    ttl_survives(|| EmbeddedStateBackend::new(folder.path().join("fjall")).unwrap()).await;
}

#[tokio::test]
async fn second_opener_of_a_folder_gets_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (sled, fjall) = (folder.path().join("sled"), folder.path().join("fjall"));
    let _first =
        (SledStateBackend::new(&sled).unwrap(), EmbeddedStateBackend::new(&fjall).unwrap());
    for error in
        [SledStateBackend::new(&sled).unwrap_err(), EmbeddedStateBackend::new(&fjall).unwrap_err()]
    {
        assert_eq!(error.code(), "state_unavailable");
        assert!(error.to_string().contains("open already"), "{error}");
    }
}

#[tokio::test]
async fn expired_entries_leave_the_store() {
    // sled: later writes look at older entries. A write of n looks at 2n.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sled");
    let backend = SledStateBackend::new(&path).unwrap();
    let keys: Vec<String> = (0..500).map(|key| format!("old:{key}")).collect();
    let entries: Vec<(&[u8], &[u8])> =
        keys.iter().map(|key| (key.as_bytes(), b"1".as_slice())).collect();
    backend.put_if_absent_all(&entries, Some(Duration::from_millis(1))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    for batch in 0..20 {
        let keys: Vec<String> = (0..50).map(|key| format!("new:{batch}:{key}")).collect();
        let entries: Vec<(&[u8], &[u8])> =
            keys.iter().map(|key| (key.as_bytes(), b"1".as_slice())).collect();
        backend.put_if_absent_all(&entries, None).await.unwrap();
    }
    drop(backend);
    let stored = sled::open(&path).unwrap();
    assert_eq!(stored.scan_prefix("old:").count(), 0);
    assert_eq!(stored.scan_prefix("new:").count(), 1000);
    drop(stored);

    if let Some(server) = servers::postgres(&[]) {
        let config = postgres_config(&server).sweep_interval(Duration::from_millis(50));
        let backend = PostgresStateBackend::new(config.build().unwrap()).await.unwrap();
        backend.put_if_absent_all(&entries, Some(Duration::from_millis(1))).await.unwrap();
        backend.put(b"kept", b"1").await.unwrap();
        let url = format!("host=127.0.0.1 port={} user=tester dbname=postgres", server.port);
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let count = "SELECT count(*) FROM stream_processor.state";
            let rows: i64 = client.query_one(count, &[]).await.unwrap().get(0);
            if rows == 1 {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{rows} rows are left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn redis_warns_of_settings_that_lose_entries() {
    let Some(server) = servers::redis(&["--maxmemory-policy", "allkeys-lru"]) else { return };
    let backend = RedisStateBackend::new(redis_config(&server).build().unwrap()).await.unwrap();
    let warnings = backend.warnings().await.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("appendonly is off"));
    assert!(warnings[1].starts_with("maxmemory-policy is allkeys-lru"));
    let Some(server) = servers::redis(&["--appendonly", "yes"]) else { return };
    let backend = RedisStateBackend::new(redis_config(&server).build().unwrap()).await.unwrap();
    assert!(backend.warnings().await.unwrap().is_empty());
}

#[tokio::test]
async fn redis_key_prefix_stands_before_every_key() {
    let Some(server) = servers::redis(&[]) else { return };
    let config = redis_config(&server).key_prefix("dedup:").build().unwrap();
    let backend = RedisStateBackend::new(config).await.unwrap();
    backend.put(b"dedup:event_123", b"1").await.unwrap();
    let plain = RedisStateBackend::new(redis_config(&server).build().unwrap()).await.unwrap();
    let entries = plain.scan(b"", None, 10).await.unwrap();
    assert_eq!(entries, [(b"dedup:dedup:event_123".to_vec(), b"1".to_vec())]);
    assert_eq!(backend.scan(b"dedup:", None, 10).await.unwrap()[0].0, b"dedup:event_123");
}
