//! Starts the threads of a run and joins them at its end.

use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::thread::{self, JoinHandle};

use stream_processor_core::Stats;
use stream_processor_core::watermark::Generator;

use super::dead_letter::DeadLetterWriter;
use super::first_times::FirstTimes;
use super::merge::Merger;
use super::parser::{KeptText, Parser, ParserStop, ReadEnd, Receivers};
use super::progress::{Observer, RunProgress};
use super::reader::InputReader;
use super::setup::{self, Connections};
use super::shard::{Shard, ShardResult};
use super::split::Splitter;
use super::stop::StopHandle;
use super::tick_timer::TickTimer;
use super::writer::{Writer, WriterEnd};
use crate::error::Error;
use crate::module::runtime::Runtime;
use crate::pipeline::{Io, Pipeline, Settings};
use crate::shared_dedup::SharedDedup;

/// Batches that may wait for a shard.
const BATCHES_AHEAD: usize = 3;

/// Chunks of rows of each shard that may wait for the writer.
const CHUNKS_AHEAD: usize = 8;

/// The end of a run.
pub(crate) struct RunEnd {
    pub(crate) stats: Stats,
    pub(crate) result: Result<Completion, Error>,
}

/// The end of a run without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completion {
    /// All input was read and all rows were written.
    Complete,
    /// The run was stopped. What it had read is written.
    Stopped,
    /// The run ended early, because the reader of its rows closed its end of the pipe.
    OutputClosed,
}

/// Runs a pipeline to its end: the parser on this thread, and a reader, the shards and a writer on
/// threads of their own.
pub(crate) fn run(
    pipeline: &Pipeline,
    io: Io,
    settings: &Settings,
    shards: usize,
    observer: &mut dyn Observer,
    progress: &mut RunProgress,
    stop: &StopHandle,
) -> RunEnd {
    match start(pipeline, io, settings, shards, progress) {
        Ok(threads) => {
            stop.set_waker(threads.input.stop_waker());
            threads.parse_and_join(pipeline, settings, observer, progress, stop)
        }
        Err(error) => RunEnd { stats: Stats::default(), result: Err(error) },
    }
}

/// The threads of a run other than the parser's, and what the parser needs to feed them.
struct RunningThreads {
    kept_text: KeptText,
    input: InputReader,
    receivers: Receivers,
    tick_timer: Option<TickTimer>,
    shared: Option<SharedDedup>,
    shards: Vec<JoinHandle<Result<ShardResult, Error>>>,
    writer: JoinHandle<Result<WriterEnd, Error>>,
    /// Advances the clock of the module's call deadlines while it lives.
    _runtime: Option<Runtime>,
}

fn start(
    pipeline: &Pipeline,
    io: Io,
    settings: &Settings,
    shards: usize,
    progress: &RunProgress,
) -> Result<RunningThreads, Error> {
    let passes_events = pipeline.plan().output.passes_events;
    let kept_text = KeptText {
        refused: io.dead_letter.is_some(),
        events: io.dead_letter.is_some() || io.late.is_some() || passes_events,
        events_are_rows: passes_events,
    };
    let report_drops = io.dead_letter.is_some() || io.late.is_some();
    let Connections { source, shared, outputs } = setup::connect(io, pipeline)?;
    let engines = setup::open_engines(pipeline, settings, shards, report_drops)?;
    let input = InputReader::start(source, Arc::clone(&progress.bytes))?;
    // A pipeline that depends on the time of day has one shard.
    let tick_timer = pipeline.plan().goes_by_host_time.then(|| input.tick_timer());
    let (to_writer, logs) = sync_channel(BATCHES_AHEAD);
    let (recycle, recycled) = channel();
    let mut receivers = Receivers { shards: Vec::new(), writer: to_writer, recycled };
    let (mut shard_threads, mut shard_outputs) = (Vec::new(), Vec::new());
    for worker in engines.workers {
        let (to_shard, receive) = sync_channel(BATCHES_AHEAD);
        let (send, from_shard) = sync_channel(CHUNKS_AHEAD);
        let recycled = recycle.clone();
        let tick_timer = tick_timer.clone();
        let dropped = Vec::new();
        let shard = Shard { worker, receive, send, recycled, report_drops, tick_timer, dropped };
        receivers.shards.push(to_shard);
        shard_outputs.push(from_shard);
        shard_threads.push(spawn("shard", || shard.run())?);
    }
    let writer = Writer {
        logs,
        merger: Merger::new(shard_outputs, &pipeline.plan().output),
        schema: pipeline.plan().output.clone(),
        sink: outputs.rows,
        batches: 0,
        dead_letters: DeadLetterWriter::new(outputs.dead_letter, outputs.late, pipeline.spec()),
    };
    let wake_parser = input.writer_ended_waker();
    let writer = spawn("writer", move || {
        let end = writer.run();
        wake_parser();
        end
    })?;
    Ok(RunningThreads {
        kept_text,
        input,
        receivers,
        tick_timer,
        shared,
        shards: shard_threads,
        writer,
        _runtime: engines.runtime,
    })
}

