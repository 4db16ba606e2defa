//! `cargo xtask build`: from sources to the program and the npm package.

use anyhow::Result;

use crate::run::{cargo, run};
use crate::{module, npm};

/// Leaves `target/release/stream-processor` and `target/npm/stream-processor.tgz`, both around the same module.
pub(crate) fn build() -> Result<()> {
    module::build()?;
    npm::build()?;
    program()?;
    Ok(())
}

/// The native program, with the module and its precompiled form inside.
pub(crate) fn program() -> Result<()> {
    module::precompile()?;
    let bin = ["--bin", "stream-processor"];
    run(cargo(&["build", "--quiet", "--release"]).args(module::RUNTIME_PACKAGES).args(bin))
}
