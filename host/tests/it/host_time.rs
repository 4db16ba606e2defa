//! Runs that depend on the time of day: silent streams, silent partitions, events in the future.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, SystemTime};

use tempfile::tempdir;

use crate::common::{json, json_lines, program, run, text};

fn pipeline(source: &str, time: &str) -> String {
    format!(
        "[source]\nvalue = \"v\"\n{source}\n[time]\n{time}\n[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\n\
         size = \"1s\"\naggregations = [\"count\"]\n"
    )
}

fn line(ts: i64, partition: &str) -> String {
    format!("{{\"ts\":{ts},\"v\":1,\"p\":\"{partition}\"}}\n")
}

/// Returns the first row that is written while the input stays open after `input`, and all rows
/// that follow once it is closed.
fn live(pipeline: &str, input: &str) -> (String, String) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, pipeline).unwrap();
    live_command(&["run", text(&file), "--quiet"], input)
}

/// Returns the same as [`live`] for a command.
fn live_command(command: &[&str], input: &str) -> (String, String) {
    let mut child = program(command).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(input.as_bytes()).unwrap();
    stdin.flush().unwrap();
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    drop(stdin);
    let rest: Vec<String> = stdout.lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success());
    (first.trim_end().to_owned(), rest.join("\n"))
}

fn row(start: &str, end: &str, count: u32) -> String {
    format!(
        "{{\"window_start\":\"1970-01-01T00:00:{start}Z\",\"window_end\":\"1970-01-01T00:00:{end}Z\",\"count\":{count}}}"
    )
}

#[test]
fn silent_stream_fires_open_windows_after_close_after_idle() {
    let time = "max_out_of_orderness = \"1h\"\nclose_after_idle = \"300ms\"";
    let input = line(4_100, "a") + &line(3_900, "a");
    let (first, rest) = live(&pipeline("", time), &input);
    assert_eq!(first, row("03", "04", 1));
    assert_eq!(rest, row("04", "05", 1));
    let flags = ["--max-out-of-orderness", "1h", "--close-after-idle", "300ms", "--quiet"];
    let (again, _) = live_command(&[&["window", "--tumbling", "1s"][..], &flags].concat(), &input);
    assert_eq!(again, first);
}

#[test]
fn silent_partition_does_not_hold_back_the_watermark_after_idle_timeout() {
    let source = "partition = \"p\"";
    let input = line(1_000, "slow") + &line(1_100, "fast") + &line(9_000, "fast");
    let (first, rest) = live(&pipeline(source, "idle_timeout = \"300ms\""), &input);
    assert_eq!(first, row("01", "02", 2));
    assert_eq!(rest, row("09", "10", 1));
}

#[test]
fn slowest_partition_holds_back_the_watermark_in_files() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("pipeline.toml"), pipeline("key = \"p\"\npartition = \"p\"", "")).unwrap();
    // Partition b is an hour behind a and has the first event, so none of its events is late.
    let mut input = String::new();
    for second in 0..50 {
        input += &line(second * 1_000, "b");
        input += &line(3_600_000 + second * 1_000, "a");
    }
    for engine in ["module", "native"] {
        let summary = path("summary.json");
        let pipeline = path("pipeline.toml");
        let arguments = [
            "run",
            text(&pipeline),
            "--quiet",
            "--shards",
            "4",
            "--batch-events",
            "7",
            "--engine",
            engine,
            "--summary-json",
            text(&summary),
        ];
        let ran = run(&arguments, &input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let summary = json(&summary);
        assert_eq!(
            (summary["late_dropped"].as_u64(), summary["rows"].as_u64()),
            (Some(0), Some(100))
        );
        assert_eq!(summary["shards"], 1);
        let partition = |name: &str, reached: &str, watermark: &str| {
            serde_json::json!({ "partition": name, "greatest_time": reached, "watermark": watermark,
                "idle": false, "holds_back": false })
        };
        let expected = [
            partition("a", "1970-01-01T01:00:49Z", "1970-01-01T01:00:48.999999Z"),
            partition("b", "1970-01-01T00:00:49Z", "1970-01-01T00:00:48.999999Z"),
        ];
        assert_eq!(summary["partitions"].as_array().unwrap(), &expected);
        let arguments = ["run", text(&pipeline), "--engine", engine];
        let stderr = run(&arguments, &input).stderr;
        assert!(
            stderr.contains("\npartition a: up to 1970-01-01T01:00:49Z\npartition b: up to"),
            "{stderr}"
        );
    }
}

#[test]
fn one_line_pipelines_have_flags_for_all_time_options() {
    let folder = tempdir().unwrap();
    let summary = folder.path().join("summary.json");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let day = i64::try_from(now.as_millis()).unwrap() + 86_400_000;
    let input =
        line(1_000, "slow") + &line(1_100, "fast") + &line(9_000, "fast") + &line(day, "fast");
    let window = ["window", "--tumbling", "1s", "--summary-json", text(&summary)];
    let rows = |flags: &[&str]| {
        let ran = run(&[&window[..], flags].concat(), &input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.lines().count()
    };
    assert_eq!(rows(&["--partition", "p", "--max-future-skew", "1h"]), 2);
    assert_eq!(json(&summary)["future"], 1);
    assert_eq!(json(&summary)["partitions"].as_array().unwrap().len(), 2);
    assert_eq!(rows(&["--max-future-skew", "1h", "--future", "keep"]), 3);
    assert_eq!(rows(&["--watermark", "manual"]), 3);
    assert_eq!(rows(&["--idle-timeout", "1h", "--watermark", "ascending"]), 3);
    assert_eq!(rows(&["--watermark", "periodic", "--watermark-interval", "5s"]), 3);
    assert_eq!(rows(&["--watermark", "punctuated", "--watermark-field", "v"]), 3);
    for (flags, message) in [
        (&["--watermark", "periodic"][..], "--watermark-interval: missing"),
        (
            &["--watermark", "punctual"],
            "--watermark: unknown name `punctual`, did you mean `punctuated`?",
        ),
        (&["--close-after-idle", "0s"], "--close-after-idle: "),
        (&["--future", "keep"], "--max-future-skew: missing"),
        (&["--watermark", "manual", "--idle-timeout", "1h"], "--idle-timeout: has no effect"),
    ] {
        let ran = run(&[&window[..], flags].concat(), &input);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}

#[test]
fn events_beyond_max_future_skew_are_dead_letters() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("pipeline.toml"), pipeline("", "max_future_skew = \"1h\"")).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    let day = i64::try_from(Duration::from_secs(86_400).as_millis()).unwrap();
    let input = line(now, "a") + &line(now + day, "a") + &line(now + 1, "a");
    let (file, dead, summary) = (path("pipeline.toml"), path("dead"), path("summary.json"));
    let arguments = [
        "run",
        text(&file),
        "--quiet",
        "--dead-letter",
        text(&dead),
        "--summary-json",
        text(&summary),
    ];
    let ran = run(&arguments, &input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let letters = json_lines(&dead);
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["reason"], &letters[0]["line"]), (&"future".into(), &2.into()));
    let summary = json(&summary);
    assert_eq!((summary["future"].as_u64(), summary["late_dropped"].as_u64()), (Some(1), Some(0)));
}
