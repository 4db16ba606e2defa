//! Servers that are away, slow, or come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use processor::state::{
    PostgresConfig, PostgresStateBackend, RedisConfig, RedisStateBackend, StateBackend, StateError,
};

use crate::backends::{postgres_backend, postgres_config, redis_backend, redis_config};
use crate::servers::{self, Server, free_port};

/// No error may take longer than its limit and what a busy machine adds.
const SLACK: Duration = Duration::from_secs(20);

fn assert_unavailable(error: &StateError, since: Instant) {
    assert_eq!(error.code(), "state_unavailable", "{error}");
    assert!(error.is_temporary());
    assert!(since.elapsed() < SLACK, "{:?}", since.elapsed());
    let text = format!("{error} {error:?}");
    assert!(text.contains("127.0.0.1:") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn server_that_is_away_at_the_start_is_an_error_with_its_address() {
    let since = Instant::now();
    let url = format!("redis://:hunter2@127.0.0.1:{}", free_port());
    let config = RedisConfig::builder().url(url).build().unwrap();
    assert_unavailable(&RedisStateBackend::new(config).await.unwrap_err(), since);
    let url = format!("postgres://me:hunter2@127.0.0.1:{}/db", free_port());
    let config = PostgresConfig::builder().url(url).build().unwrap();
    assert_unavailable(&PostgresStateBackend::new(config).await.unwrap_err(), since);
}

/// A call waits for a server that restarts, and fails after its limit if the server stays away.
async fn server_returns(
    server: &mut Server,
    patient: Arc<dyn StateBackend>,
    hasty: Arc<dyn StateBackend>,
) {
    patient.put(b"kept", b"1").await.unwrap();
    hasty.get(b"kept").await.unwrap();
    server.kill();

    let since = Instant::now();
    assert_unavailable(&hasty.put(b"lost", b"1").await.unwrap_err(), since);
    assert_unavailable(&hasty.put_if_absent(b"lost", b"1", None).await.unwrap_err(), since);

    let waiting = tokio::spawn({
        let patient = patient.clone();
        async move { patient.get(b"kept").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    server.restart();
    assert_eq!(waiting.await.unwrap().unwrap().unwrap(), b"1");
    patient.put(b"after", b"2").await.unwrap();
    assert_eq!(patient.put_if_absent(b"after", b"3", None).await.unwrap().unwrap(), b"2");
    // An idle connection of the killed server is noticed before it is used.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let since = Instant::now();
    while hasty.put(b"again", b"1").await.is_err() {
        assert!(since.elapsed() < SLACK);
    }
    server.kill();
    server.restart();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(patient.put_if_absent(b"fresh", b"1", None).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_calls_continue_after_a_restart() {
    let Some(mut server) = servers::redis(&["--appendonly", "yes", "--appendfsync", "always"])
    else {
        return;
    };
    let patient = redis_backend(&server).await;
    let hasty = redis_config(&server).key_prefix("test:");
    let hasty = hasty.command_timeout(Duration::from_millis(400)).build().unwrap();
    let hasty = Arc::new(RedisStateBackend::new(hasty).await.unwrap());
    server_returns(&mut server, patient, hasty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_calls_continue_after_a_restart() {
    let Some(mut server) = servers::postgres(&[]) else { return };
    let patient = postgres_backend(&server).await;
    let hasty = postgres_config(&server).command_timeout(Duration::from_millis(800));
    let hasty = Arc::new(PostgresStateBackend::new(hasty.build().unwrap()).await.unwrap());
    server_returns(&mut server, patient, hasty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_server_is_a_timeout() {
    let limit = Duration::from_millis(500);
    if let Some(server) = servers::redis(&["--enable-debug-command", "local"]) {
        let config = redis_config(&server).command_timeout(limit).build().unwrap();
        let backend = RedisStateBackend::new(config).await.unwrap();
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
        let sleeper = std::thread::spawn(move || {
            let mut connection = client.get_connection().unwrap();
            redis::cmd("DEBUG").arg("SLEEP").arg("3").exec(&mut connection).unwrap();
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let error = backend.put(b"key", b"1").await.unwrap_err();
        assert_eq!(error.code(), "state_timeout", "{error}");
        assert_eq!(error.to_string(), "Redis did not answer within 500ms");
        sleeper.join().unwrap();
        backend.put(b"key", b"2").await.unwrap();
        assert_eq!(backend.get(b"key").await.unwrap().unwrap(), b"2");
    }
    if let Some(server) = servers::postgres(&[]) {
        let config = postgres_config(&server).command_timeout(limit).build().unwrap();
        let backend = PostgresStateBackend::new(config).await.unwrap();
        let url = format!("host=127.0.0.1 port={} user=tester dbname=postgres", server.port);
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("BEGIN; LOCK TABLE stream_processor.state").await.unwrap();
        let error = backend.put(b"key", b"1").await.unwrap_err();
        assert_eq!(error.code(), "state_timeout", "{error}");
        client.batch_execute("COMMIT").await.unwrap();
        // The server may still run the write that timed out: it had been sent.
        backend.put(b"other", b"2").await.unwrap();
        assert_eq!(backend.get(b"other").await.unwrap().unwrap(), b"2");
    }
}

#[tokio::test]
async fn refused_login_names_no_password() {
    let Some(server) = servers::redis(&["--requirepass", "correct-password"]) else { return };
    let address = format!("127.0.0.1:{}", server.port);
    for url in [format!("redis://:hunter2@{address}"), format!("redis://{address}")] {
        let config = RedisConfig::builder().url(url).build().unwrap();
        let error = RedisStateBackend::new(config).await.unwrap_err();
        assert_eq!(error.code(), "state_refused", "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let config = RedisConfig::builder().url(format!("redis://:correct-password@{address}"));
    let backend = RedisStateBackend::new(config.build().unwrap()).await.unwrap();
    backend.put(b"key", b"1").await.unwrap();
    assert!(!format!("{backend:?}").contains("correct-password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_never_has_more_connections_than_its_maximum() {
    let Some(server) = servers::redis(&[]) else { return };
    let config = redis_config(&server).pool_size(2, 3).build().unwrap();
    let backend = Arc::new(RedisStateBackend::new(config).await.unwrap());
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut clients = || {
        let info: String = redis::cmd("INFO").arg("clients").query(&mut connection).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("connected_clients:"));
        // Without the one that asks.
        line.unwrap().trim().parse::<usize>().unwrap() - 1
    };
    assert_eq!(clients(), 2);
    let tasks: Vec<_> = (0..40_u32)
        .map(|key| {
            let backend = backend.clone();
            tokio::spawn(async move { backend.put(&key.to_be_bytes(), &[0; 100_000]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!((2..=3).contains(&clients()), "{}", clients());
}
