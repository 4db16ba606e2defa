//! The command line: parses arguments, calls the library, and reports to the user.
//!
//! `args.rs` declares commands and flags. `pipeline_file.rs` loads a pipeline from a file
//! with the environment variables of `variables.rs`,
//! `one_line.rs` builds one from flags, of which
//! `aggregation_arg.rs`, `strategy_arg.rs` and `condition.rs` parse the longer ones, and
//! `toml_text.rs` prints it. `run.rs` runs it, and `report.rs` writes progress and the
//! summary to stderr. `loss.rs` judges what the run lost,
//! and `signals.rs` stops it. `formats.rs` finds the formats that no option names, and
//! `beyond_one_line.rs` the pipeline file for what one-line pipelines cannot do.
//! `describe.rs`, `describe_stage.rs` and `init.rs` implement `check`,
//! `explain` and `init`, and `completions.rs` implements `completions`. `names.rs` lists the values
//! of options that have names.

mod aggregation_arg;
mod args;
mod beyond_one_line;
mod completions;
mod condition;
mod describe;
mod describe_stage;
mod formats;
mod init;
mod loss;
mod names;
mod one_line;
mod pipeline_file;
mod report;
mod run;
mod signals;
mod strategy_arg;
mod toml_text;
mod variables;

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use stream_processor::spec::PipelineSpec;
use stream_processor::{Error, Output, module};

use args::{Cli, Command, EventArgs};
use one_line::OneLine;
use signals::Signal;

/// A failure of a command, with its exit code.
pub(crate) enum Exit {
    /// The run failed: exit code 1.
    Failed(String),
    /// The pipeline or the command line is invalid: exit code 2.
    Invalid(String),
    /// The run lost more of its input than it may: exit code 3. All rows are written.
    Lost(String),
    /// A signal stopped the run: exit code 130 or 143. What was read is written.
    Stopped(Signal),
}

/// Runs the command of the arguments.
pub(crate) fn main() -> ExitCode {
    let cli = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let code = match cli.map_or_else(usage, |cli| dispatch(cli.command)) {
        Ok(()) => 0,
        Err(Exit::Failed(message)) => failure(1, &message),
        Err(Exit::Invalid(message)) => failure(2, &message),
        Err(Exit::Lost(message)) => failure(3, &message),
        Err(Exit::Stopped(signal)) => signal.exit_code(),
    };
    // A message that could not be written must not look like a complete run.
    ExitCode::from(if report::message_was_lost() && matches!(code, 0 | 3) { 1 } else { code })
}

/// Prints the message of an error and returns its exit code.
fn failure(code: u8, message: &str) -> u8 {
    report::print_message(&format!("error: {message}"));
    code
}

/// Prints help or the version to stdout. For an invalid command line, prints its errors to stderr
/// and exits.
fn usage(error: clap::Error) -> Result<(), Exit> {
    // On a terminal, clap prints in colors.
    if error.use_stderr() {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        if let Some(file) = beyond_one_line::file(&error, &arguments) {
            let problem = error.render().to_string();
            let problem = problem.trim_start_matches("error: ").lines().next().unwrap_or_default();
            return Err(Exit::Invalid(format!(
                "{problem} on this command line; a pipeline file can do it, which \
                 `stream-processor run pipeline.toml` runs:\n\n{file}"
            )));
        }
    }
    if error.use_stderr() || io::stdout().is_terminal() {
        error.exit()
    }
    print(&error.render().to_string())
}

fn dispatch(command: Command) -> Result<(), Exit> {
    match command {
        Command::Run(arguments) => {
            let pipeline = pipeline_file::load_for_run(&arguments.file.pipeline, &arguments.io)?;
            run::run(pipeline, Some(&arguments.file.pipeline), &arguments.io)
        }
        Command::Window(mut arguments) => {
            // Errors of the command line come before the wait for input.
            one_line::window(&arguments)?;
            arguments.events.detect_format();
            run_one_line(one_line::window(&arguments)?, &arguments.events)
        }
        Command::Normalize(mut arguments) => {
            // Errors of the command line come before the wait for input.
            one_line::normalize(&arguments)?;
            arguments.events.detect_format();
            run_one_line(one_line::normalize(&arguments)?, &arguments.events)
        }
        Command::Dedup(mut arguments) => {
            // Errors of the command line come before the wait for input.
            one_line::dedup(&arguments)?;
            arguments.events.detect_format();
            run_one_line(one_line::dedup(&arguments)?, &arguments.events)
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
        Command::Completions { shell } => print(&completions::script(shell, &self::command())),
    }
}

/// Runs a one-line pipeline, or prints it as a pipeline file.
fn run_one_line(one_line: OneLine, events: &EventArgs) -> Result<(), Exit> {
    if events.print_pipeline {
        return print(&toml_text::pipeline(&one_line.spec));
    }
    run::run(one_line.pipeline, None, &events.io)
}

/// Returns the definition of the command line. `--version` also prints the module's digest and ABI.
fn command() -> clap::Command {
    let version = format!(
        "{}\nmodule sha256 {}\nmodule abi {}",
        env!("CARGO_PKG_VERSION"),
        module::SHA256,
        module::ABI_VERSION
    );
    Cli::command().long_version(version)
}

/// Writes text to stdout. A closed pipe is not a failure.
fn print(text: &str) -> Result<(), Exit> {
    match Output::Stdout.write_text(text) {
        Err(Error::Write { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Exit::Failed(error.to_string())),
    }
}
