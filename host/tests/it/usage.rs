//! The command line: errors of usage, and the texts that commands print.

use std::fs;

use tempfile::tempdir;

use crate::common::{run, text, window};

const PIPELINE: &str = r#"[source]
key = ["service", "host"]
value = "latency"
[time]
max_out_of_orderness = "2s"
[[stages]]
type = "window"
window = "tumbling"
size = "1m"
aggregations = ["count", { op = "max", field = "bytes", name = "peak" }]
"#;

/// Writes `pipeline` to a file and runs `command` on it.
fn with_file(command: &str, pipeline: &str) -> (crate::common::Ran, String) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("pipeline.toml");
    fs::write(&path, pipeline).unwrap();
    (run(&[command, text(&path)], ""), text(&path).to_owned())
}

#[test]
fn error_of_an_invalid_pipeline_names_file_line_field_and_remedy() {
    let cases = [
        ("[source]\nvalu = 1\n", ":2: source.valu: unknown field `valu`, did you mean `value`?"),
        ("[source\n", ":1: "),
        (&PIPELINE.replace("\"1m\"", "\"1 minute\""), ":9: stages[0].size: "),
        (&PIPELINE.replace("\"1m\"", "\"0s\""), ":9: stages[0].size: "),
        (&PIPELINE.replace("\"peak\"", "\"count\""), ":10: stages[0].aggregations[1]"),
        ("[source]\n", ": stages: missing"),
        (
            &PIPELINE.replace("[time]", "path = \"x\"\n[time]"),
            ":4: source.path: unused: only type = \"file\"",
        ),
        (
            &format!("[sink]\ntype = \"file\"\n{PIPELINE}"),
            ":1: sink.path: missing: type = \"file\"",
        ),
    ];
    for (pipeline, message) in cases {
        for command in ["run", "check", "explain"] {
            let (ran, path) = with_file(command, pipeline);
            assert_eq!(ran.code, 2);
            let expected = format!("error: {path}{message}");
            assert!(ran.stderr.starts_with(&expected), "{} should begin {expected}", ran.stderr);
            assert_eq!(ran.stdout, "");
        }
    }
}

