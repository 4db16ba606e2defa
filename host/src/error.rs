//! Errors of the host, each with a stable code.

use std::io;

use processor::state::StateError;
use stream_processor_core::spec::SpecError;
use stream_processor_core::text::HeaderError;
use stream_processor_core::{Escaped, LimitReached, RejectReason};

/// An error of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pipeline description is invalid.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// An input cannot be opened or read.
    #[error("cannot read {}: {source}", Escaped(name))]
    Read {
        /// The path, or `stdin`.
        name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// An output cannot be created or written.
    #[error("cannot write {}: {source}", Escaped(name))]
    Write {
        /// The path, or `stdout`.
        name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A bad line ended a strict run.
    #[error("{}:{line}: {reason}: {detail} (the run is strict and ends here)", Escaped(input))]
    BadLine {
        /// The path, or `stdin`.
        input: String,
        /// The line in the input, from 1.
        line: u64,
        /// The reason, as counted in the summary.
        reason: RejectReason,
        /// The message: the field, what was found there, and what was expected.
        detail: String,
    },
    /// The header of a CSV input does not fit the pipeline.
    #[error("{}: {message}", Escaped(input))]
    Header {
        /// The path, or `stdin`.
        input: String,
        /// The message of the reader.
        message: String,
    },
    /// The engine refused a call.
    #[error("{message}")]
    Engine {
        /// The code of the engine's error.
        code: String,
        /// The message of the engine's error.
        message: String,
    },
    /// An event would exceed a limit whose policy is `refuse`. Earlier events are processed.
    #[error("{0}")]
    LimitReached(LimitReached),
    /// The module needed more memory than the limit of an instance.
    #[error(
        "the module needs more than its {limit_bytes} bytes of memory: raise --memory-limit, use more --shards, or bound \
         the state under [limits]"
    )]
    MemoryLimit {
        /// The limit of one instance, in bytes.
        limit_bytes: usize,
    },
    /// A call into the module exceeded its deadline.
    #[error(
        "the module was stopped, because its function `{call}` ran longer than {seconds} s; the state of this instance \
         is lost: use more --shards, bound the state under [limits], or raise --call-deadline"
    )]
    Deadline {
        /// The function that was called.
        call: &'static str,
        /// The deadline of one call, in seconds.
        seconds: u64,
    },
    /// The module trapped, which is a defect of this program. The state of its instance is lost.
    #[error(
        "the module failed in its function `{call}`: {reason}; the state of this instance is lost. This is a defect of \
         the program, please report it"
    )]
    Trap {
        /// The function that was called.
        call: &'static str,
        /// The trap, as wasmtime names it.
        reason: String,
    },
    /// An instance was used after a trap.
    #[error(
        "this instance of the module is unusable, because an earlier call failed and its state is lost: open another \
         instance and restore a snapshot"
    )]
    Poisoned,
    /// The module cannot be compiled or instantiated, or has another ABI version than this program.
    #[error("the module cannot be used: {0}")]
    Module(String),
    /// A thread of the run panicked, which is a defect of this program.
    #[error(
        "the {0} thread of the run ended without a result. This is a defect of the program, please report it"
    )]
    Thread(&'static str),
    /// A thread of the run cannot be started.
    #[error("cannot start the {name} thread of the run: {source}")]
    ThreadStart {
        /// The name of the thread.
        name: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// CSV events pass to one output, but the headers of their inputs differ.
    #[error(
        "sink.format: the inputs have different CSV headers, but a CSV output has only one: use inputs with the same \
         header, or format = \"ndjson\""
    )]
    Headers,
    /// The store of a shared `dedup` stage failed. Neither text nor debug form contains a password.
    #[error("stages[0].shared: {source}{}", advice(source))]
    SharedStore {
        /// The error of the store.
        #[from]
        source: StateError,
    },
}

/// Returns what to do about the failure of a shared store.
fn advice(error: &StateError) -> &'static str {
    if error.is_temporary() {
        "; start the run again when the store works, or let events pass unchecked meanwhile with \
         on_unavailable = \"best_effort\""
    } else {
        ""
    }
}

impl Error {
    /// Returns the code of the error, a short name that never changes.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Spec(_) => "invalid_pipeline",
            Self::Read { .. } => "read_failed",
            Self::Write { .. } => "write_failed",
            Self::BadLine { .. } => "bad_line",
            Self::Header { .. } => "invalid_header",
            Self::Engine { code, .. } => code,
            Self::LimitReached(_) => "limit_reached",
            Self::MemoryLimit { .. } => "memory_limit",
            Self::Deadline { .. } => "deadline",
            Self::Trap { .. } => "trap",
            Self::Poisoned => "poisoned",
            Self::Module(_) => "module_unusable",
            Self::Thread(_) | Self::ThreadStart { .. } => "thread_failed",
            Self::Headers => "different_headers",
            Self::SharedStore { source } => source.code(),
        }
    }

    /// Returns whether a limit with the policy `refuse` ended the call.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self, Self::LimitReached(_))
    }

    /// Creates an error from one of wasmtime.
    pub(crate) fn module(error: wasmtime::Error) -> Self {
        Self::Module(format!("{error:#}"))
    }

    /// Creates an error of a CSV header.
    pub(crate) fn header(input: impl Into<String>, error: &HeaderError) -> Self {
        Self::Header { input: input.into(), message: error.to_string() }
    }

    /// Creates an error of an input.
    pub(crate) fn read(name: impl Into<String>, source: io::Error) -> Self {
        Self::Read { name: name.into(), source }
    }

    /// Creates an error of a stored position whose input does not exist.
    pub(crate) fn no_such_input(name: impl Into<String>, input: usize, inputs: usize) -> Self {
        let message = format!(
            "the stored position is in input {input} (from 0), but there are {inputs} inputs"
        );
        Self::read(name, io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// Creates an error of an output.
    pub(crate) fn write(name: impl Into<String>, source: io::Error) -> Self {
        Self::Write { name: name.into(), source }
    }
}

impl From<stream_processor_core::Error> for Error {
    fn from(error: stream_processor_core::Error) -> Self {
        match error {
            stream_processor_core::Error::LimitReached(limit) => Self::LimitReached(limit),
            error => Self::Engine { code: error.code().to_owned(), message: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_names_are_escaped() {
        let error = Error::read("a\nerror: \u{1b}[2J b", io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "cannot read a\\nerror: \\u{1b}[2J b: entity not found");
    }
}
