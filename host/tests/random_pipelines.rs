//! Random pipelines through the program: the module's rows are the bytes of the native engine's, however the stream is cut.
//!
//! The cases are those of `core/tests/random_pipelines.rs`, which cuts many more of them in more ways.

mod common;
#[path = "../../core/tests/pipelines/mod.rs"]
mod pipelines;

use std::fs;

use common::{run, text};
use pipelines::{Case, Choice, WHOLE, generate};
use tempfile::tempdir;

/// Pipelines that are tried.
const PIPELINES: u64 = 60;

/// The first seed: the engine's own test tries others.
const FIRST_SEED: u64 = 500_000;

/// Returns what the engine in this process makes of the whole stream, as the program writes it.
fn expected(case: &Case) -> Option<String> {
    let opened = case.open()?;
    let output = pipelines::run(&opened, WHOLE).unwrap();
    let lines: Vec<String> = case.events.iter().map(ToString::to_string).collect();
    let row = |row: &pipelines::Row| match opened.plan.output.passes_events {
        // The line that the event came on, counted from 1.
        true => lines[usize::try_from(row.rank).unwrap() - 1].clone() + "\n",
        false => row.text.clone() + "\n",
    };
    Some(output.rows.iter().map(row).collect())
}

#[test]
fn the_program_writes_the_same_bytes_however_the_stream_is_cut() {
    let folder = tempdir().unwrap();
    let pipeline = folder.path().join("pipeline.json");
    let (mut tried, mut rows) = (0, 0);
    for seed in FIRST_SEED..FIRST_SEED + PIPELINES {
        let case = generate(seed, Choice::Everything);
        let Some(expected) = expected(&case) else { continue };
        tried += 1;
        rows += expected.lines().count();
        fs::write(&pipeline, case.pipeline.to_string()).unwrap();
        for how in [
            &["--batch-events", "1"][..],
            &["--batch-events", "8192"],
            &["--shards", "4"],
            &["--shards", "3", "--batch-events", "5"],
            &["--engine", "native", "--batch-events", "2"],
        ] {
            let ran = run(&[&["run", text(&pipeline), "--quiet"], how].concat(), case.ndjson());
            assert_eq!(ran.code, 0, "seed {seed}, {how:?}: {}\n{case}", ran.stderr);
            assert!(
                ran.stdout == expected,
                "seed {seed}, {how:?}\n{case}expected:\n{expected}found:\n{}",
                ran.stdout
            );
        }
    }
    assert!(tried > PIPELINES * 7 / 10, "most of what is generated is a pipeline");
    assert!(rows > 200, "pipelines give rows");
}
