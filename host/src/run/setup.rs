//! What a run needs before it begins: inputs that are there, outputs that are open, engines.

use stream_processor_core::Options;

use super::files;
use super::input::Part;
use super::output::{Output, TextSink};
use super::pipeline::{EngineKind, Io, Pipeline, Settings};
use crate::error::Error;
use crate::runtime::{Instance, NativeEngine, Runtime, Worker};

/// The outputs of a run, open.
pub(super) struct Sinks {
    pub(super) rows: TextSink,
    pub(super) dead_letter: Option<TextSink>,
    pub(super) late: Option<TextSink>,
}

/// Opens everything that is written, once everything that is read is known to be there.
pub(super) fn open(io: Io) -> Result<(Vec<Part>, Sinks), Error> {
    io.check_files(None, None)?;
    let inputs = io.input.into_parts()?;
    // Late events that go where the dead letters go are dead letters.
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
    /// One for each shard.
    pub(super) workers: Vec<Box<dyn Worker>>,
    /// What the module's instances live in.
    pub(super) runtime: Option<Runtime>,
}

/// Opens an engine for each shard.
pub(super) fn engines(
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
