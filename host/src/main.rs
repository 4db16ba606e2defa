//! The program `stream-processor`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