#[test]
fn missing_pipeline_file_is_named() {
    let ran = run(&["run", "no-such.toml"], "");
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "error: cannot read no-such.toml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn wrong_flags_are_usage_errors() {
    let cases: [(&[&str], &str); 11] = [
        (&["window"], "--tumbling"),
        (&["window", "--tumbling", "1 minute"], "is not a duration"),
        (&["window", "--tumbling", "0s"], "--tumbling: "),
        (&["window", "--tumbling", "1m", "--sliding", "10m/30s"], "cannot be used with"),
        (&["window", "--sliding", "10m"], "such as 10m/30s"),
        (&["window", "--sliding", "10m/0s"], "--sliding: "),
        (&["window", "--tumbling", "1m", "--agg", "avg"], "--agg: "),
        (&["window", "--tumbling", "1m", "--agg", "agv", "--value", "v"], "did you mean `avg`"),
        (&["window", "--tumbling", "1m", "--max-out-of-orderness", "2"], "--max-out-of-orderness"),
        (&["window", "--tumbling", "1m", "--memory-limit", "lots"], "expected a number of bytes"),
        (
            &["window", "--tumbling", "1m", "-i", "-", "-i", "x"],
            "- (stdin) cannot be one of several",
        ),
    ];
    for (arguments, message) in cases {
        let ran = run(arguments, "");
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn check_prints_a_summary_of_the_pipeline() {
    let (ran, path) = with_file("check", PIPELINE);
    assert_eq!(
        ran.stdout,
        format!(
            "{path} is valid
  source       stdin as ndjson, time in `ts` (RFC 3339, or a number of ms), key `service`, `host`, numbers `latency`, `bytes`
  time         events come up to 2s out of order
  stages[0]    tumbling windows of 1m for each `service`, `host`: count(latency), max(bytes) as peak
  sink         stdout as ndjson
"
        )
    );
}

#[test]
fn check_describes_every_kind_of_stage_in_a_sentence() {
    let stages = r#"
[source]
key = "host"
value = "cpu"
[[stages]]
type = "dedup"
strategies = ["id", ["a", "b"], "@content"]
ttl = "1h"
[[stages]]
type = "filter"
where = [{ field = "cpu", op = ">", value = 1 }, { any = [{ field = "s", op = "in", value = ["x"] }, { not = { field = "t", op = "missing" } }] }]
[[stages]]
type = "map"
set = [{ name = "w", expression = "cpu + 1" }]
[[stages]]
type = "normalize"
interval = "1s"
max_gap = "1m"
fields = [{ name = "cpu" }, { name = "w", fill = "forward" }]
[[stages]]
type = "ema"
span = 9
field = "cpu"
[[stages]]
type = "rolling"
size = 5
field = "w"
aggregations = ["avg"]
[[stages]]
type = "zscore"
field = "cpu"
[[stages]]
type = "window"
window = "tumbling"
size = "1m"
field = "cpu"
aggregations = ["p95", { op = "p50", engine = "exact" }]
"#;
    let (ran, _) = with_file("check", stages);
    for line in [
        "stages[0]    drops events that repeat `id`, or else `a` and `b`, or else all of their content within 1h",
        "stages[1]    passes events with `cpu` > 1 and (`s` in [\"x\"] or not `t` missing)",
        "stages[2]    computes `w` = cpu + 1",
        "stages[3]    gives `cpu`, `w` (fill forward) every 1s for each `host`, fill linear, max_gap 1m",
        "stages[4]    adds the moving average of `cpu` for each `host` with a span of 9 values",
        "stages[5]    adds aggregations of the last 5 values for each `host`: avg(w)",
        "stages[6]    marks values of `cpu` more than 3 standard deviations from the mean of all values before \
         for each `host`, after 2 values",
        "stages[7]    tumbling windows of 1m for each `host`: p95(cpu) (approximate, within 1 %), p50(cpu) (exact)",
    ] {
        assert!(
            ran.stdout.contains(&format!("  {line}\n")),
            "{line}\n{}{}",
            ran.stdout,
            ran.stderr
        );
    }
}

#[test]
fn explain_prints_columns_and_limits() {
    let (ran, _) = with_file("explain", PIPELINE);
    for line in [
        "  window_start             time, RFC 3339",
        "  peak ",
        "  max_keys                 1000000",
    ] {
        assert!(ran.stdout.contains(line), "{line} is not in {}", ran.stdout);
    }
}

#[test]
fn version_prints_the_module_digest_and_abi() {
    let ran = run(&["--version"], "");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "stream-processor 0.1.0");
    assert_eq!(lines[1], format!("module sha256 {}", stream_processor::module::SHA256));
    assert_eq!(lines[2], "module abi 1");
    assert_eq!(
        stream_processor_module::sha256_hex(stream_processor::module::WASM),
        stream_processor::module::SHA256
    );
}

#[test]
fn schema_is_json() {
    let schema: serde_json::Value = serde_json::from_str(&run(&["schema"], "").stdout).unwrap();
    assert!(schema["properties"]["stages"].is_object());
}

#[test]
fn init_writes_a_pipeline_that_runs_and_overwrites_nothing() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("pipeline.toml");
    assert_eq!(run(&["init", text(&path)], "").code, 0);
    let ran = run(&["run", text(&path)], "{\"ts\":0,\"service\":\"a\",\"latency\":2}\n");
    assert!(
        ran.stdout.ends_with("\"count\":1,\"avg\":2,\"max\":2}\n"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    fs::write(&path, "mine").unwrap();
    let ran = run(&["init", text(&path)], "");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("exists already"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn help_of_one_liners_begins_with_two_examples() {
    for command in ["window", "normalize", "dedup"] {
        for flag in ["-h", "--help"] {
            let help = run(&[command, flag], "").stdout;
            let mut lines = help.lines();
            assert_eq!(lines.next(), Some("Examples:"));
            let examples: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
            assert_eq!(examples.len(), 2, "{examples:?}");
            for example in examples {
                let (_, arguments) = example.split_once("stream-processor ").unwrap();
                let words = arguments.split_whitespace().chain(["--print-pipeline"]);
                let ran = run(&words.collect::<Vec<_>>(), "");
                assert_eq!(ran.code, 0, "{example}: {}", ran.stderr);
                assert!(ran.stdout.contains(&format!("type = \"{command}\"")), "{}", ran.stdout);
            }
        }
    }
}

#[test]
fn memory_limit_fails_the_run() {
    let events = crate::common::events(200_000, 100_000);
    for limit in ["64KiB", "4MiB"] {
        let ran = run(&window(&["--memory-limit", limit]), &events);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("raise --memory-limit"), "{}", ran.stderr);
    }
}
