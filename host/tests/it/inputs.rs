//! Inputs: files, compressed files, several files, CSV.

use std::fs;
use std::io::Write;

use tempfile::tempdir;

use crate::common::{events, json, json_lines, run, text, window};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn plain_and_compressed_files_give_the_same_rows() {
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
fn zero_bytes_after_a_gzip_member_are_padding() {
    let folder = tempdir().unwrap();
    let input = events(2_000, 10);
    let expected = run(&window(&[]), &input).stdout;
    let (members, path) = (gzip(input.as_bytes()), folder.path().join("e.ndjson.gz"));
    for padding in [1, 512, 300_000] {
        fs::write(&path, [&members[..], &vec![0; padding]].concat()).unwrap();
        let ran = run(&window(&["-i", text(&path)]), "");
        assert_eq!((ran.code, &ran.stdout), (0, &expected), "{}", ran.stderr);
    }
    fs::write(&path, [&members[..], &[0; 512], b"x"].concat()).unwrap();
    let ran = run(&window(&["-i", text(&path)]), "");
    let error = "error: cannot read {}: other data follows the zero bytes after a gzip member\n";
    assert_eq!((ran.code, ran.stderr), (1, error.replace("{}", text(&path))));
}

#[test]
fn zstd_frames_and_skippable_frames_are_one_stream_and_other_bytes_fail_the_run() {
    let folder = tempdir().unwrap();
    let input = events(2_000, 10);
    let expected = run(&window(&[]), &input).stdout;
    let path = folder.path().join("e.ndjson.zst");
    let (front, back) = input.split_at(input.len() / 2);
    let zstd = |text: &str| zstd::stream::encode_all(text.as_bytes(), 1).unwrap();
    let (front, back) = (zstd(front), zstd(back));
    let skippable = [&0x184d_2a50_u32.to_le_bytes()[..], &5_u32.to_le_bytes(), b"hello"].concat();
    for bytes in [
        [&front[..], &back].concat(),
        [&skippable[..], &front, &skippable, &zstd(""), &back, &skippable].concat(),
    ] {
        fs::write(&path, bytes).unwrap();
        let ran = run(&window(&["-i", text(&path)]), "");
        assert_eq!((ran.code, &ran.stdout), (0, &expected), "{}", ran.stderr);
    }
    // As zstd(1), which accepts no padding.
    for trailing in [&[0; 512][..], b"x", &back[..back.len() - 1], &skippable[..10]] {
        fs::write(&path, [&front[..], trailing].concat()).unwrap();
        let ran = run(&window(&["-i", text(&path)]), "");
        assert_eq!(ran.code, 1);
        let error = format!("error: cannot read {}: ", text(&path));
        assert!(ran.stderr.starts_with(&error), "{}", ran.stderr);
    }
}

#[test]
fn damaged_file_fails_the_run_and_is_named() {
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
fn several_files_are_read_as_one_stream() {
    let folder = tempdir().unwrap();
    let input = events(2000, 5);
    let expected = run(&window(&[]), &input).stdout;
    let middle = input[..input.len() / 2].rfind('\n').unwrap();
    let (first, second) = (folder.path().join("1.ndjson"), folder.path().join("2.ndjson"));
    // The first file ends without a line feed. Its last line still counts.
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
    let letter = &json_lines(&dead).into_iter().find(|l| l["reason"] == "invalid_json").unwrap();
    assert_eq!(letter["input"], text(&second));
    assert_eq!(letter["line"], lines_of_second, "dead letters and stderr count lines alike");
}

#[test]
fn csv_is_read_and_written() {
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
    let letters = json_lines(&dead);
    assert_eq!((&letters[0]["event"], &letters[0]["line"]), (&"x,a,5,".into(), &5.into()));
}

#[test]
fn unclosed_csv_quote_rejects_its_line_in_every_kind_of_input() {
    let folder = tempdir().unwrap();
    let csv = "ts,service,latency,note\n1000,a,1,ok\n2000,a,2,\"unclosed\n3000,a,5,fine\n";
    let (plain, dead) = (folder.path().join("e.csv"), folder.path().join("dead"));
    let (gz, zst) = (folder.path().join("e.csv.gz"), folder.path().join("e.csv.zst"));
    fs::write(&plain, csv).unwrap();
    fs::write(&gz, gzip(csv.as_bytes())).unwrap();
    fs::write(&zst, zstd::stream::encode_all(csv.as_bytes(), 1).unwrap()).unwrap();
    for (input, name) in [
        ("-", "stdin"),
        (text(&plain), text(&plain)),
        (text(&gz), text(&gz)),
        (text(&zst), text(&zst)),
    ] {
        let says = format!(
            "{name}:3: invalid_csv: the quote at byte 10 is not closed before the input ends"
        );
        for more in [&[][..], &["--batch-events", "1"], &["--shards", "2"]] {
            let flags = ["-i", input, "--format", "csv", "--dead-letter", text(&dead)];
            let ran = run(&window(&[&flags[..], more].concat()), csv);
            assert_eq!(ran.code, 0);
            assert!(ran.stdout.contains("\"count\":2,\"avg\":3,\"max\":5"), "{}", ran.stdout);
            assert!(ran.stderr.contains(&says), "{}", ran.stderr);
            assert!(ran.stderr.contains("2 events, 1 rejected (invalid_csv 1)"), "{}", ran.stderr);
            let letters = json_lines(&dead);
            assert_eq!(letters.len(), 1);
            assert_eq!((&letters[0]["input"], &letters[0]["line"]), (&name.into(), &3.into()));
            assert_eq!(letters[0]["event"], "2000,a,2,\"unclosed");
        }
        let ran = run(&window(&["-i", input, "--format", "csv", "--strict"]), csv);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.starts_with(&format!("error: {says}")), "{}", ran.stderr);
    }
    let ran = run(&window(&["--format", "csv", "--strict"]), "ts,service,latency\n1,a,\"2\"3\n");
    let says = "error: stdin:2: invalid_csv: text follows the quoted field at byte 5: expected a delimiter";
    assert!(ran.code == 1 && ran.stderr.starts_with(says), "{}", ran.stderr);
    let ran = run(&window(&["--format", "csv"]), "ts,service,\"latency\n1,a,2\n");
    let says = "error: stdin: line 1, in the CSV header: the quote at byte 12 is not closed before";
    assert!(ran.code == 1 && ran.stderr.starts_with(says), "{}", ran.stderr);
}

#[test]
fn quote_that_is_open_for_megabytes_does_not_swallow_later_lines() {
    let rows = "60000,a,1\n".repeat(300_000);
    let ran = run(&window(&["--format", "csv"]), format!("ts,service,latency\n0,a,\"1\n{rows}"));
    assert!(
        ran.stderr.contains(
            "stdin:2: invalid_csv: the quote at byte 5 is not closed within 1048576 bytes"
        )
    );
    assert!(ran.stderr.contains("300,000 events, 1 rejected"), "{}", ran.stderr);
}

#[test]
fn csv_header_without_a_needed_column_fails_the_run() {
    let ran = run(&window(&["--format", "csv"]), "ts,servise,latency\n0,a,1\n");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: stdin: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("service"), "{}", ran.stderr);
}

#[test]
fn empty_input_succeeds_without_rows() {
    let ran = run(&window(&[]), "");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.starts_with("0 events, 0 rows"), "{}", ran.stderr);
}

#[test]
fn missing_file_is_named_and_outputs_stay_untouched() {
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
fn timestamp_unit_scales_numbers() {
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
