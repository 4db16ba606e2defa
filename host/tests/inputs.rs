//! Where events come from: files, compressed files, several files, CSV.

mod common;

use std::fs;
use std::io::Write;

use common::{events, json, run, text, window};
use tempfile::tempdir;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_are_read_as_they_are() {
    let folder = tempdir().unwrap();
    let input = events(20_000, 10);
    let expected = run(&window(&[]), &input).stdout;
    assert!(expected.lines().count() > 100);
    let (front, back) = input.split_at(input.len() / 2);
    // Two gzip members one after another, as `cat a.gz b.gz` makes them.
    let members = [gzip(front.as_bytes()), gzip(back.as_bytes())].concat();
    let zstd = zstd::stream::encode_all(input.as_bytes(), 1).unwrap();
    let files = [("plain", input.as_bytes()), ("e.ndjson.gz", &members), ("e.ndjson.zst", &zstd)];
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let ran = run(&window(&["--input", text(&path)]), "");
        assert!(ran.stdout == expected, "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_damaged_file_fails_the_run_and_names_it() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("cut.gz");
    let whole = gzip(events(20_000, 10).as_bytes());
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let ran = run(&window(&["--input", text(&path)]), "");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.starts_with(&format!("error: cannot read {}: ", text(&path))),
        "{}",
        ran.stderr
    );
    assert!(!ran.stdout.is_empty(), "rows made before the damage are written");
}

#[test]
fn several_files_are_one_stream() {
    let folder = tempdir().unwrap();
    let input = events(2000, 5);
    let expected = run(&window(&[]), &input).stdout;
    let middle = input[..input.len() / 2].rfind('\n').unwrap();
    let (first, second) = (folder.path().join("1.ndjson"), folder.path().join("2.ndjson"));
    // The first file ends without a line feed: its last line is a line all the same.
    fs::write(&first, &input[..middle]).unwrap();
    fs::write(&second, input[middle + 1..].to_owned() + "bad\n").unwrap();
    let dead = folder.path().join("dead");
    let flags = ["-i", text(&first), "-i", text(&second), "--dead-letter", text(&dead)];
    let ran = run(&window(&flags), "");
    assert_eq!(ran.stdout, expected);
    let lines_of_second = input[middle + 1..].lines().count() + 1;
    assert!(
        ran.stderr.contains(&format!("2.ndjson:{lines_of_second}: invalid_json")),
        "{}",
        ran.stderr
    );
    let letter =
        &common::json_lines(&dead).into_iter().find(|l| l["reason"] == "invalid_json").unwrap();
    assert_eq!(letter["line"], 2001, "letters count the lines of the whole stream");
}

#[test]
fn csv_reads_and_writes() {
    let csv = "latency,service,ts,note\n1,a,0,\"two\nlines\"\n3,\"a\",1970-01-01T00:00:30Z,\nx,a,5,\n1,2\n";
    let folder = tempdir().unwrap();
    let (dead, summary) = (folder.path().join("dead"), folder.path().join("summary"));
    let flags = [
        &["--format", "csv", "--output-format", "csv"][..],
        &["--dead-letter", text(&dead), "--summary-json", text(&summary)],
    ]
    .concat();
    let ran = run(&window(&flags), csv);
    assert_eq!(
        ran.stdout,
        "service,window_start,window_end,count,avg,max\n\
         a,1970-01-01T00:00:00Z,1970-01-01T00:01:00Z,2,2,3\n",
        "{}",
        ran.stderr
    );
    let reasons = serde_json::json!({ "wrong_type": 1, "wrong_column_count": 1 });
    assert_eq!(json(&summary)["rejected_by_reason"], reasons);
    let letters = common::json_lines(&dead);
    assert_eq!((&letters[0]["event"], &letters[0]["line"]), (&"x,a,5,".into(), &5.into()));
}

#[test]
fn a_csv_header_without_a_needed_column_fails_the_run() {
    let ran = run(&window(&["--format", "csv"]), "ts,servise,latency\n0,a,1\n");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: stdin: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("service"), "{}", ran.stderr);
}

#[test]
fn empty_input_is_no_failure() {
    let ran = run(&window(&[]), "");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.starts_with("0 events, 0 rows"), "{}", ran.stderr);
}

#[test]
fn a_missing_file_is_named_and_nothing_is_written() {
    let folder = tempdir().unwrap();
    let output = folder.path().join("rows");
    fs::write(&output, "precious").unwrap();
    let ran = run(&window(&["-i", "no/such/file", "-o", text(&output)]), "");
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.stderr,
        "error: cannot read no/such/file: No such file or directory (os error 2)\n"
    );
    assert_eq!(fs::read_to_string(output).unwrap(), "precious");
    let ran = run(&window(&["-i", text(folder.path())]), "");
    assert!(ran.stderr.contains("is a directory"), "{}", ran.stderr);
}

#[test]
fn units_of_time() {
    for (unit, ts) in [("s", "90"), ("ms", "90000"), ("us", "90000000"), ("ns", "90000000000")] {
        let event = format!("{{\"at\":{ts},\"service\":\"a\",\"latency\":1}}\n");
        let ran = run(&window(&["--timestamp", "at", "--timestamp-unit", unit]), event);
        assert!(
            ran.stdout.contains("\"window_start\":\"1970-01-01T00:01:00Z\""),
            "{unit}: {}",
            ran.stdout
        );
    }
}
