//! `cargo xtask …`: the build tool of the workspace.
//!
//! | file | contents |
//! |---|---|
//! | `build.rs`, `module.rs`, `npm.rs` | the program, the module, the npm package |
//! | `test.rs`, `campaign.rs`, `bench.rs`, `demo.rs` | the commands of those names |
//! | `fuzz.rs` | `campaign fuzz` |
//! | `order.rs` | the order of the functions of the module |
//! | `size.rs` | where the bytes of the module are, and size limits |
//! | `notices.rs` | third-party notices, and the licences that are allowed |
//! | `setup.rs` | installs missing tools |
//! | `run.rs` | child processes, files, and stamps that skip steps without changes |
//! | `table.rs` | tables of the demo |

mod bench;
mod build;
mod campaign;
mod demo;
mod fuzz;
mod module;
mod notices;
mod npm;
mod order;
mod run;
mod setup;
mod size;
mod table;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask build            builds the module, the npm package and the program
cargo xtask test [FILTER…]   runs all tests, or the parts whose names contain a filter; `matrix`
                             and `wasm-bindgen` run only when they are named
cargo xtask demo             builds, then runs real data through the program and the npm package
cargo xtask bench            builds, then measures every way to run the engine, and other systems
cargo xtask size             prints where the bytes of the module are
cargo xtask notices          writes the third-party notices of the program and the npm package
cargo xtask campaign pipelines [--count N] [--seed S]
                             runs random pipelines with every cut that must not change a row
cargo xtask campaign state [--count N]
                             tests the state backends on real servers, with N kills of each local store
cargo xtask campaign snapshots [--every N]
                             forges every number of snapshots and partial state, or every N-th
cargo xtask campaign fuzz [--seconds N] [--target NAME]
                             runs the fuzz targets of tests/fuzz, two minutes each, with nightly Rust";

fn main() -> ExitCode {
    match command() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command of the arguments.
fn command() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, options) = match arguments.split_first() {
        Some((name, options)) => (name.as_str(), options),
        None => ("help", arguments.as_slice()),
    };
    match (name, options) {
        ("build", []) => build::build().map(|()| ExitCode::SUCCESS),
        ("test", filters) => test::test(filters),
        ("demo", []) => demo::demo().map(|()| ExitCode::SUCCESS),
        ("bench", []) => bench::bench().map(|()| ExitCode::SUCCESS),
        ("size", []) => size::size().map(|()| ExitCode::SUCCESS),
        ("notices", []) => notices::write().map(|()| ExitCode::SUCCESS),
        ("campaign", options) => campaign::campaign(options),
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("no such command: {}\n\n{USAGE}", arguments.join(" ")),
    }
}
