//! `cargo xtask campaign fuzz`: the coverage-guided fuzz targets of `tests/fuzz`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::run::{cargo, root, run, target};
use crate::setup;

/// The targets, in the order in which they run.
const TARGETS: [&str; 6] = ["snapshot", "partial", "events", "pipeline", "ndjson", "csv"];

/// Bytes of memory of a target, in MiB, and seconds of one input.
const MAX_MEMORY: &str = "-rss_limit_mb=2000";
const MAX_ALLOCATION: &str = "-malloc_limit_mb=700";
const MAX_SECONDS: &str = "-timeout=20";

/// Runs each target, or `only` one, for `seconds`. Failing inputs are in `target/fuzz/failures`.
pub(crate) fn fuzz(seconds: u64, only: Option<&str>) -> Result<ExitCode> {
    if let Some(name) = only.filter(|name| !TARGETS.contains(name)) {
        bail!("no fuzz target {name:?}; there are: {}", TARGETS.join(", "));
    }
    setup::cargo_fuzz()?;
    let folder = target().join("fuzz");
    let corpora = folder.join("corpus");
    eprintln!("  fuzz    seeds in {}", corpora.display());
    let mut seeds = cargo(&["run", "--quiet", "--example", "seeds", "--manifest-path"]);
    seeds.arg(root().join("tests/fuzz/Cargo.toml"));
    seeds.arg("--target-dir").arg(folder.join("build")).arg("--").arg(&corpora);
    run(&mut seeds)?;
    let mut failed = Vec::new();
    for name in TARGETS.into_iter().filter(|name| only.is_none_or(|only| only == *name)) {
        eprintln!("  fuzz    {name}, {seconds} s");
        if run(&mut command(name, seconds, &folder)?).is_err() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let failures = folder.join("failures");
    eprintln!("error: {} failed: inputs in {}", failed.join(", "), failures.display());
    Ok(ExitCode::FAILURE)
}

/// Returns the command that runs the target `name`.
fn command(name: &str, seconds: u64, folder: &Path) -> Result<Command> {
    let (corpus, failures) = (folder.join("corpus").join(name), folder.join("failures"));
    std::fs::create_dir_all(&failures)?;
    let mut command = setup::nightly_cargo(&["fuzz", "run", "--sanitizer", "none"]);
    command.arg("--fuzz-dir").arg(root().join("tests/fuzz"));
    command.arg("--target-dir").arg(folder.join("build"));
    command.arg(name).arg(corpus).args(["--", MAX_MEMORY, MAX_ALLOCATION, MAX_SECONDS]);
    command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/{name}-", failures.display()));
    command.current_dir(root());
    Ok(command)
}
