//! The command line: parses arguments, calls the library, and reports to the user.
//!
//! `args.rs` declares commands and flags. `pipeline_file.rs` loads a pipeline from a file,
//! `one_line.rs` builds one from flags. `run.rs` runs it, and `report.rs` writes progress and the
//! summary to stderr. `describe.rs` and `init.rs` implement `check`, `explain` and `init`.

mod args;
mod describe;
mod init;
mod one_line;
mod pipeline_file;
mod report;
mod run;

use std::io::{self, ErrorKind, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use stream_processor::spec::PipelineSpec;
use stream_processor::{Error, Output, module};

use args::{Cli, Command};

/// A failure of a command, with its exit code.
pub(crate) enum Exit {
    /// The run failed: exit code 1.
    Failed(String),
    /// The pipeline or the command line is invalid: exit code 2.
    Invalid(String),
}

/// Runs the command of the arguments.
pub(crate) fn main() -> ExitCode {
    let cli = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let code = match cli.map_or_else(usage, |cli| dispatch(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit::Failed(message)) => failure(1, &message),
        Err(Exit::Invalid(message)) => failure(2, &message),
    };
    // A message that could not be written must not look like success.
    if report::message_was_lost() && code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code }
}

fn failure(code: u8, message: &str) -> ExitCode {
    report::print_message(&format!("error: {message}"));
    ExitCode::from(code)
}

/// Prints help or the version to stdout. For an invalid command line, prints its errors to stderr
/// and exits.
fn usage(error: clap::Error) -> Result<(), Exit> {
    // On a terminal, clap prints in colors.
    if error.use_stderr() || io::stdout().is_terminal() {
        error.exit()
    }
    print(&error.render().to_string())
}

fn dispatch(command: Command) -> Result<(), Exit> {
    match command {
        Command::Run(arguments) => {
            let pipeline = pipeline_file::load(&arguments.file.pipeline)?;
            run::run(pipeline, Some(&arguments.file.pipeline), &arguments.io)
        }
        Command::Window(arguments) => {
            run::run(one_line::window(&arguments)?, None, &arguments.events.io)
        }
        Command::Normalize(arguments) => {
            run::run(one_line::normalize(&arguments)?, None, &arguments.events.io)
        }
        Command::Dedup(arguments) => {
            run::run(one_line::dedup(&arguments)?, None, &arguments.events.io)
        }
        Command::Check(file) => {
            let pipeline = pipeline_file::load(&file.pipeline)?;
            for warning in pipeline.spec().warnings() {
                report::print_message(&format!("warning: {warning}"));
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

/// Returns the definition of the command line. `--version` also prints the module's digest and ABI.
fn command() -> clap::Command {
    let version = format!(
        "{}\nmodule sha256 {}\nmodule abi {}",
        env!("CARGO_PKG_VERSION"),
        module::SHA256,
        module::ABI_VERSION
    );
    // Clap needs a `'static` text.
    Cli::command().long_version(&*version.leak())
}

/// Writes text to stdout. A closed pipe is not a failure.
fn print(text: &str) -> Result<(), Exit> {
    match Output::Stdout.write_text(text) {
        Err(Error::Write { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Exit::Failed(error.to_string())),
    }
}
