//! The trait of sources, which yield the events of a run.
//!
//! A run reads one [`Source`] on a thread of its own. The source fills buffers that the run owns,
//! so no text is copied on its way to the parser:
//!
//! ```text
//! reader thread                                     parser
//! block.room() --> source.read() --> InputStart --> first line is line 1 of a new input
//!                                --> Text(bytes) -> block with these bytes
//!                                --> End ---------> windows fire
//! ```
//!
//! [`FileSource`](super::file_source::FileSource) reads files,
//! [`StreamSource`](super::stream_source::StreamSource) standard input or any reader.
//!
//! # Sources of records and requests
//! Every source today yields text, so [`SourceRead`] and [`Position`] have variants for text only.
//! Both are `non_exhaustive`, and other kinds of sources add variants:
//! - A source of records (Kafka) reads records with key, value, time, partition and offset. A
//!   record whose value is one event needs no variant of `SourceRead`: the source writes the value
//!   and a line feed to the room. It adds a variant of `Position` with the next offset of each
//!   partition. Reading key, time or partition from the record itself needs a variant
//!   `SourceRead::Records` and a branch in `run/reader.rs` that passes it to the parser.
//! - A source of requests (HTTP) yields each body as text, too. It adds a variant that carries the
//!   sender of the answer, which the writer resolves when [`Sink::durable_batches`] reaches the
//!   batch of the request.
//!
//! [`Sink::durable_batches`]: super::sink::Sink::durable_batches

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A source of events as lines of text.
///
/// ```
/// use stream_processor::connectors::{Position, Source, SourceRead};
/// use stream_processor::{Error, Input, Io, Output, Pipeline, Settings, spec::PipelineSpec};
///
/// /// Yields the events of a sensor, one line a second of event time.
/// struct Sensor {
///     next: u64,
///     last: u64,
/// }
///
/// impl Source for Sensor {
///     fn read(&mut self, room: &mut [u8]) -> Result<SourceRead, Error> {
///         self.next += 1;
///         if self.next == 1 {
///             return Ok(SourceRead::InputStart("sensor".into()));
///         }
///         if self.next > self.last {
///             return Ok(SourceRead::End);
///         }
///         let line = format!("{{\"ts\": {}000, \"v\": 1}}\n", self.next);
///         room[..line.len()].copy_from_slice(line.as_bytes());
///         Ok(SourceRead::Text(line.len()))
///     }
///
///     fn position(&self) -> Position {
///         Position::Text { input: 0, offset_bytes: self.next }
///     }
///
///     fn resume(&mut self, position: &Position) -> Result<(), Error> {
///         if let Position::Text { offset_bytes, .. } = position {
///             self.next = *offset_bytes;
///         }
///         Ok(())
///     }
///
///     fn bytes_read(&self) -> u64 {
///         0
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
/// let io = Io {
///     input: Input::Source(Box::new(Sensor { next: 0, last: 100 })),
///     output: Output::Stdout,
///     dead_letter: None,
///     late: None,
/// };
/// let summary = Pipeline::new(spec)?.run(io, &Settings::default(), &mut ())?;
/// assert_eq!((summary.events, summary.rows), (99, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Source: Send {
    /// Reads the next text into `room`, which is not empty. Blocks until there is some.
    ///
    /// Lines may be cut anywhere. A live source returns what it has, because the run delays no
    /// event that was read; a file fills the room.
    ///
    /// # Errors
    /// [`Error::Read`]. The source is not read again.
    fn read(&mut self, room: &mut [u8]) -> Result<SourceRead, Error>;

    /// Returns the position behind the last read, to be stored and passed to [`Source::resume`].
    fn position(&self) -> Position;

    /// Continues at `position`, which a source of the same inputs returned. The next read starts
    /// the input of the position, whose lines are counted from there.
    ///
    /// # Errors
    /// [`Error::Read`] if the source has no such position. A source may also find that out in the
    /// next read.
    fn resume(&mut self, position: &Position) -> Result<(), Error>;

    /// Returns the bytes read so far, before decompression, for the progress of a run.
    fn bytes_read(&self) -> u64;
}

/// The result of [`Source::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceRead {
    /// An input begins, such as a file, with its name for messages. It ends the line and the CSV
    /// header of the input before.
    InputStart(String),
    /// The first bytes of the room are the next text.
    Text(usize),
    /// All inputs have ended.
    End,
}

/// A position in a source. It can be stored with serde.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Position {
    /// A position in text. For a position at the start of a line, subtract the bytes of the
    /// unfinished line from the offset.
    Text {
        /// The index of the input, such as the file.
        input: usize,
        /// The offset in that input, in bytes after decompression.
        offset_bytes: u64,
    },
}

impl Position {
    /// The start of a source of text.
    pub const START: Self = Self::Text { input: 0, offset_bytes: 0 };
}
