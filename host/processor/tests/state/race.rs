//! Several processes or tasks check the same events: each event passes once in total.

use std::process::{Command, Stdio};
use std::sync::Arc;

use processor::deduplication::{SharedDeduplicator, Strategy};
use processor::state::{EmbeddedStateBackend, SledStateBackend, StateBackend};

use crate::backends::{postgres_backend, redis_backend};
use crate::servers::{self, Server};

const IDS: usize = 5000;
const WORKERS: usize = 4;

/// Checks all ids in batches, in an order of the worker's own. Returns how many passed.
async fn check_ids(backend: Arc<dyn StateBackend>, worker: usize) -> usize {
    let seen = SharedDeduplicator::builder(backend)
        .strategies([Strategy::Fields(vec!["id".into()])])
        .build()
        .unwrap();
    let mut events: Vec<(String, String)> = (0..IDS)
        .map(|id| (format!(r#"{{"id": "event-{id}"}}"#), format!("{worker}/{id}")))
        .collect();
    events.rotate_left(worker * 17);
    let mut passed = 0;
    for batch in events.chunks(64 + worker) {
        let batch: Vec<(&[u8], &[u8])> =
            batch.iter().map(|(event, at)| (event.as_bytes(), at.as_bytes())).collect();
        let verdicts = seen.check_all(&batch).await.unwrap();
        passed += verdicts.iter().filter(|seen| seen.passes()).count();
    }
    passed
}

/// Runs as a process of its own: see `race_of_processes`.
#[tokio::test]
#[ignore = "a worker of race_of_processes"]
async fn worker() {
    let port = |name: &str| std::env::var(name).ok().map(|it| it.parse::<u16>().unwrap());
    let worker: usize = std::env::var("RACE_WORKER").unwrap().parse().unwrap();
    let backend: Arc<dyn StateBackend> = if let Some(port) = port("RACE_REDIS") {
        let url = format!("redis://127.0.0.1:{port}");
        let config = processor::state::RedisConfig::builder().url(url).build().unwrap();
        Arc::new(processor::state::RedisStateBackend::new(config).await.unwrap())
    } else {
        let port = port("RACE_POSTGRES").unwrap();
        let url = format!("postgres://tester@127.0.0.1:{port}/postgres?sslmode=disable");
        let config = processor::state::PostgresConfig::builder()
            .url(url)
            .command_timeout(std::time::Duration::from_secs(60));
        let config = config.build().unwrap();
        Arc::new(processor::state::PostgresStateBackend::new(config).await.unwrap())
    };
    println!("passed={}", check_ids(backend, worker).await);
}

fn race_of_processes(server: &Server, variable: &str) {
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "race::worker", "--nocapture"])
                .env(variable, server.port.to_string())
                .env("RACE_WORKER", worker.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut passed = Vec::new();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.split("passed=").nth(1)).unwrap();
        passed.push(line.trim().parse::<usize>().unwrap());
    }
    assert_eq!(passed.iter().sum::<usize>(), IDS, "{passed:?}");
}

async fn race_of_tasks(backend: Arc<dyn StateBackend>) {
    let workers: Vec<_> =
        (0..WORKERS).map(|worker| tokio::spawn(check_ids(backend.clone(), worker))).collect();
    let mut passed = 0;
    for worker in workers {
        passed += worker.await.unwrap();
    }
    assert_eq!(passed, IDS);
}

#[test]
fn four_processes_on_one_redis_pass_each_id_once() {
    let Some(server) = servers::redis(&[]) else { return };
    race_of_processes(&server, "RACE_REDIS");
}

#[test]
fn four_processes_on_one_postgres_pass_each_id_once() {
    let Some(server) = servers::postgres(&[]) else { return };
    race_of_processes(&server, "RACE_POSTGRES");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_tasks_on_sled_pass_each_id_once() {
    let folder = tempfile::tempdir().unwrap();
    race_of_tasks(Arc::new(SledStateBackend::new(folder.path()).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_tasks_on_embedded_pass_each_id_once() {
    let folder = tempfile::tempdir().unwrap();
    race_of_tasks(Arc::new(EmbeddedStateBackend::new(folder.path()).unwrap())).await;
}

/// Checks ids while the server is killed and started again. A failed check is repeated.
async fn killed_in_the_middle(server: &mut Server, backend: Arc<dyn StateBackend>) {
    let tasks: Vec<_> = (0..2)
        .map(|worker| {
            let backend = backend.clone();
            tokio::spawn(async move {
                let seen = SharedDeduplicator::builder(backend)
                    .strategies([Strategy::Fields(vec!["id".into()])])
                    .build()
                    .unwrap();
                let (mut passed, mut failed) = (0, 0);
                for batch in 0..IDS / 20 {
                    let events: Vec<(String, String)> = (batch * 20..(batch + 1) * 20)
                        .map(|id| (format!(r#"{{"id": {id}}}"#), format!("{worker}/{id}")))
                        .collect();
                    let events: Vec<(&[u8], &[u8])> = events
                        .iter()
                        .map(|(event, at)| (event.as_bytes(), at.as_bytes()))
                        .collect();
                    let verdicts = loop {
                        match seen.check_all(&events).await {
                            Ok(verdicts) => break verdicts,
                            Err(error) => assert!(error.is_temporary(), "{error}"),
                        }
                        failed += 1;
                    };
                    passed += verdicts.iter().filter(|seen| seen.passes()).count();
                    tokio::time::sleep(std::time::Duration::from_millis(4)).await;
                }
                (passed, failed)
            })
        })
        .collect();
    for pause in [200, 350, 500] {
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        server.kill();
        server.restart();
    }
    let mut passed = 0;
    for task in tasks {
        passed += task.await.unwrap().0;
    }
    assert_eq!(passed, IDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_in_the_middle_of_a_run_neither_loses_nor_repeats() {
    let Some(mut server) = servers::redis(&["--appendonly", "yes", "--appendfsync", "always"])
    else {
        return;
    };
    let backend = redis_backend(&server).await;
    killed_in_the_middle(&mut server, backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed_in_the_middle_of_a_run_neither_loses_nor_repeats() {
    let Some(mut server) = servers::postgres(&[]) else { return };
    let backend = postgres_backend(&server).await;
    killed_in_the_middle(&mut server, backend).await;
}
