//! One-line pipelines: conditions, aggregations of several fields, calendar windows, and the
//! pipeline file that a command stands for.

use std::fs;

use tempfile::tempdir;

use crate::common::{run, text};

const REQUESTS: &str = r#"{"ts":1000,"host":"a","status":200,"ms":10,"bytes":5}
{"ts":2000,"host":"a","status":500,"ms":30,"bytes":9}
{"ts":3000,"host":"b","status":503,"ms":50,"bytes":7}
{"ts":4000,"host":"a","status":404,"ms":70,"bytes":1}
"#;

/// Returns the rows of a command on [`REQUESTS`], without the times of their windows.
fn rows(arguments: &[&str]) -> Vec<String> {
    let ran = run(arguments, REQUESTS);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    let times = r#""window_start":"1970-01-01T00:00:00Z","window_end":"1970-01-01T00:01:00Z","#;
    ran.stdout.lines().map(|row| row.replace(times, "")).collect()
}

#[test]
fn where_passes_events_that_meet_all_conditions() {
    let window = ["window", "--tumbling", "1m", "--group-by", "host"];
    let with = |conditions: &[&'static str]| rows(&[&window[..], conditions].concat());
    assert_eq!(with(&["--where", "status >= 500"]).len(), 2);
    assert_eq!(
        with(&["--where", "status >= 400", "--where", "not host == b"]),
        [r#"{"host":"a","count":2}"#]
    );
    assert_eq!(
        with(&["--where", "host in (b, c) or status = 200"]),
        [r#"{"host":"a","count":1}"#, r#"{"host":"b","count":1}"#]
    );
    let passed = rows(&["dedup", "--by", "host", "--where", "ms > 20"]);
    assert_eq!(passed.len(), 2, "{passed:?}");
    assert!(passed[0].contains("\"status\":500"), "{passed:?}");
}

#[test]
fn errors_of_conditions_and_stages_name_their_flags() {
    let window = ["window", "--tumbling", "0s", "--where", "status >= 500"];
    let cases: [(&[&str], &str); 5] = [
        (&window, "error: --tumbling: "),
        (&["window", "--global", "--where", "status"], "expected ==, !=, <"),
        (&["window", "--global", "--where", "a in ('x', 5) and a < x"], "error: --where: "),
        (
            &["window", "--tumbling", "1m", "--zone", "UTC"],
            "error: --zone: only windows of --calendar",
        ),
        (&["window", "--calendar", "day", "--zone", "Nowhere"], "error: --zone: "),
    ];
    for (arguments, message) in cases {
        let ran = run(arguments, "");
        assert_eq!(ran.code, 2, "{arguments:?}");
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn aggregations_have_fields_and_other_names() {
    let flags = ["window", "--tumbling", "1m", "--value", "ms", "--agg"];
    assert_eq!(
        rows(&[&flags[..], &["max:bytes,avg,median,std:bytes", "--lateness", "0s"]].concat()),
        [r#"{"max_bytes":9,"avg":40,"p50":40,"stddev_bytes":3.415650255319866}"#]
    );
}

#[test]
fn percentiles_of_many_values_are_exact_on_request() {
    let input: String = (0..2000).map(|n| format!("{{\"ts\":{n},\"v\":{n}}}\n")).collect();
    let flags = ["window", "--global", "--value", "v", "--agg", "p50,max", "--percentiles"];
    let median = |engine| run(&[&flags[..], &[engine]].concat(), &input).stdout;
    assert!(median("exact").contains("\"p50\":999.5,"), "{}", median("exact"));
    assert!(!median("sketch").contains("\"p50\":999.5,"), "{}", median("sketch"));
}

#[test]
fn calendar_windows_follow_their_zone() {
    let flags = ["window", "--calendar", "day", "--zone", "Europe/Berlin"];
    // The second event is on the first day of summer time, which has 23 hours.
    let input = "{\"ts\":\"2024-03-30T22:59:59Z\"}\n{\"ts\":\"2024-03-30T23:00:00Z\"}\n";
    let ran = run(&flags, input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "{\"window_start\":\"2024-03-29T23:00:00Z\",\"window_end\":\"2024-03-30T23:00:00Z\",\"count\":1}\n\
         {\"window_start\":\"2024-03-30T23:00:00Z\",\"window_end\":\"2024-03-31T22:00:00Z\",\"count\":1}\n"
    );
}

#[test]
fn printed_pipeline_gives_the_same_rows() {
    let folder = tempdir().unwrap();
    let (input, file) = (folder.path().join("in.ndjson"), folder.path().join("p.toml"));
    fs::write(&input, REQUESTS).unwrap();
    let commands: [&[&str]; 4] = [
        &[
            "window",
            "--sliding",
            "2s/1s",
            "--key",
            "host",
            "--value",
            "ms",
            "--agg",
            "p95,max:bytes",
            "--percentiles",
            "exact",
            "--where",
            "status != 404 or host == 'x \"y\"'",
            "--unordered",
            "--output-format",
            "csv",
        ],
        &["window", "--calendar", "week", "--zone", "+05:30", "--final", "--lateness", "1h"],
        &[
            "normalize",
            "--interval",
            "500ms",
            "--key",
            "host",
            "--value",
            "ms,bytes",
            "--fill",
            "spline",
        ],
        &["dedup", "--by", "host+status|@content", "--ttl", "1h"],
    ];
    for command in commands {
        let command = [command, &["-i", text(&input)]].concat();
        let printed = run(&[&command[..], &["--print-pipeline"]].concat(), "");
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        fs::write(&file, &printed.stdout).unwrap();
        let of_file = run(&["run", text(&file)], "");
        assert_eq!(of_file.code, 0, "{}\n{}", of_file.stderr, printed.stdout);
        assert!(!of_file.stdout.is_empty());
        assert_eq!(of_file.stdout, run(&command, "").stdout, "{}", printed.stdout);
    }
}

#[test]
fn printed_pipeline_names_the_outputs() {
    let outputs = ["-o", "rows.csv", "--late", "late.ndjson", "--dead-letter", "dead.ndjson"];
    let printed = run(&[&["window", "--global", "--print-pipeline"][..], &outputs].concat(), "");
    for section in [
        "[sink]\ntype = \"file\"\npath = \"rows.csv\"\n",
        "[late]\npath = \"late.ndjson\"\n",
        "[dead_letter]\npath = \"dead.ndjson\"\n",
    ] {
        assert!(printed.stdout.contains(section), "{}", printed.stdout);
    }
}

#[test]
fn comma_in_by_is_refused_with_both_spellings() {
    let ran = run(&["dedup", "--by", "a,b"], "");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("write a+b for all of them together, or 'a|b'"), "{}", ran.stderr);
    let input = "{\"ts\":1,\"a\":1,\"b\":1}\n{\"ts\":2,\"a\":1,\"b\":2}\n{\"ts\":3,\"b\":2}\n{\"ts\":4,\"a\":1,\"b\":2}\n";
    for (by, passed) in [("a+b", [1, 2, 3].as_slice()), ("a|b", &[1, 3])] {
        let ran = run(&["dedup", "--by", by], input);
        let times: Vec<String> = passed.iter().map(|ts| format!("{{\"ts\":{ts},")).collect();
        assert_eq!(ran.stdout.lines().count(), times.len(), "{by}: {}", ran.stdout);
        for (line, time) in ran.stdout.lines().zip(times) {
            assert!(line.starts_with(&time), "{by}: {line}");
        }
    }
    // The list of strategies keeps its commas.
    assert_eq!(run(&["dedup", "--strategies", "a,b"], input).stdout.lines().count(), 2);
}

#[test]
fn runtime_is_chosen_by_its_new_and_its_old_flag() {
    for flag in ["--runtime", "--engine"] {
        for value in ["module", "native"] {
            assert_eq!(rows(&["window", "--tumbling", "1m", flag, value]), [r#"{"count":4}"#]);
        }
    }
    assert!(!run(&["window", "--help"], "").stdout.contains("--engine"));
}
