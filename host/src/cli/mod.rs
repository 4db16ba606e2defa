//! The command line: reads arguments, calls the library, speaks to people.

mod args;
mod describe;
mod init;
mod one_line;
mod pipeline_file;
mod report;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use processor::module;
use processor::spec::PipelineSpec;

use args::{Cli, Command};

/// Why a command ends without success.
pub(crate) enum Exit {
    /// The run failed: 1.
    Failed(String),
    /// The pipeline or the command line is wrong: 2.
    Invalid(String),
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let (code, message) = match dispatch(cli.command) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Exit::Failed(message)) => (1, message),
        Err(Exit::Invalid(message)) => (2, message),
    };
    report::say(&format!("error: {message}"));
    ExitCode::from(code)
}

fn dispatch(command: Command) -> Result<(), Exit> {
    match command {
        Command::Run(arguments) => {
            let pipeline = pipeline_file::load(&arguments.file.pipeline)?;
            run::run(pipeline, &arguments.io)
        }
        Command::Window(arguments) => run::run(one_line::window(&arguments)?, &arguments.events.io),
        Command::Normalize(arguments) => {
            run::run(one_line::normalize(&arguments)?, &arguments.events.io)
        }
        Command::Dedup(arguments) => run::run(one_line::dedup(&arguments)?, &arguments.events.io),
        Command::Check(file) => {
            let pipeline = pipeline_file::load(&file.pipeline)?;
            for warning in pipeline.spec().warnings() {
                report::say(&format!("warning: {warning}"));
            }
            print(&format!("{} is valid\n{}", file.pipeline.display(), describe::short(&pipeline)))
        }
        Command::Explain(file) => print(&describe::long(&pipeline_file::load(&file.pipeline)?)),
        Command::Schema => print(&format!("{:#}\n", PipelineSpec::json_schema())),
        Command::Init { path } => init::write(&path),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut self::command(), "stream-processor", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// The command line's definition; `--version` tells the module as well.
fn command() -> clap::Command {
    let version = format!(
        "{}\nmodule sha256 {}\nmodule abi {}",
        env!("CARGO_PKG_VERSION"),
        module::SHA256,
        module::ABI_VERSION
    );
    // Clap keeps the text as long as the program runs.
    Cli::command().long_version(&*version.leak())
}

/// Writes text to stdout; a reader that has gone away is no failure.
fn print(text: &str) -> Result<(), Exit> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Exit::Failed(format!("cannot write stdout: {error}")))
        }
        _ => Ok(()),
    }
}
