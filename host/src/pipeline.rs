//! The public API of a run: [`Pipeline`], its [`Settings`], and the [`Io`] it connects.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use stream_processor_core::spec::{Format, SinkType, SourceType};
use stream_processor_core::text::{Reader, ReaderOptions};
use stream_processor_core::{PipelineSpec, Plan, SpecError};

use crate::error::Error;
use crate::io::{Input, Output};
use crate::module::limits::{CALL_DEADLINE, DEFAULT_MEMORY_LIMIT_BYTES};
use crate::run::threads::{self, Completion};
use crate::run::{Observer, RunProgress, StopHandle, Summary};
use crate::shared_dedup::SharedStage;
use crate::time_form::TimeForm;
use crate::time_zones;

/// The default number of events in one batch for the engine.
pub const DEFAULT_BATCH_EVENTS: NonZeroUsize = NonZeroUsize::new(8192).unwrap();

/// A checked pipeline that can be run.
#[derive(Debug, Clone)]
pub struct Pipeline {
    spec: PipelineSpec,
    plan: Plan,
    /// The form of event times that only the host reads.
    time_form: Option<TimeForm>,
    /// The first stage, if its identities are in a shared store.
    shared: Option<SharedStage>,
}

/// Settings of a run. They do not change the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The number of threads that keys are split over, each with its own instance. A pipeline whose
    /// keys are not independent runs in one shard; see [`Pipeline::shards`].
    pub shards: NonZeroUsize,
    /// The number of events in one batch for the engine.
    pub batch_events: NonZeroUsize,
    /// Maximum bytes of memory of each instance.
    pub memory_limit_bytes: usize,
    /// Maximum time of one call into the module. Calls do about 10 ms of work each.
    pub call_deadline: Duration,
    /// The engine that runs the pipeline.
    pub engine: EngineKind,
    /// True if the first bad line ends the run.
    pub strict: bool,
    /// True if a run that is stopped fires its open windows.
    pub finish_on_stop: bool,
    /// The seed of hash tables. Random by default, because a known seed allows attacks with
    /// colliding keys.
    pub table_seed: u64,
}

/// The engine that runs a pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The WebAssembly module in wasmtime.
    #[default]
    Module,
    /// The engine compiled into this program, for comparison.
    Native,
}

/// The input and the outputs of a run.
pub struct Io {
    /// The source of events.
    pub input: Input,
    /// The output of rows.
    pub output: Output,
    /// The output of dead letters: refused lines and dropped events.
    pub dead_letter: Option<Output>,
    /// The output of late events. If `None`, they go to the dead letters.
    pub late: Option<Output>,
}

/// A failed run. Rows made before the failure are written.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// The reason.
    #[source]
    pub error: Error,
    /// The counters until the failure.
    pub summary: Summary,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: NonZeroUsize::MIN,
            batch_events: DEFAULT_BATCH_EVENTS,
            memory_limit_bytes: DEFAULT_MEMORY_LIMIT_BYTES,
            call_deadline: CALL_DEADLINE,
            engine: EngineKind::default(),
            strict: false,
            finish_on_stop: false,
            table_seed: RandomState::new().hash_one(0),
        }
    }
}

