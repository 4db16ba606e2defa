//! The parser: turns blocks of input into batches for the shards and batch logs for the writer.

use std::mem;
use std::sync::mpsc::{Receiver, SyncSender};

use stream_processor_core::InputSchema;
use stream_processor_core::text::{EventBuffer, Reader};

use super::batch_log::BatchLog;
use super::first_times::FirstTimes;
use super::input_block::InputBlock;
use super::progress::{Observer, RefusedLine, RunProgress};
use super::reader::{InputReader, ParserMessage};
use super::shard::ShardBatch;
use super::shared_check;
use super::split::Splitter;
use super::stop::StopHandle;
use super::tick_timer::{self, TickTimer};
use crate::error::Error;
use crate::shared_dedup::SharedDedup;

/// The parser of a run, which works on the thread that called [`crate::Pipeline::run`].
pub(super) struct Parser<'a> {
    pub(super) schema: &'a InputSchema,
    pub(super) text_reader: Reader,
    pub(super) first_times: FirstTimes,
    pub(super) batch_events: usize,
    pub(super) strict: bool,
    pub(super) stop: &'a StopHandle,
    /// True if a stopped run ends the stream.
    pub(super) finish_on_stop: bool,
    pub(super) kept_text: KeptText,
    pub(super) input: InputReader,
    pub(super) splitter: Splitter,
    pub(super) receivers: Receivers,
    /// The time of the next tick, if the pipeline depends on the time of day.
    pub(super) tick_timer: Option<TickTimer>,
    /// The store of the first stage, if it is shared.
    pub(super) shared: Option<&'a mut SharedDedup>,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) progress: &'a mut RunProgress,
}

/// The lines that the batch log keeps as text, because an output needs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptText {
    pub(super) refused: bool,
    pub(super) events: bool,
    /// True if rows are the text of events. Then the headers of CSV inputs are logged as well.
    pub(super) events_are_rows: bool,
}

/// The threads that receive the parser's batches.
pub(super) struct Receivers {
    pub(super) shards: Vec<SyncSender<ShardBatch>>,
    pub(super) writer: SyncSender<BatchLog>,
    /// Processed batches, whose memory is used again.
    pub(super) recycled: Receiver<ShardBatch>,
}

/// The reason why the parser reads no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadEnd {
    EndOfInput,
    /// The run was stopped.
    Stopped,
}

/// The reason why the parser stops before the end of input.
pub(super) enum ParserStop {
    /// The writer or a shard has ended; its own result gives the reason.
    ReceiverEnded,
    Failed(Error),
}

impl From<Error> for ParserStop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The position in the input, and the batch that is being filled.
#[derive(Default)]
struct ParserState {
    /// The name of the current file or stream; empty before the first.
    input: String,
    /// Lines of all inputs before the current one.
    line_base: u64,
    /// The last line seen of the current input.
    last_line: u64,
    /// Bytes of an unfinished line.
    unfinished: Vec<u8>,
    /// True if the header of the current input is in the log.
    has_logged_header: bool,
    events: EventBuffer,
    batches: Vec<ShardBatch>,
    log: BatchLog,
    /// Events and refused lines in `batches` and `log`.
    pending: usize,
}

