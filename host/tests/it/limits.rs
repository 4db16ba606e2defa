//! Limits of a run: it continues and reports the limit, or it ends.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::common::{Ran, json, json_lines, run, text};

/// Runs windows of a minute over `input` with these `limits`. Returns the output and the summary.
fn limited(limits: &str, flags: &[&str], input: &str) -> (Ran, Value) {
    let folder = tempdir().unwrap();
    let (pipeline, summary) = (folder.path().join("p.toml"), folder.path().join("summary"));
    let stages = "[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"1m\"\naggregations = [\"count\"]\n";
    let toml = format!("[source]\nkey = \"k\"\n[limits]\n{limits}\n{stages}");
    fs::write(&pipeline, toml).unwrap();
    let arguments = ["run", text(&pipeline), "--summary-json", text(&summary)];
    let ran = run(&[&arguments[..], flags].concat(), input);
    (ran, json(&summary))
}

/// Returns events of two keys in each minute, and of a third key in the third minute.
fn input() -> String {
    let mut input = String::new();
    for minute in 0..5 {
        for key in if minute == 2 { &["a", "b", "c"][..] } else { &["a", "b"] } {
            writeln!(input, r#"{{"ts": {}, "k": "{key}"}}"#, minute * 60_000).unwrap();
        }
    }
    input
}

#[test]
fn limit_with_refuse_ends_the_run_and_earlier_rows_are_written() {
    for flags in [&["--engine", "module"][..], &["--engine", "native"], &["--batch-events", "1"]] {
        let (ran, summary) = limited("max_keys = 2\non_max_keys = \"refuse\"", flags, &input());
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let says = "stages[0]: event 7 needs one key more than limits.max_keys = 2: raise it, or set on_max_keys to \"evict\" or \"drop\"";
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
        assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
        assert_eq!((&summary["complete"], &summary["events"]), (&false.into(), &6.into()));
        assert_eq!((&summary["limit_refused"], &summary["rows"]), (&1.into(), &4.into()));
        assert_eq!(summary["limits_struck"], serde_json::json!(["key_limit"]));
    }
    // With several shards, any of them may reach the limit.
    let (ran, summary) =
        limited("max_keys = 1\non_max_keys = \"refuse\"", &["--shards", "2"], &input());
    assert_eq!((ran.code, &summary["complete"]), (1, &false.into()));
    assert!(ran.stderr.contains("limits.max_keys = 1"), "{}", ran.stderr);
}

#[test]
fn evictions_are_counted_and_reported() {
    let (ran, summary) = limited("max_keys = 2\non_max_keys = \"evict\"", &[], &input());
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 9));
    assert!(ran.stderr.contains("2 evicted, limits reached: key_limit, 9 rows"), "{}", ran.stderr);
    assert_eq!((&summary["complete"], &summary["evicted_events"]), (&true.into(), &2.into()));
    let stage = &summary["stages"][0];
    let evicted = ["evicted_keys", "evicted_windows", "evicted_events"].map(|name| &stage[name]);
    assert_eq!(evicted, [&Value::from(2); 3]);
    let bytes = "max_state_bytes = 720\non_max_state_bytes = \"evict\"";
    let (ran, summary) = limited(bytes, &[], &input());
    assert!(ran.stderr.contains("limits reached: state_limit"), "{}", ran.stderr);
    assert_eq!(summary["limits_struck"], serde_json::json!(["state_limit"]));
}

#[test]
fn event_dropped_at_a_limit_is_a_dead_letter() {
    let folder = tempdir().unwrap();
    let letters = folder.path().join("letters");
    let bytes = "max_state_bytes = 945";
    let (ran, summary) = limited(bytes, &["--dead-letter", text(&letters)], &input());
    assert_eq!((ran.code, &summary["limit_dropped"]), (0, &1.into()));
    assert_eq!(summary["stages"][0]["state_limit"], 1);
    let letters = json_lines(&letters);
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &"state_limit".into()));
}
