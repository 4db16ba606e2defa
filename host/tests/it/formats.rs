//! Formats and compression that no flag names: by the names of files, and by first bytes.

use std::fs;
use std::io::Write;

use flate2::write::GzEncoder;
use tempfile::tempdir;

use crate::common::{Ran, run, text};

const CSV: &str = "ts,service,latency\n0,a,1\n1,a,3\n";
const NDJSON: &str =
    "{\"ts\":0,\"service\":\"a\",\"latency\":1}\n{\"ts\":1,\"service\":\"a\",\"latency\":3}\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn window(more: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
    let flags = ["window", "--tumbling", "1m", "--key", "service", "--value", "latency"];
    run(&[&flags[..], &["--agg", "count,avg"], more].concat(), stdin)
}

const ROW: &str = "{\"service\":\"a\",\"window_start\":\"1970-01-01T00:00:00Z\",\"window_end\":\"1970-01-01T00:01:00Z\",\"count\":2,\"avg\":2}\n";

#[test]
fn stdin_is_read_by_its_first_bytes() {
    let compressed =
        |text: &str| [gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 1).unwrap()];
    for plain in [CSV, NDJSON] {
        for input in compressed(plain).into_iter().chain([plain.into()]) {
            for more in [&[][..], &["-i", "-"]] {
                let ran = window(more, &input);
                assert_eq!((ran.code, ran.stdout.as_str()), (0, ROW), "{plain}{}", ran.stderr);
            }
        }
    }
    // A flag decides before the first bytes do.
    assert_eq!(window(&["--format", "ndjson"], CSV).code, 3);
}

#[test]
fn file_is_read_by_its_name_and_its_first_bytes() {
    let folder = tempdir().unwrap();
    let files: [(&str, Vec<u8>); 6] = [
        ("a.csv", CSV.into()),
        ("a.csv.gz", gzip(CSV.as_bytes())),
        ("events", CSV.into()),
        ("events.log", NDJSON.into()),
        ("packed", gzip(CSV.as_bytes())),
        ("packed.csv", zstd::encode_all(CSV.as_bytes(), 1).unwrap()),
    ];
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let ran = window(&["-i", text(&path)], "");
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ROW), "{name}: {}", ran.stderr);
    }
}

#[test]
fn output_is_written_as_its_name_says() {
    let folder = tempdir().unwrap();
    let csv = "service,window_start,window_end,count,avg\na,1970-01-01T00:00:00Z,1970-01-01T00:01:00Z,2,2\n";
    for (name, expected) in [
        ("rows.csv", csv),
        ("rows.csv.gz", csv),
        ("rows.ndjson", ROW),
        ("rows.ndjson.zst", ROW),
        ("rows.ndjson.gz", ROW),
        ("rows", ROW),
    ] {
        let path = folder.path().join(name);
        let ran = window(&["-o", text(&path)], NDJSON);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let bytes = fs::read(&path).unwrap();
        let written = match name.rsplit_once('.') {
            Some((_, "gz")) => std::io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])),
            Some((_, "zst")) => zstd::decode_all(&bytes[..]).map(|b| String::from_utf8(b).unwrap()),
            _ => Ok(String::from_utf8(bytes).unwrap()),
        };
        assert_eq!(written.unwrap(), expected, "{name}");
    }
    // A flag decides before the name does.
    let path = folder.path().join("rows.csv");
    window(&["-o", text(&path), "--output-format", "ndjson"], NDJSON);
    assert_eq!(fs::read_to_string(&path).unwrap(), ROW);
}

#[test]
fn dead_letters_are_compressed_as_their_name_says() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("dead.ndjson.gz");
    let ran = window(&["--dead-letter", text(&path)], format!("{NDJSON}bad\n"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let bytes = fs::read(&path).unwrap();
    let letters = std::io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])).unwrap();
    assert!(letters.contains("invalid_json") && letters.ends_with("\"bad\"}\n"), "{letters}");
}

#[test]
fn unsupported_input_is_named_with_the_remedy() {
    let cases: [(&[u8], &str); 2] = [
        (b"[\n{\"ts\":0}\n]\n", "warning: stdin seems to be a JSON array: jq -c '.[]' "),
        (b"\xff\xfet\0s\0\n\0", "warning: stdin seems to be UTF-16: iconv "),
    ];
    for (input, message) in cases {
        let ran = window(&[], input);
        assert!(ran.stderr.starts_with(message), "{}", ran.stderr);
        assert_eq!(ran.code, 3);
    }
}

#[test]
fn errors_of_the_command_line_come_before_the_wait_for_input() {
    // The input stays open and empty.
    let mut child = crate::common::program(&["window", "--tumbling", "0s"]).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    drop(input);
}
