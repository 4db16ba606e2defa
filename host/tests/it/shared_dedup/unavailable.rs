//! A server that is away, restarts in the middle of a run, or endangers what it stores.

use std::io::{BufRead, BufReader, Write as _};
use std::time::{Duration, Instant};

use super::{durable_redis, events, pipeline, redis_options, rows, run_over};
use crate::common::{json, program, text};
use crate::servers;

/// Returns the options of a server that does not exist.
fn absent(kind: &str, timeout: &str) -> String {
    let port = servers::free_port();
    let url = match kind {
        "redis" => format!("redis://:hunter2@127.0.0.1:{port}"),
        _ => format!("postgres://me:hunter2@127.0.0.1:{port}/db"),
    };
    format!(r#"type = "{kind}", url = "{url}", command_timeout = "{timeout}""#)
}

#[test]
fn strict_run_without_its_server_fails_and_leaves_outputs_untouched() {
    for (kind, name) in [("redis", "Redis"), ("postgres", "PostgreSQL")] {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("rows.ndjson");
        std::fs::write(&output, "earlier rows\n").unwrap();
        let path = pipeline(folder.path(), &absent(kind, "300ms"), "");
        let ran = run_over(&path, &events(3), &["--output", text(&output)]);
        assert_eq!(ran.code, 1);
        let expected = format!("error: stages[0].shared: {name} is unavailable: 127.0.0.1:");
        assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
        assert!(ran.stderr.contains("on_unavailable = \"best_effort\""), "{}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "earlier rows\n");
    }
}

#[test]
fn best_effort_run_without_its_server_passes_and_counts_events() {
    let folder = tempfile::tempdir().unwrap();
    let options = format!("{}, on_unavailable = \"best_effort\"", absent("redis", "200ms"));
    let path = pipeline(folder.path(), &options, "");
    let summary = folder.path().join("summary.json");
    let input = events(50) + &events(50) + "{\"ts\":1}\n";
    let start = Instant::now();
    let options = ["--batch-events", "10", "--summary-json", text(&summary)];
    let ran = run_over(&path, &input, &options);
    assert_eq!(rows(&ran), 101);
    assert!(ran.stderr.contains("warning: stages[0].shared: Redis is unavailable"));
    assert!(ran.stderr.contains("events pass unchecked"), "{}", ran.stderr);
    assert!(ran.stderr.contains("100 unchecked"), "{}", ran.stderr);
    let summary = json(&summary);
    assert_eq!((&summary["unchecked"], &summary["duplicates"]), (&100.into(), &0.into()));
    assert_eq!(summary["stages"][0]["unidentified"], 1);
    // Not each of the batches waits for the time-out.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Reads rows from the program until there are `count`.
fn read_rows(reader: &mut impl BufRead, count: usize) -> Vec<String> {
    reader.lines().take(count).map(Result::unwrap).collect()
}

#[test]
fn strict_run_waits_while_its_server_restarts() {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = servers::redis(&durable) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = format!("{}, command_timeout = \"60s\"", redis_options(&server));
    let path = pipeline(folder.path(), &options, "");
    let mut child = program(&["run", text(&path)]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(events(100).as_bytes()).unwrap();
    assert_eq!(read_rows(&mut reader, 100).len(), 100);
    server.kill();
    stdin.write_all(events(200).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.restart();
    drop(stdin);
    // The first 100 are duplicates: the server has kept them.
    assert_eq!(reader.lines().count(), 100);
    assert!(child.wait().unwrap().success());
}

#[test]
fn best_effort_run_uses_its_server_again_when_it_is_back() {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = servers::redis(&durable) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = format!(
        "{}, command_timeout = \"100ms\", on_unavailable = \"best_effort\"",
        redis_options(&server)
    );
    let path = pipeline(folder.path(), &options, "");
    let mut child = program(&["run", text(&path)]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(events(10).as_bytes()).unwrap();
    assert_eq!(read_rows(&mut reader, 10).len(), 10);
    server.kill();
    stdin.write_all(events(10).as_bytes()).unwrap();
    assert_eq!(read_rows(&mut reader, 10).len(), 10);
    server.restart();
    // A failed attempt is followed by a pause of some seconds, in which duplicates pass.
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut sent = 10;
    loop {
        assert!(Instant::now() < deadline, "the server is not used again");
        std::thread::sleep(Duration::from_millis(500));
        let new = format!("{{\"ts\":1,\"id\":\"new-{sent}\"}}\n");
        stdin.write_all((events(1) + &new).as_bytes()).unwrap();
        sent += 1;
        let row = read_rows(&mut reader, 1).remove(0);
        if row.contains("new-") {
            break;
        }
        assert_eq!(read_rows(&mut reader, 1).len(), 1);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn settings_that_lose_entries_are_warned_about_at_the_start() {
    let risky = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"];
    let Some(server) = servers::redis(&risky) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), &redis_options(&server), "");
    let ran = run_over(&path, &events(1), &[]);
    assert_eq!(rows(&ran), 1);
    let warnings: Vec<&str> =
        ran.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert!(warnings[0].contains("appendonly is off"), "{}", ran.stderr);
    assert!(warnings[1].contains("maxmemory-policy is allkeys-lru"), "{}", ran.stderr);
    assert_eq!(warnings.len(), 2);
    let Some(server) = durable_redis() else { return };
    let path = pipeline(folder.path(), &redis_options(&server), "");
    assert!(!run_over(&path, &events(1), &[]).stderr.contains("warning"));
}

#[test]
fn wrong_password_is_an_error_that_does_not_show_it() {
    let Some(server) = servers::redis(&["--requirepass", "right-one"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("redis://:wrong-one@127.0.0.1:{}", server.port);
    let path = pipeline(folder.path(), &format!("type = \"redis\", url = \"{url}\""), "");
    let ran = run_over(&path, &events(1), &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: stages[0].shared: Redis refused"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("wrong-one"), "{}", ran.stderr);
}
