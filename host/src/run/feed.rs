//! The parser: turns blocks of input into batches for the shards and notes for the far end.

use std::mem;
use std::sync::mpsc::{Receiver, SyncSender};

use stream_processor_core::InputSchema;
use stream_processor_core::text::{EventBuffer, Reader};

use super::alarm::{self, Alarm};
use super::block::Block;
use super::fetch::{Fetched, Fetcher};
use super::notes::Notes;
use super::observe::{Observer, RefusedLine};
use super::shard::ShardBatch;
use super::split::Splitter;
use super::tally::Tally;
use crate::error::Error;

/// What the parser works with.
pub(super) struct Feeder<'a> {
    pub(super) schema: &'a InputSchema,
    pub(super) reader: Reader,
    pub(super) batch_events: usize,
    pub(super) strict: bool,
    pub(super) texts: Texts,
    pub(super) fetcher: Fetcher,
    pub(super) splitter: Splitter,
    pub(super) outlets: Outlets,
    /// When the engine must be told the time of day, where the pipeline goes by it.
    pub(super) alarm: Option<Alarm>,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) tally: &'a mut Tally,
}

/// Which lines are kept as text, because an output wants them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts {
    pub(super) refused: bool,
    pub(super) events: bool,
    /// Whether the rows are those texts: then the headers of CSV matter as well.
    pub(super) rows: bool,
}

/// Where batches and notes go.
pub(super) struct Outlets {
    pub(super) shards: Vec<SyncSender<ShardBatch>>,
    pub(super) notes: SyncSender<Notes>,
    /// Batches that are used up.
    pub(super) used: Receiver<ShardBatch>,
}

/// Why the parser stops before the end of input.
pub(super) enum Stop {
    /// The far end has stopped, or a shard has: they say why.
    Unwanted,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Where the parser is, and what it has read and not sent.
#[derive(Default)]
struct Progress {
    /// The name of the file or stream under way; empty before the first.
    input: String,
    /// Lines of the inputs before, and the last line seen of this one.
    line_base: u64,
    last_line: u64,
    /// Bytes of an unfinished line.
    rest: Vec<u8>,
    /// Whether the header of this input is noted.
    has_header: bool,
    events: EventBuffer,
    batches: Vec<ShardBatch>,
    notes: Notes,
    /// Events and refused lines in `batches` and `notes`.
    pending: usize,
}

impl Feeder<'_> {
    /// Reads all input, and ends the stream at its end. A line that ends a strict run, or an input that cannot be read
    /// on, ends nothing: what came before is sent, and windows stay open.
    pub(super) fn run(mut self) -> Result<(), Stop> {
        let mut progress = Progress::default();
        let read = self.read_all(&mut progress);
        match read {
            Ok(()) => {
                self.send(&mut progress)?;
                self.outlets.finish()
            }
            Err(Stop::Failed(error)) => {
                self.send(&mut progress)?;
                Err(Stop::Failed(error))
            }
            Err(Stop::Unwanted) => Err(Stop::Unwanted),
        }
    }

    fn read_all(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        loop {
            match self.next(progress)? {
                Fetched::Block(mut block) => {
                    block.prepend(&progress.rest);
                    progress.rest.clear();
                    self.parse(&mut block, false, progress)?;
                    progress.rest.extend_from_slice(block.data());
                    self.fetcher.recycle(block);
                }
                Fetched::Input(name) => {
                    self.end_input(progress)?;
                    if self.texts.refused || self.texts.events {
                        progress.notes.inputs.push((progress.line_base, name.clone()));
                    }
                    progress.input = name;
                }
                Fetched::Alarm => {}
                Fetched::End => return self.end_input(progress),
                Fetched::Failed(error) => return Err(Stop::Failed(error)),
                Fetched::Stopped => return Err(Stop::Unwanted),
            }
        }
    }

    /// What comes next from the input. Where that has to be waited for, everything read so far is sent first, so that
    /// the rows of a live stream are not held up.
    fn next(&mut self, progress: &mut Progress) -> Result<Fetched, Stop> {
        if let Some(fetched) = self.fetcher.try_next() {
            return Ok(fetched);
        }
        self.send(progress)?;
        loop {
            let left = self.alarm.as_ref().and_then(Alarm::time_left);
            match left
                .map_or_else(|| Some(self.fetcher.next()), |left| self.fetcher.next_within(left))
            {
                Some(Fetched::Alarm) => {}
                Some(fetched) => return Ok(fetched),
                None => self.tick()?,
            }
        }
    }

    /// Tells the engine the time, though nothing has come in.
    fn tick(&mut self) -> Result<(), Stop> {
        let batch = self.outlets.empty_batch();
        self.send_batches(Notes::default(), vec![batch])
    }

    /// Sends a batch for each shard, with the time of day where the pipeline goes by it.
    fn send_batches(&self, notes: Notes, mut batches: Vec<ShardBatch>) -> Result<(), Stop> {
        if let Some(alarm) = &self.alarm {
            alarm.clear();
            let now = alarm::now();
            batches.iter_mut().for_each(|batch| batch.now = Some(now));
        }
        self.outlets.send(notes, batches.into_iter())
    }