impl Parser<'_> {
    /// Reads all input and then ends the stream, so that all windows fire.
    ///
    /// A line that ends a strict run, or an input that cannot be read further, does not end the
    /// stream: the events before are processed, and windows stay open. Neither does a stop, unless
    /// `finish_on_stop` is set.
    pub(super) fn run(mut self) -> Result<ReadEnd, ParserStop> {
        let mut state = ParserState::default();
        self.report_store();
        let read = self.read_all(&mut state);
        match read {
            Ok(end) => {
                self.send_pending(&mut state)?;
                if end == ReadEnd::EndOfInput || self.finish_on_stop {
                    self.receivers.send_end_of_stream()?;
                }
                Ok(end)
            }
            Err(ParserStop::Failed(error)) => {
                self.send_pending(&mut state)?;
                Err(ParserStop::Failed(error))
            }
            Err(ParserStop::ReceiverEnded) => Err(ParserStop::ReceiverEnded),
        }
    }

    fn read_all(&mut self, state: &mut ParserState) -> Result<ReadEnd, ParserStop> {
        loop {
            match self.next_message(state)? {
                ParserMessage::Block(mut block) => {
                    block.prepend(&mut state.unfinished);
                    self.parse(&mut block, false, state)?;
                    block.take_rest(&mut state.unfinished);
                    self.input.recycle(block);
                }
                ParserMessage::InputStart(name) => {
                    self.end_input(state)?;
                    if self.kept_text.refused || self.kept_text.events {
                        state.log.inputs.push((state.line_base, name.clone()));
                    }
                    state.input = name;
                }
                ParserMessage::TickChanged => {}
                ParserMessage::EndOfInput => {
                    self.end_input(state)?;
                    if let Some(times) = self.first_times.finish() {
                        self.observer.unlikely_times(&times);
                    }
                    return Ok(ReadEnd::EndOfInput);
                }
                // The bytes of an unfinished line are no event yet.
                ParserMessage::Stop => return Ok(ReadEnd::Stopped),
                ParserMessage::Failed(error) => return Err(ParserStop::Failed(error)),
                ParserMessage::WriterEnded => return Err(ParserStop::ReceiverEnded),
            }
        }
    }

    /// Returns the next message. Before it waits, it sends everything parsed so far, so that a
    /// pause of the input delays no rows. While it waits, it sends the ticks that become due.
    fn next_message(&mut self, state: &mut ParserState) -> Result<ParserMessage, ParserStop> {
        if self.stop.is_requested() {
            return Ok(ParserMessage::Stop);
        }
        if let Some(message) = self.input.try_next() {
            return Ok(message);
        }
        self.send_pending(state)?;
        loop {
            let left = self.tick_timer.as_ref().and_then(TickTimer::time_left);
            match left.map_or_else(|| Some(self.input.next()), |left| self.input.next_within(left))
            {
                Some(ParserMessage::TickChanged) => {}
                Some(message) => return Ok(message),
                None => self.send_tick()?,
            }
        }
    }

    /// Sends the time of day to the engine in a batch without events.
    fn send_tick(&mut self) -> Result<(), ParserStop> {
        let batch = self.receivers.empty_batch();
        self.send_batches(BatchLog::default(), vec![batch])
    }

    /// Sends a batch to each shard, with the time of day if the pipeline depends on it.
    fn send_batches(&self, log: BatchLog, mut batches: Vec<ShardBatch>) -> Result<(), ParserStop> {
        if let Some(timer) = &self.tick_timer {
            timer.clear();
            let now = tick_timer::now();
            batches.iter_mut().for_each(|batch| batch.now = Some(now));
        }
        self.receivers.send(log, batches.into_iter())
    }

    /// Ends the current input. Bytes without a line feed behind them are its last line.
    fn end_input(&mut self, state: &mut ParserState) -> Result<(), ParserStop> {
        if state.input.is_empty() {
            return Ok(());
        }
        let mut last = InputBlock::from_bytes(mem::take(&mut state.unfinished));
        self.parse(&mut last, true, state)?;
        if self.kept_text.events_are_rows {
            // A batch has one header, so the next input starts a new batch.
            self.send_pending(state)?;
            state.has_logged_header = false;
        }
        self.text_reader.next_input();
        state.line_base += mem::take(&mut state.last_line);
        Ok(())
    }

    /// Parses the complete lines of `block`, or all of it at the `end` of the input.
    fn parse(
        &mut self,
        block: &mut InputBlock,
        end: bool,
        state: &mut ParserState,
    ) -> Result<(), ParserStop> {
        // A read that has to empty the key dictionary first consumes nothing, once.
        let mut reads_without_progress = 0;
        while reads_without_progress < 2 {
            let room = self.batch_events.saturating_sub(state.pending).max(1);
            let consumed = self
                .text_reader
                .read(block.data(), end, room, &mut state.events)
                .map_err(|error| Error::header(&*state.input, &error))?;
            self.append_events(block.data(), state)?;
            block.consume(consumed);
            reads_without_progress = if consumed == 0 { reads_without_progress + 1 } else { 0 };
            if state.pending >= self.batch_events {
                self.send_pending(state)?;
            }
        }
        Ok(())
    }

    /// Adds the events and refused lines that were read from `bytes` to the current batch.
    fn append_events(&mut self, bytes: &[u8], state: &mut ParserState) -> Result<(), ParserStop> {
        if state.events.reset() {
            self.send_pending(state)?;
        }
        let fatal = state.events.rejections().first().filter(|_| self.strict).copied();
        let lines = state.events.lines();
        let count = fatal.map_or(lines.len(), |bad| lines.partition_point(|line| *line < bad.line));
        state.batches.resize_with(self.receivers.shards.len(), || self.receivers.empty_batch());
        self.splitter.append(&state.events, count, state.line_base, &mut state.batches);
        if let (true, false, Some(header)) =
            (self.kept_text.events_are_rows, state.has_logged_header, self.text_reader.header())
        {
            state.log.header = Some(header.to_vec());
            state.has_logged_header = true;
        }
        if self.kept_text.events {
            let spans = state.events.spans();
            for (line, span) in state.events.lines().iter().zip(spans).take(count) {
                state.log.events.add(state.line_base + line, span.of(bytes));
            }
        }
        self.progress.accepted += count as u64;
        let timestamps = state.events.timestamps().get(..count).unwrap_or_default();
        if !self.schema.time_is_optional {
            self.progress.disorder.observe(timestamps);
        }
        if let Some(times) = self.first_times.observe(timestamps) {
            self.observer.unlikely_times(&times);
        }
        let reported = self.report_refused(bytes, state);
        state.pending += count + state.events.rejections().len();
        state.last_line = self.text_reader.lines_read();
        self.progress.skipped += state.events.skipped();
        reported
    }

    /// Logs, counts and reports the lines that the reader refused. The first one ends a strict run.
    fn report_refused(&mut self, bytes: &[u8], state: &mut ParserState) -> Result<(), ParserStop> {
        let ParserState { input, line_base, events, log, .. } = state;
        for rejection in events.rejections() {
            if self.kept_text.refused {
                let text = rejection.span.of(bytes);
                let line = *line_base + rejection.line;
                log.add_refused(line, rejection.reason, rejection.continues, text);
            }
            if rejection.continuation {
                continue;
            }
            self.progress.count_refused(rejection.reason);
            let detail = rejection.detail(self.schema, bytes);
            if self.strict {
                return Err(ParserStop::Failed(Error::BadLine {
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

    /// Sends the current batch unless it is empty, and reports the progress.
    fn send_pending(&mut self, state: &mut ParserState) -> Result<(), ParserStop> {
        if mem::take(&mut state.pending) > 0 {
            let log = mem::take(&mut state.log);
            let mut batches = mem::take(&mut state.batches);
            self.check_shared(&mut batches)?;
            self.send_batches(log, batches)?;
        }
        self.observer.progress(self.progress);
        Ok(())
    }

    /// Checks the events of a batch against the shared store, if there is one. If that fails, they
    /// are not sent.
    fn check_shared(&mut self, batches: &mut [ShardBatch]) -> Result<(), ParserStop> {
        let Some(shared) = &mut self.shared else { return Ok(()) };
        let checked = shared_check::check(shared, batches);
        self.report_store();
        match checked {
            Ok(unchecked) => {
                self.progress.unchecked += unchecked;
                Ok(())
            }
            Err(error) => {
                let unsent: usize = batches.iter().map(|batch| batch.timestamps.len()).sum();
                self.progress.accepted -= unsent as u64;
                Err(error.into())
            }
        }
    }

    /// Reports what has happened to the shared store.
    fn report_store(&mut self) {
        for warning in self.shared.iter_mut().flat_map(|shared| shared.take_warnings()) {
            self.observer.warning(&warning);
        }
    }
}

impl Receivers {
    /// Returns a batch without events, in recycled memory if there is any.
    fn empty_batch(&self) -> ShardBatch {
        let mut batch = self.recycled.try_recv().unwrap_or_default();
        batch.clear();
        batch
    }

    /// Sends the log to the writer and a batch to each shard. The log goes first, so that the
    /// writer takes the rows of the batch while the shards produce them.
    fn send(
        &self,
        log: BatchLog,
        batches: impl Iterator<Item = ShardBatch>,
    ) -> Result<(), ParserStop> {
        self.writer.send(log).map_err(|_| ParserStop::ReceiverEnded)?;
        for (shard, batch) in self.shards.iter().zip(batches) {
            shard.send(batch).map_err(|_| ParserStop::ReceiverEnded)?;
        }
        Ok(())
    }

    /// Sends each shard a last batch, which ends the stream.
    fn send_end_of_stream(&self) -> Result<(), ParserStop> {
        let last = || ShardBatch { is_last: true, ..self.empty_batch() };
        self.send(BatchLog::default(), std::iter::repeat_with(last))
    }
}
