//! `cargo xtask build`: builds the module, the npm package and the program.

use anyhow::Result;

use crate::run::{cargo, run};
use crate::{module, npm};

/// Builds `target/release/stream-processor` and `target/npm/stream-processor.tgz`, both with the
/// same module.
pub(crate) fn build() -> Result<()> {
    module::build()?;
    npm::build()?;
    program()?;
    Ok(())
}

/// Builds the native program with the embedded module and its precompiled code.
pub(crate) fn program() -> Result<()> {
    module::precompile()?;
    let bin = ["--bin", "stream-processor"];
    run(cargo(&["build", "--quiet", "--release"]).args(module::RUNTIME_PACKAGES).args(bin))
}