impl RunningThreads {
    /// Runs the parser to its end, then joins the other threads.
    fn parse_and_join(
        mut self,
        pipeline: &Pipeline,
        settings: &Settings,
        observer: &mut dyn Observer,
        progress: &mut RunProgress,
        stop: &StopHandle,
    ) -> RunEnd {
        let spec = pipeline.spec();
        let schema = &pipeline.plan().input;
        let parser = Parser {
            schema,
            text_reader: pipeline.reader(settings.table_seed),
            first_times: FirstTimes::new(pipeline),
            batch_events: settings.batch_events.get().min(spec.limits.max_batch_events as usize),
            strict: settings.strict,
            stop,
            finish_on_stop: settings.finish_on_stop,
            kept_text: self.kept_text,
            input: self.input,
            splitter: Splitter::new(schema, Generator::new(spec)),
            receivers: self.receivers,
            tick_timer: self.tick_timer,
            shared: self.shared.as_mut(),
            observer,
            progress,
        };
        // When the parser ends, its channels to the shards close; then theirs to the writer.
        let parsed = parser.run();
        let end = join(parsed, self.shards, self.writer);
        match (&self.shared, &end.result) {
            (Some(shared), Ok(Completion::Complete)) => {
                RunEnd { result: shared.complete().map(|()| Completion::Complete), ..end }
            }
            _ => end,
        }
    }
}

/// Joins all threads. If several have failed, the result is the error of a shard, else of the
/// writer, else of the parser, because a failed thread makes those before it fail to send.
fn join(
    parsed: Result<ReadEnd, ParserStop>,
    shards: Vec<JoinHandle<Result<ShardResult, Error>>>,
    writer: JoinHandle<Result<WriterEnd, Error>>,
) -> RunEnd {
    let mut stats = Stats::default();
    let mut shard_error = None;
    for shard in shards {
        match shard.join().unwrap_or(Err(Error::Thread("shard"))) {
            Ok(result) => {
                stats.add(&result.stats);
                shard_error = shard_error.or(result.limit_reached);
            }
            Err(error) => shard_error = shard_error.or(Some(error)),
        }
    }
    let written = writer.join().unwrap_or(Err(Error::Thread("writer")));
    let result = match (shard_error, written, parsed) {
        (Some(error), ..)
        | (None, Err(error), _)
        | (None, Ok(_), Err(ParserStop::Failed(error))) => Err(error),
        (None, Ok(WriterEnd::Complete), Ok(ReadEnd::EndOfInput)) => Ok(Completion::Complete),
        (None, Ok(WriterEnd::Complete), Ok(ReadEnd::Stopped)) => Ok(Completion::Stopped),
        (None, Ok(_), _) => Ok(Completion::OutputClosed),
    };
    RunEnd { stats, result }
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|source| Error::ThreadStart { name, source })
}
