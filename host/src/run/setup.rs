//! Setup of a run: checks the input, opens outputs, and opens an engine for each shard.

use stream_processor_core::Options;

use crate::error::Error;
use crate::io::{Output, Sink, Source, TextOutput, files};
use crate::pipeline::{EngineKind, Io, Pipeline, Settings};
use crate::runtime::{Instance, NativeEngine, Runtime, Worker};

/// The open outputs of a run.
pub(super) struct Outputs {
    pub(super) rows: Box<dyn Sink>,
    pub(super) dead_letter: Option<TextOutput>,
    pub(super) late: Option<TextOutput>,
}

/// Returns the source of a run and opens its outputs, after it has checked that every input exists, so that a missing input
/// leaves existing output files untouched.
pub(super) fn open_io(io: Io, pipeline: &Pipeline) -> Result<(Box<dyn Source>, Outputs), Error> {
    io.check_files(None, None)?;
    let source = io.input.into_source()?;
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
    Ok((source, outputs))
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
    let spec = pipeline.spec();
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
