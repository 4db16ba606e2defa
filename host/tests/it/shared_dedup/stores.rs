//! Each id passes once, for all processes and shards that share a store.

use std::io::Write as _;
use std::path::Path;

use super::{
    durable_redis, events, folder_options, pipeline, postgres_options, redis_options, rows,
    run_over,
};
use crate::common::{json, json_lines, program, text};
use crate::servers;

const IDS: usize = 5000;
const PROCESSES: usize = 4;

/// Runs the pipeline at `path` in several processes at once, each with all ids on standard input
/// or, if `input` is given, in one file. Returns the number of rows of each.
fn rows_of_processes(path: &Path, input: Option<&Path>) -> Vec<usize> {
    let mut arguments = vec!["run", "--batch-events", "100", text(path)];
    if let Some(input) = input {
        arguments.extend(["--input", text(input)]);
    }
    let children: Vec<_> = (0..PROCESSES).map(|_| program(&arguments).spawn().unwrap()).collect();
    let waiting: Vec<_> = children
        .into_iter()
        .map(|mut child| {
            let mut stdin = child.stdin.take().unwrap();
            let events = if input.is_none() { events(IDS) } else { String::new() };
            std::thread::spawn(move || {
                let writer = std::thread::spawn(move || drop(stdin.write_all(events.as_bytes())));
                let output = child.wait_with_output().unwrap();
                writer.join().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                output.stdout.iter().filter(|byte| **byte == b'\n').count()
            })
        })
        .collect();
    waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect()
}

#[test]
fn four_processes_on_one_redis_pass_each_id_once() {
    let Some(server) = durable_redis() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), &redis_options(&server), "ttl = \"1h\"");
    let rows = rows_of_processes(&path, None);
    assert_eq!(rows.iter().sum::<usize>(), IDS, "{rows:?}");
}

#[test]
fn four_processes_that_read_one_file_pass_each_id_once() {
    let Some(server) = durable_redis() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), &redis_options(&server), "");
    let input = folder.path().join("events.ndjson");
    std::fs::write(&input, events(IDS)).unwrap();
    let rows = rows_of_processes(&path, Some(&input));
    assert_eq!(rows.iter().sum::<usize>(), IDS, "{rows:?}");
}

#[test]
fn four_processes_on_one_postgres_pass_each_id_once() {
    let Some(server) = servers::postgres(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), &postgres_options(&server), "ttl = \"1h\"");
    let rows = rows_of_processes(&path, None);
    assert_eq!(rows.iter().sum::<usize>(), IDS, "{rows:?}");
}

#[test]
fn local_stores_remember_ids_across_runs() {
    for kind in ["embedded", "sled"] {
        let folder = tempfile::tempdir().unwrap();
        let path = pipeline(folder.path(), &folder_options(kind, folder.path()), "");
        let twice = events(300) + &events(300);
        assert_eq!(rows(&run_over(&path, &twice, &["--batch-events", "100"])), 300, "{kind}");
        assert_eq!(rows(&run_over(&path, &events(301), &[])), 1, "{kind}");
    }
}

#[test]
fn local_store_is_open_in_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), &folder_options("embedded", folder.path()), "");
    let mut first = program(&["run", text(&path)]).spawn().unwrap();
    let mut stdin = first.stdin.take().unwrap();
    stdin.write_all(events(1).as_bytes()).unwrap();
    let mut row = [0; 1];
    std::io::Read::read_exact(first.stdout.as_mut().unwrap(), &mut row).unwrap();
    let second = run_over(&path, &events(1), &[]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("stages[0].shared: the embedded store"), "{}", second.stderr);
    drop(stdin);
    assert!(first.wait().unwrap().success());
}

#[test]
fn identity_passes_again_after_its_ttl() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_options("embedded", folder.path());
    let path = pipeline(folder.path(), &store, "ttl = \"1500ms\"");
    assert_eq!(rows(&run_over(&path, &events(1), &[])), 1);
    assert_eq!(rows(&run_over(&path, &events(1), &[])), 0);
    std::thread::sleep(std::time::Duration::from_millis(1600));
    assert_eq!(rows(&run_over(&path, &events(1), &[])), 1);
}