    /// The input under way has ended: what is left of it is its last line.
    fn end_input(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        if progress.input.is_empty() {
            return Ok(());
        }
        let mut last = Block::of(mem::take(&mut progress.rest));
        self.parse(&mut last, true, progress)?;
        if self.texts.rows {
            // What was read so far goes with the header of this input.
            self.send(progress)?;
            progress.has_header = false;
        }
        self.reader.next_input();
        progress.line_base += mem::take(&mut progress.last_line);
        Ok(())
    }

    /// Takes as many lines from `block` as are whole.
    fn parse(&mut self, block: &mut Block, end: bool, progress: &mut Progress) -> Result<(), Stop> {
        // A reader that has to empty its dictionary first takes nothing once.
        let mut fruitless = 0;
        while fruitless < 2 {
            let room = self.batch_events.saturating_sub(progress.pending).max(1);
            let taken = self
                .reader
                .read(block.data(), end, room, &mut progress.events)
                .map_err(|error| Error::header(&*progress.input, &error))?;
            self.take(block.data(), progress)?;
            block.take(taken);
            fruitless = if taken == 0 { fruitless + 1 } else { 0 };
            if progress.pending >= self.batch_events {
                self.send(progress)?;
            }
        }
        Ok(())
    }

    /// Adds what was read from `bytes` to the batch under way.
    fn take(&mut self, bytes: &[u8], progress: &mut Progress) -> Result<(), Stop> {
        if progress.events.reset() {
            self.send(progress)?;
        }
        let bad = progress.events.rejections().first().filter(|_| self.strict).copied();
        let lines = progress.events.lines();
        let count = bad.map_or(lines.len(), |bad| lines.partition_point(|line| *line < bad.line));
        progress.batches.resize_with(self.outlets.shards.len(), || self.outlets.empty_batch());
        self.splitter.append(&progress.events, count, progress.line_base, &mut progress.batches);
        if let (true, false, Some(header)) =
            (self.texts.rows, progress.has_header, self.reader.header())
        {
            progress.notes.header = Some(header.to_vec());
            progress.has_header = true;
        }
        if self.texts.events {
            let spans = progress.events.spans();
            for (line, span) in progress.events.lines().iter().zip(spans).take(count) {
                progress.notes.keep_event(progress.line_base + line, span.of(bytes));
            }
        }
        self.tally.accepted += count as u64;
        let refused = self.refuse(bytes, progress);
        progress.pending += count + progress.events.rejections().len();
        let last_event = progress.events.lines().last();
        let last_refused = progress.events.rejections().last().map(|rejection| &rejection.line);
        if let Some(last) = last_event.max(last_refused) {
            progress.last_line = *last;
        }
        refused
    }

    /// Counts, shows and keeps the lines that the reader refused; in a strict run, the first one ends it.
    fn refuse(&mut self, bytes: &[u8], progress: &mut Progress) -> Result<(), Stop> {
        let Progress { input, line_base, events, notes, .. } = progress;
        for rejection in events.rejections() {
            if self.texts.refused {
                let text = rejection.span.of(bytes);
                let line = *line_base + rejection.line;
                notes.refuse(line, rejection.reason, rejection.continues, text);
            }
            if rejection.continuation {
                continue;
            }
            self.tally.refuse(rejection.reason);
            let detail = rejection.detail(self.schema, bytes);
            if self.strict {
                return Err(Stop::Failed(Error::BadLine {
                    input: input.clone(),
                    line: rejection.line,
                    reason: rejection.reason,
                    detail: detail.to_string(),
                }));
            }
            let (line, reason) = (rejection.line, rejection.reason);
            self.observer.refused(&RefusedLine { input, line, reason, detail: &detail });
        }
        Ok(())
    }

    /// Sends what was read so far, if that is anything.
    fn send(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        if progress.pending > 0 {
            let notes = mem::take(&mut progress.notes);
            self.send_batches(notes, mem::take(&mut progress.batches))?;
            progress.pending = 0;
        }
        self.observer.progress(self.tally);
        Ok(())
    }
}

impl Outlets {
    /// A batch without events, of memory that was used before if there is any.
    fn empty_batch(&self) -> ShardBatch {
        let mut batch = self.used.try_recv().unwrap_or_default();
        batch.clear();
        batch
    }

    /// The far end learns of a batch first, so that it waits for it.
    fn send(&self, notes: Notes, batches: impl Iterator<Item = ShardBatch>) -> Result<(), Stop> {
        self.notes.send(notes).map_err(|_| Stop::Unwanted)?;
        for (shard, batch) in self.shards.iter().zip(batches) {
            shard.send(batch).map_err(|_| Stop::Unwanted)?;
        }
        Ok(())
    }

    /// Tells everyone that the stream has ended.
    fn finish(&self) -> Result<(), Stop> {
        let last = || ShardBatch { is_last: true, ..self.empty_batch() };
        self.send(Notes::default(), std::iter::repeat_with(last))
    }
}
