//! The trait of sinks, which take the rows of a run.
//!
//! The writer thread of a run passes rows in their order, and tells where a batch ends:
//!
//! ```text
//! begin(schema)   write  write  end_batch   write  end_batch   end_batch   flush
//!                 \____ batch 1 ____/       \_ batch 2 _/      batch 3 has no rows
//! ```
//!
//! [`TextSink`](super::text_sink::TextSink) writes rows as lines of text. A sink of another system
//! (PostgreSQL, Kafka) implements [`Sink`] over the columns of [`SinkRows::Rows`]: it collects the
//! rows of batches, writes them in one transaction in `flush` or when it has enough of them, and
//! then reports these batches in [`Sink::durable_batches`].

use stream_processor_core::{OutputSchema, Rows};

use crate::error::Error;
use crate::run::LoggedEvents;

/// A sink of rows.
///
/// ```
/// use std::sync::mpsc::{Sender, channel};
///
/// use stream_processor::connectors::{Sink, SinkRows};
/// use stream_processor::schema::OutputSchema;
/// use stream_processor::{Error, Input, Io, Output, Pipeline, Settings, spec::PipelineSpec};
///
/// /// Counts the rows of each batch.
/// struct Counts {
///     rows: usize,
///     batches: u64,
///     send: Sender<usize>,
/// }
///
/// impl Sink for Counts {
///     fn name(&self) -> &str {
///         "counts"
///     }
///
///     fn begin(&mut self, _: &OutputSchema) -> Result<(), Error> {
///         Ok(())
///     }
///
///     fn write(&mut self, rows: SinkRows<'_>) -> Result<(), Error> {
///         self.rows += match rows {
///             SinkRows::Rows { rows, .. } => rows.len(),
///             SinkRows::Events(texts) => texts.iter().count(),
///             _ => 0,
///         };
///         Ok(())
///     }
///
///     fn end_batch(&mut self) -> Result<(), Error> {
///         self.batches += 1;
///         let _ = self.send.send(std::mem::take(&mut self.rows));
///         Ok(())
///     }
///
///     fn flush(&mut self) -> Result<(), Error> {
///         Ok(())
///     }
///
///     fn durable_batches(&self) -> u64 {
///         self.batches
///     }
/// }
///
/// let spec = PipelineSpec::from_toml(r#"
///     [[stages]]
///     type = "window"
///     window = "tumbling"
///     size = "1m"
///     aggregations = ["count"]
/// "#)?;
/// let (send, counts) = channel();
/// let io = Io {
///     input: Input::Reader("events".into(), Box::new(&b"{\"ts\": 0}\n{\"ts\": 59000}\n"[..])),
///     output: Output::Sink(Box::new(Counts { rows: 0, batches: 0, send })),
///     dead_letter: None,
///     late: None,
/// };
/// Pipeline::new(spec)?.run(io, &Settings::default(), &mut ())?;
/// assert_eq!(counts.iter().sum::<usize>(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink: Send {
    /// Returns the name of the sink in messages.
    fn name(&self) -> &str;

    /// Prepares the sink for rows with `schema`. It is called once, before all other methods.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn begin(&mut self, schema: &OutputSchema) -> Result<(), Error>;

    /// Receives the CSV header by which the texts of [`SinkRows::Events`] are read from now on.
    /// Does nothing by default.
    ///
    /// # Errors
    /// [`Error::Write`], or [`Error::Headers`] if the sink can have only one header.
    fn begin_input(&mut self, header: &[u8]) -> Result<(), Error> {
        let _ = header;
        Ok(())
    }

    /// Takes the next rows of the current batch.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn write(&mut self, rows: SinkRows<'_>) -> Result<(), Error>;

    /// Ends the current batch. The next rows belong to the next batch.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn end_batch(&mut self) -> Result<(), Error>;

    /// Makes all batches that have ended durable. The run calls it at its end and before it waits
    /// for events. Rows behind the last end of a batch belong to a run that failed: text has them,
    /// a sink with transactions drops them.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn flush(&mut self) -> Result<(), Error>;

    /// Ends the output, also after a failure. It is called once, after all other methods, and only
    /// flushes by default.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn finish(&mut self) -> Result<(), Error> {
        self.flush()
    }

    /// Returns the number of batches, from the first one on, whose rows outlive this process.
    fn durable_batches(&self) -> u64;
}

/// Rows for [`Sink::write`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum SinkRows<'a> {
    /// Rows in columns.
    Rows {
        /// The columns of the rows.
        schema: &'a OutputSchema,
        /// The rows.
        rows: &'a Rows<'a>,
    },
    /// Events that passed all stages, as they came. Pipelines whose schema has
    /// [`OutputSchema::passes_events`] give only these.
    Events(EventTexts<'a>),
}

/// The texts of events that passed all stages.
#[derive(Clone, Copy)]
pub struct EventTexts<'a> {
    pub(crate) events: &'a LoggedEvents,
    /// The lines of the events that passed.
    pub(crate) lines: &'a [u64],
}

impl<'a> EventTexts<'a> {
    /// Returns the text of each event, without a line feed.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.lines.iter().filter_map(move |line| self.events.text(*line))
    }
}
