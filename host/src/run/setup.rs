//! Setup of a run: checks the input, opens the shared store and outputs, and opens an engine for
//! each shard.

use stream_processor_core::Options;

use crate::error::Error;
use crate::io::{Output, Sink, Source, TextOutput, files};
use crate::pipeline::{EngineKind, Io, Pipeline, Settings};
use crate::runtime::{Instance, NativeEngine, Runtime, Worker};
use crate::shared_dedup::{ReplayableInput, SharedDedup};

/// The open outputs of a run.
pub(super) struct Outputs {
    pub(super) rows: Box<dyn Sink>,
    pub(super) dead_letter: Option<TextOutput>,
    pub(super) late: Option<TextOutput>,
}

/// Everything outside of the program that a run is connected to.
pub(super) struct Connections {
    pub(super) source: Box<dyn Source>,
    /// The store of the first stage, if it is shared.
    pub(super) shared: Option<SharedDedup>,
    pub(super) outputs: Outputs,
}

/// Opens the source, the shared store and the outputs of a run, in this order: a missing input and
/// a store that is away leave existing output files untouched.
pub(super) fn connect(io: Io, pipeline: &Pipeline) -> Result<Connections, Error> {
    io.check_files(None, None)?;
    let replayable = pipeline
        .shared_stage()
        .map(|stage| (stage, ReplayableInput::of(&io.input, stage.reader())));
    let source = io.input.into_source()?;
    let shared = replayable.map(|(stage, input)| SharedDedup::open(stage, input)).transpose()?;
    // If both go to one file, late events are written as dead letters.
    let dead_letter = io.dead_letter.as_ref();
    let late = io.late.filter(|late| {
        dead_letter.is_none_or(|dead_letter| !files::is_same_output(late, dead_letter))
    });
    let outputs = Outputs {
        rows: io.output.into_sink(pipeline.spec())?,
        dead_letter: io.dead_letter.map(Output::open).transpose()?,
        late: late.map(Output::open).transpose()?,
    };
    Ok(Connections { source, shared, outputs })
}

/// The engines of a run.
pub(super) struct Engines {
    /// One engine for each shard.
    pub(super) workers: Vec<Box<dyn Worker>>,
    /// The runtime of the module's instances; `None` for native engines.
    pub(super) runtime: Option<Runtime>,
}

/// Opens an engine for each shard.
pub(super) fn open_engines(
    pipeline: &Pipeline,
    settings: &Settings,
    shards: usize,
    report_drops: bool,
) -> Result<Engines, Error> {
    let options = Options { table_seed: settings.table_seed, report_drops, ..Options::default() };
    let spec = pipeline.engine_spec();
    let runtime = match settings.engine {
        EngineKind::Module => Some(Runtime::new()?),
        EngineKind::Native => None,
    };
    let mut workers: Vec<Box<dyn Worker>> = Vec::with_capacity(shards);
    for _ in 0..shards {
        workers.push(match &runtime {
            Some(runtime) => {
                let limit_bytes = settings.memory_limit_bytes;
                let mut instance = Instance::open(runtime, spec, options, limit_bytes)?;
                instance.set_call_deadline(settings.call_deadline);
                Box::new(instance)
            }
            None => Box::new(NativeEngine::open(spec, options)?),
        });
    }
    Ok(Engines { workers, runtime })
}
