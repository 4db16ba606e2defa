//! `cargo xtask demo`: real data through the program and, again, through the npm package.

use anyhow::Result;

use crate::build;

/// Builds everything, then shows it at work.
pub(crate) fn demo() -> Result<()> {
    build::build()
}
