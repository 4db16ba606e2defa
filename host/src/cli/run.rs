//! Runs a pipeline for `run`, `window`, `normalize` and `dedup`: applies flags to the pipeline's
//! inputs and outputs, runs it, and reports the result.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stream_processor::spec::PipelineSpec;
use stream_processor::{EngineKind, Input, Io, Output, Pipeline, Settings, StopHandle, Summary};

use super::Exit;
use super::args::{IoArgs, Runtime};
use super::loss::{self, Options};
use super::report::{self, Report};
use super::signals::Signals;

/// Runs `pipeline`, which was read from `file`, with the inputs, outputs and settings of the flags.
pub(crate) fn run(pipeline: Pipeline, file: Option<&Path>, arguments: &IoArgs) -> Result<(), Exit> {
    let spec = pipeline.spec();
    let io = Io {
        input: input(spec, arguments)?,
        output: output(spec, arguments)?,
        dead_letter: side_output(
            &arguments.dead_letter,
            spec.dead_letter.as_ref().map(|d| &*d.path),
        ),
        late: side_output(&arguments.late, spec.late.as_ref().map(|late| &*late.path)),
    };
    let summary_output = arguments.summary_json.as_deref().map(Output::of_path);
    io.check_files(file, summary_output.as_ref())
        .map_err(|error| Exit::Failed(error.to_string()))?;
    let settings = settings(arguments);
    let options = if file.is_some() { Options::File } else { Options::Flags };
    if let Some(reason) = pipeline.plan().one_shard
        && settings.shards.get() > 1
        && !arguments.quiet
    {
        report::print_message(&format!("note: --shards has no effect: {reason}"));
    }
    let mut report =
        Report::new(arguments.quiet, options, io.input.len_bytes(), writes_to_terminal(&io));
    let stop = StopHandle::default();
    let signals = Signals::stopping(stop.clone())
        .map_err(|error| Exit::Failed(format!("cannot wait for signals: {error}")))?;
    let result = pipeline.run_until_stopped(io, &settings, &mut report, &stop);
    report.finish();
    let (summary, error) = match result {
        Ok(summary) => (summary, None),
        Err(failure) => (failure.summary, Some(failure.error)),
    };
    let written = summary_output.map_or(Ok(()), |output| write_summary(output, &summary));
    match error {
        Some(error) => {
            if let Err(Exit::Failed(message)) = written {
                report::print_message(&format!("error: {message}"));
            }
            Err(Exit::Failed(error.to_string()))
        }
        None => {
            written?;
            end(&summary, &signals, options, arguments)
        }
    }
}

/// Prints the counters of a run without an error, and returns its result: what it lost, and whether
/// a signal stopped it.
fn end(
    summary: &Summary,
    signals: &Signals,
    options: Options,
    arguments: &IoArgs,
) -> Result<(), Exit> {
    let signal = signals.received().filter(|_| !summary.complete);
    let prints = !arguments.quiet && (summary.complete || signal.is_some());
    if prints {
        report::print_message(&report::sentence(summary));
        report::partitions(summary).iter().for_each(|line| report::print_message(line));
    }
    let loss = loss::message(summary, options);
    if let Some(signal) = signal {
        if prints {
            loss.iter().for_each(|loss| report::print_message(&format!("warning: {loss}")));
            let open = if arguments.finish_on_signal {
                "open windows were fired"
            } else {
                "open windows gave no rows, --finish-on-signal fires them"
            };
            report::print_message(&format!("stopped by {}: {open}", signal.name()));
        }
        return Err(Exit::Stopped(signal));
    }
    match loss.filter(|_| summary.complete) {
        Some(loss) if loss::exceeds(summary, arguments.max_lost) => Err(Exit::Lost(loss)),
        Some(loss) if prints => {
            report::print_message(&format!("warning: {loss}"));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn settings(arguments: &IoArgs) -> Settings {
    let mut settings = Settings::default();
    settings.shards = NonZeroUsize::new(usize::from(arguments.shards)).unwrap_or(NonZeroUsize::MIN);
    settings.batch_events = arguments.batch_events;
    settings.memory_limit_bytes = arguments.memory_limit;
    settings.call_deadline =
        Duration::from_micros(arguments.call_deadline.as_micros().unsigned_abs());
    settings.strict = arguments.strict;
    settings.finish_on_stop = arguments.finish_on_signal;
    settings.engine = match arguments.runtime {
        Runtime::Module => EngineKind::Module,
        Runtime::Native => EngineKind::Native,
    };
    settings
}

fn input(spec: &PipelineSpec, arguments: &IoArgs) -> Result<Input, Exit> {
    match arguments.inputs() {
        paths if paths.is_empty() => {
            Input::of(spec).map_err(|error| Exit::Invalid(error.to_string()))
        }
        paths => Input::of_paths(paths)
            .map_err(|error| Exit::Invalid(format!("--input: {}", error.message()))),
    }
}

fn output(spec: &PipelineSpec, arguments: &IoArgs) -> Result<Output, Exit> {
    match &arguments.output {
        Some(path) => Ok(Output::of_path(path)),
        None => Output::of(spec).map_err(|error| Exit::Invalid(error.to_string())),
    }
}

fn side_output(flag: &Option<PathBuf>, in_file: Option<&str>) -> Option<Output> {
    flag.as_deref().or(in_file.map(Path::new)).map(Output::of_path)
}

/// Returns whether an output is a terminal, where a progress bar would mix with its lines.
fn writes_to_terminal(io: &Io) -> bool {
    let is_stdout = |output: &Output| matches!(output, Output::Stdout);
    let outputs = [Some(&io.output), io.dead_letter.as_ref(), io.late.as_ref()];
    outputs.into_iter().flatten().any(is_stdout)
        && std::io::IsTerminal::is_terminal(&std::io::stdout())
}

fn write_summary(output: Output, summary: &Summary) -> Result<(), Exit> {
    let json = match serde_json::to_string_pretty(summary) {
        Ok(json) => json + "\n",
        Err(error) => return Err(Exit::Failed(format!("cannot write the summary: {error}"))),
    };
    match output {
        Output::Stdout => super::print(&json),
        output => output.write_text(&json).map_err(|error| Exit::Failed(error.to_string())),
    }
}