/// The same stage with a shared and a local store: rows, dead letters and counters are equal.
#[test]
fn shared_stage_equals_local_stage() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut input = events(200) + &events(300) + "{\"ts\":1000}\n";
    input.push_str("{\"ts\":1001,\"id\":null,\"tenant\":\"t\",\"order\":1}\n");
    input.push_str("{\"order\":1.0,\"tenant\":\"t\",\"ts\":1002}\n");
    let window = "[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"100ms\"\n\
                  aggregations = [\"count\"]\n";
    for stages in ["", window] {
        for engine in ["module", "native"] {
            let run = |name: &str, shared: &str| {
                let pipeline = path(&format!("{name}.toml"));
                let text_of = format!(
                    "[[stages]]\ntype = \"dedup\"\n\
                     strategies = [\"id\", [\"tenant\", \"order\"]]\nclock = \"arrival\"\n{shared}\n{stages}"
                );
                std::fs::write(&pipeline, text_of).unwrap();
                let dead = path(&format!("{name}.dead"));
                let summary = path(&format!("{name}.json"));
                let options = ["--dead-letter", text(&dead), "--summary-json", text(&summary)];
                let batches = ["--batch-events", "64", "--runtime", engine, text(&pipeline)];
                let ran = crate::common::run(&[&["run"], &batches[..], &options].concat(), &input);
                assert_eq!(ran.code, 0, "{}", ran.stderr);
                let mut summary = json(&summary);
                let stage = &mut summary["stages"][0];
                // The engine remembers nothing for a shared stage.
                for field in ["entries", "state_bytes"] {
                    stage.as_object_mut().unwrap().remove(field);
                }
                let counters = [
                    "lines",
                    "events",
                    "rejected",
                    "duplicates",
                    "unjudged",
                    "unchecked",
                    "rows",
                    "rejected_by_reason",
                    "late_dropped",
                ];
                let counters = counters.map(|name| summary[name].clone());
                (ran.stdout, json_lines(&dead), counters, summary["stages"][0].clone())
            };
            let _ = std::fs::remove_dir_all(path("embedded"));
            let store = format!("shared = {{ {} }}", folder_options("embedded", folder.path()));
            let (shared, local) = (run("shared", &store), run("local", ""));
            assert_eq!(shared, local, "{engine} {stages}");
            assert_eq!(shared.3["duplicates"], 201);
            assert_eq!(shared.3["unidentified"], 1);
        }
    }
}

#[test]
fn shards_share_the_store_and_keep_the_order_of_events() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("pipeline.toml");
    let store = folder_options("embedded", folder.path());
    let text_of = format!(
        "[source]\nkey = \"user\"\nvalue = \"v\"\n[[stages]]\ntype = \"dedup\"\nstrategies = [\"id\"]\n\
         clock = \"arrival\"\nshared = {{ {store} }}\n[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\n\
         size = \"1s\"\naggregations = [\"count\", \"sum\"]\n"
    );
    std::fs::write(&pipeline, text_of).unwrap();
    // An id comes for several users: the first passes, whichever shard it goes to.
    let input: String = (0..4000)
        .map(|n| format!("{{\"ts\":{n},\"id\":{},\"user\":\"u{}\",\"v\":{n}}}\n", n % 1500, n % 7))
        .collect();
    let rows_of = |shards: &str| {
        let _ = std::fs::remove_dir_all(folder.path().join("embedded"));
        let arguments = ["run", "--shards", shards, "--batch-events", "333", text(&pipeline)];
        let ran = crate::common::run(&arguments, &input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let one = rows_of("1");
    assert_eq!(one, rows_of("4"));
    let counts: u64 = one
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|row| row["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counts, 1500);
}
