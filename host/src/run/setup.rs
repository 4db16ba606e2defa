//! Setup of a run: checks inputs, opens outputs, and opens an engine for each shard.

use stream_processor_core::Options;

use crate::error::Error;
use crate::io::files;
use crate::io::input::InputSource;
use crate::io::output::{Output, TextSink};
use crate::pipeline::{EngineKind, Io, Pipeline, Settings};
use crate::runtime::{Instance, NativeEngine, Runtime, Worker};

/// The open outputs of a run.
pub(super) struct Sinks {
    pub(super) rows: TextSink,
    pub(super) dead_letter: Option<TextSink>,
    pub(super) late: Option<TextSink>,
}

/// Opens the outputs of a run after it has checked that every input exists, so that a missing input
/// leaves existing output files untouched.
pub(super) fn open_outputs(io: Io) -> Result<(Vec<InputSource>, Sinks), Error> {
    io.check_files(None, None)?;
    let inputs = io.input.into_sources()?;
    // If both go to one file, late events are written as dead letters.
    let dead_letter = io.dead_letter.as_ref();
    let late = io.late.filter(|late| {
        dead_letter.is_none_or(|dead_letter| !files::is_same_output(late, dead_letter))
    });
    let sinks = Sinks {
        rows: io.output.open()?,
        dead_letter: io.dead_letter.map(Output::open).transpose()?,
        late: late.map(Output::open).transpose()?,
    };
    Ok((inputs, sinks))
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
                Box::new(Instance::open(runtime, spec, options, settings.memory_limit_bytes)?)
            }
            None => Box::new(NativeEngine::open(spec, options)?),
        });
    }
    Ok(Engines { workers, runtime })
}
