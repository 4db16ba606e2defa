//! The writer thread: merges the rows of all shards and writes rows, dead letters and late events.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};

use stream_processor_core::text::{EventWriter, Format, write_csv_header, write_rows};
use stream_processor_core::{OutputSchema, Rows};

use super::batch_log::BatchLog;
use super::dead_letter::DeadLetterWriter;
use super::merge::{MergeStop, Merger};
use crate::error::Error;
use crate::io::output::TextSink;
use crate::pipeline::Pipeline;

/// The writer of a run: all outputs, and the channels that feed them.
pub(super) struct Writer {
    pub(super) logs: Receiver<BatchLog>,
    pub(super) merger: Merger,
    pub(super) rows: RowWriter,
    pub(super) dead_letters: DeadLetterWriter,
}

/// How the writer ended without an error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriterEnd {
    /// Everything was written.
    Complete,
    /// The reader of the rows closed its end of the pipe, as `head` does.
    OutputClosed,
    /// A shard ended early; its own result gives the reason.
    ShardGone,
}

impl Writer {
    /// Writes batch after batch until the parser's channel closes.
    pub(super) fn run(mut self) -> Result<WriterEnd, Error> {
        let end = match self.write_batches() {
            Err(Error::Write { name, source }) if self.rows.is_closed(&name, &source) => {
                Ok(WriterEnd::OutputClosed)
            }
            other => other,
        };
        // If one output fails, the others still get everything that was made for them.
        let dead_letters =
            self.dead_letters.end_unfinished_line().and_then(|()| self.dead_letters.flush());
        if end.is_err() {
            let _ = self.rows.sink.flush();
        }
        let end = end?;
        dead_letters.map(|()| end)
    }

    fn write_batches(&mut self) -> Result<WriterEnd, Error> {
        self.rows.write_schema_header()?;
        while let Some(log) = self.next_log()? {
            self.rows.write_input_header(&log)?;
            match self.merger.merge_batch(|rows| self.rows.write(rows, &log)) {
                Ok(dropped) => self.dead_letters.write(&log, &dropped)?,
                Err(MergeStop::Failed(error)) => return Err(error),
                Err(MergeStop::ShardGone) => {
                    self.rows.sink.flush()?;
                    return Ok(WriterEnd::ShardGone);
                }
            }
        }
        self.rows.sink.flush()?;
        Ok(WriterEnd::Complete)
    }

    /// Returns the log of the next batch. Flushes all outputs before it waits for one.
    fn next_log(&mut self) -> Result<Option<BatchLog>, Error> {
        match self.logs.try_recv() {
            Ok(log) => Ok(Some(log)),
            Err(TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Empty) => {
                self.flush()?;
                Ok(self.logs.recv().ok())
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.rows.sink.flush()?;
        self.dead_letters.flush()
    }
}

/// Writes rows to an output, in its format.
pub(super) struct RowWriter {
    pub(super) sink: TextSink,
    pub(super) format: Format,
    pub(super) schema: OutputSchema,
    /// Writes events that pass, and keeps the CSV header they are read by.
    events: EventWriter,
    /// The last CSV header of an input.
    header: Option<Vec<u8>>,
}

impl RowWriter {
    pub(super) fn new(sink: TextSink, pipeline: &Pipeline) -> Self {
        let (from, to) = (pipeline.spec().source.format, pipeline.spec().sink.format);
        let schema = pipeline.plan().output.clone();
        Self { sink, format: to, schema, events: EventWriter::new(from, to), header: None }
    }

    /// Writes the CSV header of the output schema. Events that pass have the header of their input.
    fn write_schema_header(&mut self) -> Result<(), Error> {
        match self.format {
            Format::Csv if self.schema.passes_events => Ok(()),
            Format::Csv => self.sink.append(|out| write_csv_header(&self.schema, out)),
            Format::Ndjson => Ok(()),
        }
    }

    /// Applies the CSV header of an input that begins with this batch.
    ///
    /// # Errors
    /// [`Error::Headers`] if the output is CSV and an input before had another header.
    fn write_input_header(&mut self, log: &BatchLog) -> Result<(), Error> {
        let Some(header) = &log.header else { return Ok(()) };
        let before = self.header.replace(header.clone());
        if self.format == Format::Csv && before.is_some_and(|before| before != *header) {
            return Err(Error::Headers);
        }
        self.sink.append(|out| self.events.begin(header, out))
    }

    fn write(&mut self, rows: &Rows<'_>, log: &BatchLog) -> Result<(), Error> {
        if self.schema.passes_events {
            let texts = rows.ranks.iter().filter_map(|line| log.event_text(*line));
            return self.sink.append(|out| texts.for_each(|text| self.events.write(text, out)));
        }
        self.sink.append(|out| write_rows(self.format, &self.schema, rows, out))
    }

    /// Returns whether `error` says that the reader of the rows closed its end.
    fn is_closed(&self, name: &str, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::BrokenPipe && self.sink.name() == name
    }
}
