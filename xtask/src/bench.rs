//! `cargo xtask bench`: measures every way to run the engine, and other systems, in one run.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{Stamp, cargo, root, run, run_quietly, target};
use crate::{build, npm};

/// Builds everything, installs the other systems, and runs the benchmarks.
pub(crate) fn bench() -> Result<()> {
    build::build()?;
    let script = root().join("benches/node/push_columns.mjs");
    npm::install(&target().join("bench/node"), &[script])?;
    install_peers()?;
    let package = ["--package", "stream-processor-benches"];
    run(cargo(&["run", "--quiet", "--release"]).args(package))
}

/// Installs the other systems in a Python environment of their own.
fn install_peers() -> Result<()> {
    let requirements = root().join("benches/peers/requirements.txt");
    let environment = target().join("bench/venv");
    let stamp = Stamp::new("bench-peers", "1", std::slice::from_ref(&requirements))?;
    if stamp.is_fresh(&[environment.join("bin/python")])? {
        return Ok(());
    }
    eprintln!("  setup   pip install -r benches/peers/requirements.txt");
    let mut create = Command::new("python3");
    run_quietly(create.args(["-m", "venv", "--clear"]).arg(&environment))
        .context("Python 3 with its venv module is needed for the other systems")?;
    let mut install = Command::new(environment.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    run_quietly(install.arg(requirements))?;
    stamp.set()
}
