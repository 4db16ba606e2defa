//! Bad lines are skipped, counted by reason, reported on stderr, and written unchanged as dead
//! letters.

use tempfile::tempdir;

use crate::common::{json, json_lines, run, text, window};

const GOOD: &str = "{\"ts\":1,\"service\":\"a\",\"latency\":1}\n";

/// Runs a bad line between two good ones. Returns its dead letter and stderr.
fn refused(line: &[u8]) -> (serde_json::Value, String) {
    let folder = tempdir().unwrap();
    let (dead, summary) = (folder.path().join("dead"), folder.path().join("summary"));
    let input = [GOOD.as_bytes(), line, b"\n", GOOD.as_bytes()].concat();
    let flags = window(&["--dead-letter", text(&dead), "--summary-json", text(&summary)]);
    let ran = run(&flags, input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("\"count\":2"), "both good lines count: {}", ran.stdout);
    let letters = json_lines(&dead);
    assert_eq!(letters.len(), 1);
    let letter = letters[0].clone();
    let reason = letter["reason"].as_str().unwrap();
    let summary = json(&summary);
    assert_eq!(
        (&summary["lines"], &summary["events"], &summary["rejected"]),
        (&3.into(), &2.into(), &1.into())
    );
    assert_eq!(summary["rejected_by_reason"], serde_json::json!({ reason: 1 }));
    assert!(ran.stderr.contains(&format!("stdin:2: {reason}: ")), "{}", ran.stderr);
    (letter, ran.stderr)
}

#[test]
fn each_kind_of_bad_line_has_its_reason() {
    let cases: [(&str, &str); 15] = [
        ("not json", "invalid_json"),
        (" \t", "invalid_json"),
        ("", "invalid_json"),
        ("{\"ts\":1,\"service\":\"a\",\"latency\":1", "invalid_json"),
        ("[1,2]", "not_an_object"),
        (r#"{"service":"a","latency":1}"#, "missing_field"),
        (r#"{"ts":1,"service":null,"latency":1}"#, "missing_field"),
        (r#"{"ts":1,"service":"a"}"#, "missing_field"),
        (r#"{"ts":1,"service":"a","latency":"1"}"#, "wrong_type"),
        (r#"{"ts":1,"service":["a"],"latency":1}"#, "wrong_type"),
        (r#"{"ts":"soon","service":"a","latency":1}"#, "invalid_timestamp"),
        (r#"{"ts":1e16,"service":"a","latency":1}"#, "timestamp_out_of_range"),
        (r#"{"ts":1,"service":"a","latency":1e999}"#, "non_finite"),
        (r#"{"ts":1,"service":1e400,"latency":1}"#, "invalid_key_number"),
        (r#"{"ts":1,"service":0.1234567890123456789,"latency":1}"#, "invalid_key_number"),
    ];
    for (line, reason) in cases {
        let (letter, _) = refused(line.as_bytes());
        assert_eq!(letter["reason"], reason, "{line}");
        assert_eq!(letter["event"], line);
        assert_eq!(letter["line"], 2);
        assert!(letter["stage"].is_null() && letter["watermark"].is_null());
    }
}

#[test]
fn invalid_utf8_becomes_replacement_characters_in_the_dead_letter() {
    let (letter, _) = refused(b"{\"ts\":1,\"service\":\"a\xff\",\"latency\":1}");
    assert_eq!(letter["reason"], "invalid_utf8");
    assert_eq!(letter["event"], "{\"ts\":1,\"service\":\"a\u{fffd}\",\"latency\":1}");
}

#[test]
fn line_longer_than_the_limit_is_whole_in_the_dead_letter() {
    // Over a megabyte in characters of several bytes, so that pieces of the line end inside a
    // character.
    let line = format!(
        "{{\"ts\":1,\"service\":\"a\",\"latency\":1,\"text\":\"{}\"}}",
        "é😀".repeat(400_000)
    );
    let (letter, stderr) = refused(line.as_bytes());
    assert_eq!(letter["reason"], "line_too_long");
    assert_eq!(letter["event"].as_str().unwrap().len(), line.len());
    assert!(letter["event"] == line.as_str(), "the text differs");
    assert!(stderr.contains("longer than 1048576 bytes"), "{stderr}");
}

#[test]
fn message_names_the_field_and_the_value_found() {
    let (_, stderr) = refused(br#"{"ts":1,"service":"a","latency":"slow"}"#);
    assert!(
        stderr.contains("field \"latency\": expected a number, found the string \"slow\""),
        "{stderr}"
    );
}

#[test]
fn first_five_bad_lines_are_printed_and_all_are_counted() {
    let ran = run(&window(&[]), "bad\n".repeat(12) + GOOD);
    assert_eq!(ran.stderr.matches(": invalid_json: ").count(), 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("... and 7 more bad lines"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 event, 12 rejected (invalid_json 12), 1 row"), "{}", ran.stderr);
}

#[test]
fn quiet_prints_no_bad_lines() {
    let ran = run(&window(&["--quiet", "--max-lost", "12"]), "bad\n".repeat(12) + GOOD);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn strict_run_ends_at_the_first_bad_line_and_keeps_earlier_rows() {
    let folder = tempdir().unwrap();
    let (dead, summary) = (folder.path().join("dead"), folder.path().join("summary"));
    let input = "{\"ts\":0,\"service\":\"a\",\"latency\":1}\n{\"ts\":60000,\"service\":\"a\",\"latency\":1}\nbad\n\
                 {\"ts\":180000,\"service\":\"a\",\"latency\":1}\nworse\n";
    let flags = ["--strict", "--dead-letter", text(&dead), "--summary-json", text(&summary)];
    let ran = run(&window(&flags), input);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: stdin:3: invalid_json: "), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 1, "the first window had closed: {}", ran.stdout);
    let letters = json_lines(&dead);
    assert_eq!((letters.len(), &letters[0]["event"]), (1, &"bad".into()));
    let summary = json(&summary);
    assert_eq!((&summary["events"], &summary["rejected"]), (&2.into(), &1.into()));
    assert_eq!(summary["complete"], false);
}
