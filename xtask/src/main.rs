//! `cargo xtask …`: the only build tool.

mod bench;
mod build;
mod campaign;
mod demo;
mod module;
mod npm;
mod run;
mod setup;
mod table;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask build            the module, the npm package and the program
cargo xtask test [FILTER…]   everything that is checked, or the parts whose names contain a filter
cargo xtask demo             builds, then runs real data through the program and the npm package
cargo xtask bench            builds, then measures every way to run the engine beside other systems
cargo xtask campaign pipelines [--count N] [--seed S]
                             runs random pipelines in every way that must not change a row";

fn main() -> ExitCode {
    match command() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", arguments.as_slice()),
    };
    match (name, rest) {
        ("build", []) => build::build().map(|()| ExitCode::SUCCESS),
        ("test", filters) => test::test(filters),
        ("demo", []) => demo::demo().map(|()| ExitCode::SUCCESS),
        ("bench", []) => bench::bench().map(|()| ExitCode::SUCCESS),
        ("campaign", rest) => campaign::campaign(rest),
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("no such command: {}\n\n{USAGE}", arguments.join(" ")),
    }
}
