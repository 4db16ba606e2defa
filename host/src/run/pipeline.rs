//! The pipeline as a user of this crate sees it.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::time::Instant;

use stream_processor_core::spec::{Format, SinkType, SourceType};
use stream_processor_core::{PipelineSpec, Plan, SpecError};

use super::input::Input;
use super::observe::Observer;
use super::output::Output;
use super::summary::Summary;
use super::tally::Tally;
use super::threads;
use crate::error::Error;
use crate::runtime::DEFAULT_MEMORY_LIMIT_BYTES;

/// Events that are handed to the module at once, unless set otherwise.
pub const DEFAULT_BATCH_EVENTS: NonZeroUsize = NonZeroUsize::new(8192).unwrap();

/// A pipeline that has been checked as a whole and can be run.
#[derive(Debug, Clone)]
pub struct Pipeline {
    spec: PipelineSpec,
    plan: Plan,
}

/// How a pipeline is run. Nothing of it changes a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Threads to split the keys over, each with an instance of its own. A pipeline that does not keep the keys of its
    /// source apart runs in one, whatever this says.
    pub shards: NonZeroUsize,
    /// Events that are handed over at once.
    pub batch_events: NonZeroUsize,
    /// Bytes of memory that each instance may have.
    pub memory_limit_bytes: usize,
    /// What runs the pipeline.
    pub engine: EngineKind,
    /// Whether the first bad line ends the run.
    pub strict: bool,
    /// Seeds hash tables: random unless set, since a known seed invites keys that collide.
    pub table_seed: u64,
}

/// What runs a pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The WebAssembly module, in wasmtime.
    #[default]
    Module,
    /// The engine compiled into this program; only to compare.
    Native,
}

/// What a run reads and writes.
pub struct Io {
    /// Where events come from.
    pub input: Input,
    /// Where rows go.
    pub output: Output,
    /// Where refused events go.
    pub dead_letter: Option<Output>,
    /// Where late events go; without it they go to the dead letters.
    pub late: Option<Output>,
}

/// A run that came to a bad end. What it had made before is written.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Why.
    #[source]
    pub error: Error,
    /// What was counted until then.
    pub summary: Summary,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: NonZeroUsize::MIN,
            batch_events: DEFAULT_BATCH_EVENTS,
            memory_limit_bytes: DEFAULT_MEMORY_LIMIT_BYTES,
            engine: EngineKind::default(),
            strict: false,
            table_seed: RandomState::new().hash_one(0),
        }
    }
}

/// Paths stand where the types say that there are files, and nowhere else.
fn check_paths(spec: &PipelineSpec) -> Result<(), SpecError> {
    let paths = [
        ("source.path", spec.source.r#type == SourceType::File, !spec.source.path.0.is_empty()),
        ("sink.path", spec.sink.r#type == SinkType::File, spec.sink.path.is_some()),
    ];
    for (field, is_needed, is_there) in paths {
        match (is_needed, is_there) {
            (true, false) => {
                return Err(SpecError::new(field, "missing: `type = \"file\"` needs it"));
            }
            (false, true) => {
                let unused = "it would not be used: `type = \"file\"` is missing";
                return Err(SpecError::new(field, unused));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Events that pass as they came cannot become records.
fn check_passing(spec: &PipelineSpec, plan: &Plan) -> Result<(), SpecError> {
    let from_objects = spec.source.format == Format::Ndjson && spec.sink.format == Format::Csv;
    if plan.output.passes_events && from_objects {
        let message = "csv: these stages pass events as they came, and those are ndjson";
        return Err(SpecError::new("sink.format", message));
    }
    Ok(())
}

impl Pipeline {
    /// Checks a description as a whole.
    ///
    /// # Errors
    /// [`Error::Spec`] for what does not fit together, and for paths that are missing or would not be used.
    pub fn new(spec: PipelineSpec) -> Result<Self, Error> {
        let plan = Plan::new(&spec)?;
        check_paths(&spec)?;
        check_passing(&spec, &plan)?;
        Ok(Self { spec, plan })
    }

    /// The description.
    #[must_use]
    pub fn spec(&self) -> &PipelineSpec {
        &self.spec
    }

    /// What the engine makes of it: the columns that it reads and writes.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The shards that a run with these settings really has.
    #[must_use]
    pub fn shards(&self, settings: &Settings) -> NonZeroUsize {
        if self.plan.partitioned_by_key { settings.shards } else { NonZeroUsize::MIN }
    }

    /// Runs the pipeline until its input ends, or whoever reads its rows has gone.
    ///
    /// # Errors
    /// [`Failure`], with what was counted until then.
    ///
    /// ```
    /// use processor::{Input, Io, Output, Pipeline, Settings, spec::PipelineSpec};
    ///
    /// let spec = PipelineSpec::from_toml(r#"
    ///     [source]
    ///     value = "ms"
    ///     [[stages]]
    ///     type = "window"
    ///     window = "tumbling"
    ///     size = "1m"
    ///     aggregations = ["count", "avg"]
    /// "#)?;
    /// let events = &b"{\"ts\": 0, \"ms\": 1}\n{\"ts\": 59000, \"ms\": 2}\n"[..];
    /// let io = Io {
    ///     input: Input::Reader("events".into(), Box::new(events)),
    ///     output: Output::Stdout,
    ///     dead_letter: None,
    ///     late: None,
    /// };
    /// let summary = Pipeline::new(spec)?.run(io, &Settings::default(), &mut ())?;
    /// assert_eq!((summary.events, summary.rows), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(
        &self,
        io: Io,
        settings: &Settings,
        observer: &mut dyn Observer,
    ) -> Result<Summary, Box<Failure>> {
        let begun = Instant::now();
        let mut tally = Tally::default();
        let shards = self.shards(settings).get();
        let ended = threads::run(self, io, settings, shards, observer, &mut tally);
        let mut summary = Summary::new(&tally, ended.counters);
        summary.shards = shards;
        summary.elapsed_seconds = begun.elapsed().as_secs_f64();
        summary.complete = matches!(ended.result, Ok(true));
        match ended.result {
            Ok(_) => Ok(summary),
            Err(error) => Err(Box::new(Failure { error, summary })),
        }
    }
}
