//! Random pipelines: the program writes the same bytes as the engine in this process, for any batch
//! size, number of shards and engine.
//!
//! The generator is that of `core/tests/pipelines`, which tests more pipelines in more ways.

use std::fs;

use tempfile::tempdir;

use crate::cases::{self, Case, Choice, WHOLE, generate};
use crate::common::{run, text};

/// The number of seeds to test.
const PIPELINES: u64 = 60;

/// The first seed. The test of core uses others.
const FIRST_SEED: u64 = 500_000;

/// Returns the rows that the engine in this process makes of the whole stream, as the program
/// writes them. Returns `None` if the pipeline is invalid.
fn expected(case: &Case) -> Option<String> {
    let opened = case.open()?;
    let output = cases::run(&opened, WHOLE).unwrap();
    let lines: Vec<String> = case.events.iter().map(ToString::to_string).collect();
    let row = |row: &cases::Row| match opened.plan.output.passes_events {
        // The rank is the line of the event, from 1.
        true => lines[usize::try_from(row.rank).unwrap() - 1].clone() + "\n",
        false => row.text.clone() + "\n",
    };
    Some(output.rows.iter().map(row).collect())
}

#[test]
fn program_writes_the_same_bytes_for_any_batches_shards_and_engine() {
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
    assert!(tried > PIPELINES * 7 / 10, "most generated pipelines are valid");
    assert!(rows > 200, "pipelines give rows");
}
