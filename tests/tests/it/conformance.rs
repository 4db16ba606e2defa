//! The program writes the bytes of every vector, for any number of shards, batch size and engine.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stream_processor_tests::{Vector, program, vectors};

/// Runs a vector and returns its rows and its summary.
fn run(vector: &Vector, folder: &Path, flags: &[&str]) -> (String, Value) {
    let (pipeline, input) = (folder.join("pipeline.json"), folder.join("input"));
    let summary = folder.join("summary.json");
    std::fs::write(&pipeline, vector.spec.to_string()).unwrap();
    std::fs::write(&input, &vector.input).unwrap();
    let output = Command::new(program())
        .arg("run")
        .arg(&pipeline)
        .arg("--input")
        .arg(&input)
        .arg("--summary-json")
        .arg(&summary)
        // Vectors of late events lose most of them.
        .args(["--max-lost", "100%"])
        .args(flags)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {messages}", vector.name);
    let summary = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    (String::from_utf8(output.stdout).unwrap(), summary)
}

#[test]
fn program_writes_the_bytes_of_every_vector() {
    let folder = tempfile::tempdir().unwrap();
    for vector in vectors() {
        let expected = &vector.expected;
        for flags in [
            &[][..],
            &["--batch-events", "3"],
            &["--shards", "3", "--batch-events", "50"],
            &["--shards", "2"],
            &["--engine", "native"],
        ] {
            let (rows, summary) = run(&vector, folder.path(), flags);
            assert_eq!(rows, expected["rows"].as_str().unwrap(), "{} with {flags:?}", vector.name);
            assert_eq!(summary["events"], expected["events"], "{} with {flags:?}", vector.name);
            assert_eq!(
                summary["late_dropped"], expected["late_dropped"],
                "{} with {flags:?}",
                vector.name
            );
            assert_eq!(
                summary["unassigned"],
                expected["unassigned"].as_u64().unwrap_or(0),
                "{} with {flags:?}",
                vector.name
            );
            assert_eq!(
                summary["rejected_by_reason"], expected["rejected"],
                "{} with {flags:?}",
                vector.name
            );
        }
    }
}
