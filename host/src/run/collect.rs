//! The thread at the far end: merges the rows of all shards, writes them, and writes the letters.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};

use stream_processor_core::text::{EventWriter, Format, write_csv_header, write_rows};
use stream_processor_core::{OutputSchema, Rows};

use super::letters::Letters;
use super::merge::{Merger, Stop};
use super::notes::Notes;
use super::output::TextSink;
use super::pipeline::Pipeline;
use crate::error::Error;

/// Everything that writes.
pub(super) struct Collector {
    pub(super) notes: Receiver<Notes>,
    pub(super) merger: Merger,
    pub(super) rows: RowSink,
    pub(super) letters: Letters,
}

/// How the far end came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collected {
    /// The run is over and everything is written.
    All,
    /// Whoever read the rows has gone, as `head` does.
    ReaderGone,
    /// A shard has failed; it says why itself.
    ShardGone,
}

impl Collector {
    /// Takes batch after batch, until the parser has no more.
    pub(super) fn run(mut self) -> Result<Collected, Error> {
        let collected = match self.collect() {
            Err(Error::Write { name, source }) if self.rows.is_closed(&name, &source) => {
                Ok(Collected::ReaderGone)
            }
            other => other,
        };
        // Where one output fails, the others get what there is for them.
        let letters = self.letters.end().and_then(|()| self.letters.flush());
        if collected.is_err() {
            let _ = self.rows.sink.flush();
        }
        let collected = collected?;
        letters.map(|()| collected)
    }

    fn collect(&mut self) -> Result<Collected, Error> {
        self.rows.begin()?;
        while let Some(notes) = self.next_batch()? {
            self.rows.note(&notes)?;
            match self.merger.batch(|rows| self.rows.write(rows, &notes)) {
                Ok(dropped) => self.letters.write(&notes, &dropped)?,
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::ShardGone) => {
                    self.rows.sink.flush()?;
                    return Ok(Collected::ShardGone);
                }
            }
        }
        self.rows.sink.flush()?;
        Ok(Collected::All)
    }

    /// The next batch; what is written so far goes out first where that has to be waited for.
    fn next_batch(&mut self) -> Result<Option<Notes>, Error> {
        match self.notes.try_recv() {
            Ok(notes) => Ok(Some(notes)),
            Err(TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Empty) => {
                self.flush()?;
                Ok(self.notes.recv().ok())
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.rows.sink.flush()?;
        self.letters.flush()
    }
}

/// Where rows are written, and how.
pub(super) struct RowSink {
    pub(super) sink: TextSink,
    pub(super) format: Format,
    pub(super) schema: OutputSchema,
    /// Writes events that pass, and the header that they have had so far.
    events: EventWriter,
    header: Option<Vec<u8>>,
}

impl RowSink {
    pub(super) fn new(sink: TextSink, pipeline: &Pipeline) -> Self {
        let (from, to) = (pipeline.spec().source.format, pipeline.spec().sink.format);
        let schema = pipeline.plan().output.clone();
        Self { sink, format: to, schema, events: EventWriter::new(from, to), header: None }
    }

    fn begin(&mut self) -> Result<(), Error> {
        match self.format {
            Format::Csv if self.schema.passes_events => Ok(()),
            Format::Csv => self.sink.append(|out| write_csv_header(&self.schema, out)),
            Format::Ndjson => Ok(()),
        }
    }

    /// Takes the header of an input of CSV. Records go under one header only, while objects name their fields each.
    fn note(&mut self, notes: &Notes) -> Result<(), Error> {
        let Some(header) = &notes.header else { return Ok(()) };
        let before = self.header.replace(header.clone());
        if self.format == Format::Csv && before.is_some_and(|before| before != *header) {
            return Err(Error::Headers);
        }
        self.sink.append(|out| self.events.begin(header, out))
    }

    fn write(&mut self, rows: &Rows<'_>, notes: &Notes) -> Result<(), Error> {
        if self.schema.passes_events {
            let texts = rows.ranks.iter().filter_map(|line| notes.event(*line));
            return self.sink.append(|out| texts.for_each(|text| self.events.write(text, out)));
        }
        self.sink.append(|out| write_rows(self.format, &self.schema, rows, out))
    }

    fn is_closed(&self, name: &str, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::BrokenPipe && self.sink.name() == name
    }
}
