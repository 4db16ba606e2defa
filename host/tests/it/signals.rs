//! SIGINT and SIGTERM: a run that is stopped writes what it has read.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command};

use tempfile::tempdir;

use crate::common::{json, json_lines, program, text, window};

/// Starts the program and sends it a bad line and events of three minutes. Returns when the rows of
/// the first two minutes are written. The input stays open, in the middle of a line.
fn start(more: &[&str]) -> (Child, ChildStdin, Vec<String>) {
    let mut child = program(&window(more)).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for minute in 0..3 {
        let ts = minute * 60_000;
        writeln!(input, "{{\"ts\":{ts},\"service\":\"a\",\"latency\":1}}").unwrap();
    }
    write!(input, "bad\n{{\"ts\":").unwrap();
    input.flush().unwrap();
    let mut rows = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    while lines.len() < 2 {
        let mut line = String::new();
        assert!(rows.read_line(&mut line).unwrap() > 0, "the run ended early");
        lines.push(line);
    }
    child.stdout = Some(rows.into_inner());
    (child, input, lines)
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end of the program; returns its exit code, the rest of its rows, and stderr.
fn end(mut child: Child) -> (Option<i32>, String, String) {
    let (mut rows, mut messages) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut rows).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    (child.wait().unwrap().code(), rows, messages)
}

#[test]
fn first_signal_writes_summary_and_dead_letters_and_fires_nothing() {
    let folder = tempdir().unwrap();
    let (summary, dead) = (folder.path().join("summary"), folder.path().join("dead"));
    for (signal, name, code, shards) in
        [("-INT", "SIGINT", 130, "1"), ("-TERM", "SIGTERM", 143, "2")]
    {
        let outputs = ["--summary-json", text(&summary), "--dead-letter", text(&dead)];
        let (child, input, _) = start(&[&outputs[..], &["--shards", shards]].concat());
        send(signal, &child);
        let (ended, rows, messages) = end(child);
        drop(input);
        assert_eq!((ended, rows.as_str()), (Some(code), ""), "{messages}");
        assert!(messages.contains("3 events, 1 rejected (invalid_json 1), 2 rows"), "{messages}");
        let says = format!(
            "\nstopped by {name}: open windows gave no rows, --finish-on-signal fires them\n"
        );
        assert!(messages.ends_with(&says), "{messages}");
        let summary = json(&summary);
        assert_eq!((&summary["complete"], &summary["events"]), (&false.into(), &3.into()));
        assert_eq!(summary["rows"], 2);
        assert_eq!(json_lines(&dead)[0]["reason"], "invalid_json");
    }
}

#[test]
fn finish_on_signal_fires_open_windows() {
    let folder = tempdir().unwrap();
    let summary = folder.path().join("summary");
    let (child, input, _) = start(&["--finish-on-signal", "--summary-json", text(&summary)]);
    send("-TERM", &child);
    let (code, rows, messages) = end(child);
    drop(input);
    assert_eq!((code, rows.lines().count()), (Some(143), 1), "{messages}");
    assert!(messages.ends_with("stopped by SIGTERM: open windows were fired\n"), "{messages}");
    let summary = json(&summary);
    assert_eq!((&summary["complete"], &summary["rows"]), (&false.into(), &3.into()));
}

#[test]
fn second_signal_ends_a_run_that_cannot_write_its_rows() {
    // The pipe of the rows is never read, so the run blocks once it is full.
    let mut child = program(&["dedup", "--strategies", "id", "--quiet"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let rows = child.stdout.take().unwrap();
    let writer = std::thread::spawn(move || {
        for id in 0..2_000_000 {
            if writeln!(input, "{{\"ts\":{id},\"id\":{id}}}").is_err() {
                return;
            }
        }
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    send("-INT", &child);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(child.try_wait().unwrap(), None, "the first signal waits for the rows");
    send("-TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(rows);
    writer.join().unwrap();
}