/// Checks that `source.path` and `sink.path` are given exactly if the type is `file`.
fn check_paths(spec: &PipelineSpec) -> Result<(), SpecError> {
    let paths = [
        ("source.path", spec.source.r#type == SourceType::File, !spec.source.path.0.is_empty()),
        ("sink.path", spec.sink.r#type == SinkType::File, spec.sink.path.is_some()),
    ];
    for (field, is_needed, is_given) in paths {
        match (is_needed, is_given) {
            (true, false) => {
                return Err(SpecError::new(
                    field,
                    "missing: type = \"file\" needs the path of a file",
                ));
            }
            (false, true) => {
                let unused = "unused: only type = \"file\" reads or writes a path, so set the type or \
                              remove the path";
                return Err(SpecError::new(field, unused));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks that NDJSON events that pass unchanged are not to be written as CSV.
fn check_passing(spec: &PipelineSpec, plan: &Plan) -> Result<(), SpecError> {
    let from_objects = spec.source.format == Format::Ndjson && spec.sink.format == Format::Csv;
    if plan.output.passes_events && from_objects {
        let message = "\"csv\" is not possible, because these stages pass events as they came and the \
                       events are ndjson: use format = \"ndjson\"";
        return Err(SpecError::new("sink.format", message));
    }
    Ok(())
}

impl Pipeline {
    /// Checks a description as a whole and plans it.
    ///
    /// # Errors
    /// [`Error::Spec`] if options contradict each other, or a path is missing or would not be used.
    pub fn new(mut spec: PipelineSpec) -> Result<Self, Error> {
        let time_form = TimeForm::take(&mut spec.source)?;
        time_zones::resolve(&mut spec)?;
        let (shared, plan) = SharedStage::plan(&spec)?;
        check_paths(&spec)?;
        check_passing(&spec, &plan)?;
        Ok(Self { spec, plan, time_form, shared })
    }

    /// Returns the description, without the options of event times that only the host reads.
    #[must_use]
    pub fn spec(&self) -> &PipelineSpec {
        &self.spec
    }

    /// Returns a reader of the pipeline's input.
    pub(crate) fn reader(&self, table_seed: u64) -> Reader {
        let options = ReaderOptions { table_seed, ..ReaderOptions::of(&self.spec) };
        let mut reader = Reader::new(&self.plan.input, options);
        reader.read_as_null(self.spec.source.null.0.iter().map(String::as_str));
        reader.filter_first(&self.plan);
        if let Some(form) = &self.time_form {
            reader.read_times_by(Box::new(form.clone()));
        }
        reader
    }

    /// Returns the form of event times in words, if only the host reads them.
    #[must_use]
    pub fn time_form(&self) -> Option<String> {
        self.time_form.as_ref().map(TimeForm::to_string)
    }

    /// Returns whether event times that are numbers count in `source.timestamp_unit`.
    pub(crate) fn reads_time_unit(&self) -> bool {
        self.time_form.as_ref().is_none_or(|form| !form.has_format())
    }

    /// Returns the description of the pipeline that the engine runs, which knows no shared store.
    pub(crate) fn engine_spec(&self) -> &PipelineSpec {
        self.shared.as_ref().map_or(&self.spec, SharedStage::engine_spec)
    }

    /// Returns the first stage, if its identities are in a shared store.
    pub(crate) fn shared_stage(&self) -> Option<&SharedStage> {
        self.shared.as_ref()
    }

    /// Returns the name of the shared store of the first stage, if it has one: the kind, and the
    /// address or path. It contains no user or password.
    #[must_use]
    pub fn shared_store(&self) -> Option<String> {
        self.shared.as_ref().map(SharedStage::store_name)
    }

    /// Returns the plan: the columns that the engine reads and writes, and its stages.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the number of shards of a run: `settings.shards`, or 1 if keys are not independent.
    #[must_use]
    pub fn shards(&self, settings: &Settings) -> NonZeroUsize {
        if self.plan.partitioned_by_key { settings.shards } else { NonZeroUsize::MIN }
    }

    /// Runs the pipeline until its input ends, or the reader of its rows closes its end of the
    /// pipe.
    ///
    /// # Errors
    /// [`Failure`], with the counters until then.
    ///
    /// ```
    /// use stream_processor::{Input, Io, Output, Pipeline, Settings, spec::PipelineSpec};
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
        self.run_until_stopped(io, settings, observer, &StopHandle::default())
    }

    /// Runs the pipeline as [`Pipeline::run`] does, until `stop` stops it. A stopped run writes the
    /// rows of all events that it has read. Open windows fire only with
    /// [`Settings::finish_on_stop`].
    ///
    /// # Errors
    /// [`Failure`], with the counters until then.
    pub fn run_until_stopped(
        &self,
        io: Io,
        settings: &Settings,
        observer: &mut dyn Observer,
        stop: &StopHandle,
    ) -> Result<Summary, Box<Failure>> {
        let start = Instant::now();
        let mut progress = RunProgress::default();
        let shards = self.shards(settings).get();
        let end = threads::run(self, io, settings, shards, observer, &mut progress, stop);
        let mut summary = Summary::new(&self.spec, &progress, end.stats);
        summary.shards = shards;
        summary.elapsed_seconds = start.elapsed().as_secs_f64();
        summary.complete = matches!(end.result, Ok(Completion::Complete));
        match end.result {
            Ok(_) => Ok(summary),
            Err(error) => Err(Box::new(Failure { error, summary })),
        }
    }
}
