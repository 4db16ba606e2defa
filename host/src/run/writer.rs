//! The writer thread: merges the rows of all shards and writes rows, dead letters and late events.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};

use stream_processor_core::OutputSchema;

use super::batch_log::BatchLog;
use super::dead_letter::DeadLetterWriter;
use super::merge::{MergeStop, Merger};
use crate::error::Error;
use crate::io::{EventTexts, Sink, SinkRows};

/// The writer of a run: all outputs, and the channels that feed them.
pub(super) struct Writer {
    pub(super) logs: Receiver<BatchLog>,
    pub(super) merger: Merger,
    pub(super) schema: OutputSchema,
    pub(super) sink: Box<dyn Sink>,
    /// The batches whose rows the sink has.
    pub(super) batches: u64,
    pub(super) dead_letters: DeadLetterWriter,
}

/// The end of the writer without an error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriterEnd {
    /// Everything was written.
    Complete,
    /// The reader of the rows closed its end of the pipe, as `head` does.
    OutputClosed,
    /// A shard ended early; its own result gives the reason.
    ShardEnded,
}

impl Writer {
    /// Writes batch after batch until the parser's channel closes.
    pub(super) fn run(mut self) -> Result<WriterEnd, Error> {
        let end = match self.write_batches() {
            Err(Error::Write { name, source }) if self.is_closed(&name, &source) => {
                Ok(WriterEnd::OutputClosed)
            }
            other => other,
        };
        // If one output fails, the others still get everything that was made for them.
        let dead_letters =
            self.dead_letters.end_unfinished_line().and_then(|()| self.dead_letters.finish());
        if end.is_err() {
            let _ = self.sink.finish();
        }
        let end = end?;
        dead_letters.map(|()| end)
    }

    fn write_batches(&mut self) -> Result<WriterEnd, Error> {
        let Self { schema, sink, .. } = self;
        sink.begin(schema)?;
        sink.flush()?;
        while let Some(log) = self.next_log()? {
            let Self { merger, schema, sink, .. } = self;
            if let Some(header) = &log.header {
                sink.begin_input(header)?;
            }
            let merged = merger.merge_batch(|rows| {
                sink.write(if schema.passes_events {
                    SinkRows::Events(EventTexts { events: &log.events, lines: rows.ranks })
                } else {
                    SinkRows::Rows { schema, rows }
                })
            });
            match merged {
                Ok(dropped) => {
                    self.sink.end_batch()?;
                    self.batches += 1;
                    self.dead_letters.write(&log, &dropped)?;
                }
                Err(MergeStop::Failed(error)) => return Err(error),
                Err(MergeStop::ShardEnded) => {
                    self.sink.finish()?;
                    return Ok(WriterEnd::ShardEnded);
                }
            }
        }
        self.sink.finish()?;
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
        if self.sink.durable_batches() < self.batches {
            self.sink.flush()?;
        }
        self.dead_letters.flush()
    }

    /// Returns whether `error` says that the reader of the rows closed its end.
    fn is_closed(&self, name: &str, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::BrokenPipe && self.sink.name() == name
    }
}
