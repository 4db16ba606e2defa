//! The threads of a run, and how they begin and end together.

use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::thread::{self, JoinHandle};

use stream_processor_core::text::{Reader, ReaderOptions};
use stream_processor_core::watermark::Generator;

use super::alarm::Alarm;
use super::collect::{Collected, Collector, RowSink};
use super::feed::{Feeder, Outlets, Stop, Texts};
use super::fetch::Fetcher;
use super::letters::Letters;
use super::merge::Merger;
use super::observe::Observer;
use super::pipeline::{Io, Pipeline, Settings};
use super::setup;
use super::shard::{Shard, Worked};
use super::split::Splitter;
use super::tally::Tally;
use crate::counters::Counters;
use crate::error::Error;
use crate::runtime::Runtime;

/// Batches that may wait for a shard.
const BATCHES_AHEAD: usize = 3;

/// Chunks of rows that may wait for the far end, for each shard.
const CHUNKS_AHEAD: usize = 8;

/// How a run has ended.
pub(super) struct Ended {
    pub(super) counters: Counters,
    /// Whether everything was read and written; false where whoever read the rows has gone.
    pub(super) result: Result<bool, Error>,
}

/// Runs a pipeline to its end on this thread (the parser) and those that it starts: one that reads ahead, one for each
/// shard, one that writes.
pub(super) fn run(
    pipeline: &Pipeline,
    io: Io,
    settings: &Settings,
    shards: usize,
    observer: &mut dyn Observer,
    tally: &mut Tally,
) -> Ended {
    match start(pipeline, io, settings, shards, tally) {
        Ok(started) => started.run(pipeline, settings, observer, tally),
        Err(error) => Ended { counters: Counters::default(), result: Err(error) },
    }
}

/// Everything but the parser, at work.
struct Started {
    texts: Texts,
    fetcher: Fetcher,
    outlets: Outlets,
    alarm: Option<Alarm>,
    shards: Vec<JoinHandle<Result<Worked, Error>>>,
    far_end: JoinHandle<Result<Collected, Error>>,
    /// Keeps the time for the module's deadlines.
    _runtime: Option<Runtime>,
}

fn start(
    pipeline: &Pipeline,
    io: Io,
    settings: &Settings,
    shards: usize,
    tally: &Tally,
) -> Result<Started, Error> {
    let passes_events = pipeline.plan().output.passes_events;
    let texts = Texts {
        refused: io.dead_letter.is_some(),
        events: io.dead_letter.is_some() || io.late.is_some() || passes_events,
        rows: passes_events,
    };
    let report_drops = io.dead_letter.is_some() || io.late.is_some();
    let (inputs, sinks) = setup::open(io)?;
    let engines = setup::engines(pipeline, settings, shards, report_drops)?;
    let fetcher = Fetcher::start(inputs, Arc::clone(&tally.bytes))?;
    // A pipeline that goes by the time of day has one shard.
    let alarm = pipeline.plan().goes_by_host_time.then(|| fetcher.alarm());
    let (notes, noted) = sync_channel(BATCHES_AHEAD);
    let (give_back, used) = channel();
    let mut outlets = Outlets { shards: Vec::new(), notes, used };
    let (mut threads, mut receivers) = (Vec::new(), Vec::new());
    for worker in engines.workers {
        let (to_shard, receive) = sync_channel(BATCHES_AHEAD);
        let (send, from_shard) = sync_channel(CHUNKS_AHEAD);
        let used = give_back.clone();
        let alarm = alarm.clone();
        let dropped = Vec::new();
        let shard = Shard { worker, receive, send, used, report_drops, alarm, dropped };
        outlets.shards.push(to_shard);
        receivers.push(from_shard);
        threads.push(spawn("shard", || shard.run())?);
    }
    let collector = Collector {
        notes: noted,
        merger: Merger::new(receivers, &pipeline.plan().output),
        rows: RowSink::new(sinks.rows, pipeline),
        letters: Letters::new(sinks.dead_letter, sinks.late, pipeline.spec()),
    };
    let wake_parser = fetcher.stopper();
    let far_end = spawn("writer", move || {
        let collected = collector.run();
        wake_parser();
        collected
    })?;
    let _runtime = engines.runtime;
    Ok(Started { texts, fetcher, outlets, alarm, shards: threads, far_end, _runtime })
}

impl Started {
    fn run(
        self,
        pipeline: &Pipeline,
        settings: &Settings,
        observer: &mut dyn Observer,
        tally: &mut Tally,
    ) -> Ended {
        let spec = pipeline.spec();
        let reader_options =
            ReaderOptions { table_seed: settings.table_seed, ..ReaderOptions::of(spec) };
        let schema = &pipeline.plan().input;
        let feeder = Feeder {
            schema,
            reader: Reader::new(schema, reader_options),
            batch_events: settings.batch_events.get().min(spec.limits.max_batch_events as usize),
            strict: settings.strict,
            texts: self.texts,
            fetcher: self.fetcher,
            splitter: Splitter::new(schema, Generator::new(spec)),
            outlets: self.outlets,
            alarm: self.alarm,
            observer,
            tally,
        };
        // The parser's end closes the shards' inputs, and theirs the far end's.
        let fed = feeder.run();
        end(fed, self.shards, self.far_end)
    }
}

/// Waits for all threads. A shard that failed is the cause of whatever else went wrong, then the far end.
fn end(
    fed: Result<(), Stop>,
    shards: Vec<JoinHandle<Result<Worked, Error>>>,
    far_end: JoinHandle<Result<Collected, Error>>,
) -> Ended {
    let mut counters = Counters::default();
    let mut failed = None;
    for shard in shards {
        match shard.join().unwrap_or(Err(Error::Thread("shard"))) {
            Ok(worked) => {
                counters.add(&worked.counters);
                failed = failed.or(worked.stopped);
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let collected = far_end.join().unwrap_or(Err(Error::Thread("writer")));
    let result = match (failed, collected, fed) {
        (Some(error), ..) | (None, Err(error), _) | (None, Ok(_), Err(Stop::Failed(error))) => {
            Err(error)
        }
        (None, Ok(collected), fed) => Ok(fed.is_ok() && collected == Collected::All),
    };
    Ended { counters, result }
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(|_| Error::Thread(name))
}
