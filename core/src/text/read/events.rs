//! The output of a reader: the columns of a batch, and the rejected lines.

use super::rejection::Rejection;
use crate::data::batch::Identity;
use crate::keys::interner::Interner;

/// The events of one [`super::reader::Reader::read`] by column, with the new keys and partitions
/// and the rejected lines. Each read clears the buffer and reuses its memory.
/// ```
/// use stream_processor_core::{InputSchema, text::{EventBuffer, Reader, ReaderOptions}};
/// let schema = InputSchema { timestamp: "ts".into(), key: vec!["k".into()], ..InputSchema::default() };
/// let mut reader = Reader::new(&schema, ReaderOptions::default());
/// let mut events = EventBuffer::new();
/// let bytes = b"{\"ts\":5,\"k\":\"a\"}\n{\"k\":\"a\"}\n";
/// reader.read(bytes, true, 4096, &mut events)?;
/// assert_eq!((events.len(), events.timestamps()), (1, &[5_000][..]));
/// # Ok::<(), stream_processor_core::text::HeaderError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct EventBuffer {
    pub(super) timestamps: Vec<i64>,
    pub(super) keys: Vec<u32>,
    pub(super) columns: Vec<Vec<f64>>,
    pub(super) identities: Vec<Vec<Identity>>,
    pub(super) lines: Vec<u64>,
    pub(super) spans: Vec<Span>,
    pub(super) partitions: Vec<u32>,
    pub(super) new_keys: NewIds,
    pub(super) new_partitions: NewIds,
    pub(super) reset: bool,
    pub(super) rejections: Vec<Rejection>,
    pub(super) skipped: u64,
}

/// The entries of a dictionary that are new in a buffer.
#[derive(Debug, Clone, Default)]
pub(super) struct NewIds {
    first: u32,
    ids: Vec<u32>,
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl NewIds {
    fn clear(&mut self) {
        self.first = 0;
        self.ids.clear();
        self.offsets.clear();
        self.bytes.clear();
    }

    /// Starts with a dictionary of `known` entries; later ones are new.
    pub(super) fn start(&mut self, known: usize) {
        self.clear();
        self.first = u32::try_from(known).unwrap_or(u32::MAX);
        self.offsets.push(0);
    }

    /// Copies the new entries from the dictionary.
    pub(super) fn take(&mut self, dictionary: &Interner) {
        for (id, bytes) in dictionary.entries_from(self.first) {
            self.ids.push(id);
            self.bytes.extend_from_slice(bytes);
            self.offsets.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        }
    }

    fn view(&self) -> NewKeys<'_> {
        NewKeys {
            ids: &self.ids,
            offsets: if self.offsets.is_empty() { &[0] } else { &self.offsets },
            bytes: &self.bytes,
        }
    }
}

/// The position of a line or CSV record in the bytes that were read, without its line end.
/// ```
/// use stream_processor_core::{InputSchema, text::{EventBuffer, Reader, ReaderOptions}};
/// let schema = InputSchema { timestamp: "ts".into(), key: vec!["k".into()], ..InputSchema::default() };
/// let mut reader = Reader::new(&schema, ReaderOptions::default());
/// let mut events = EventBuffer::new();
/// let bytes = b"{\"ts\":5,\"k\":\"a\"}\n{\"k\":\"a\"}\n";
/// reader.read(bytes, true, 4096, &mut events)?;
/// assert_eq!(events.spans()[0].of(bytes), b"{\"ts\":5,\"k\":\"a\"}");
/// # Ok::<(), stream_processor_core::text::HeaderError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The position of the first byte.
    pub start: u32,
    /// The position after the last byte.
    pub end: u32,
}

impl Span {
    /// Readers look at no more bytes than fit a `u32`.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let fit = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Self { start: fit(start), end: fit(end) }
    }

    /// Returns the bytes of the span; empty if `bytes` does not contain it.
    #[must_use]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or(&[])
    }
}

/// Keys that a reader has assigned ids to.
/// ```
/// use stream_processor_core::{InputSchema, text::{EventBuffer, Reader, ReaderOptions}};
/// let schema = InputSchema { timestamp: "ts".into(), key: vec!["k".into()], ..InputSchema::default() };
/// let mut reader = Reader::new(&schema, ReaderOptions::default());
/// let mut events = EventBuffer::new();
/// let bytes = b"{\"ts\":5,\"k\":\"a\"}\n{\"k\":\"a\"}\n";
/// reader.read(bytes, true, 4096, &mut events)?;
/// assert_eq!(events.new_keys().ids, [0]);
/// # Ok::<(), stream_processor_core::text::HeaderError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewKeys<'a> {
    /// The id of each key; ids are consecutive.
    pub ids: &'a [u32],
    /// The start of each key in `bytes`, followed by the end of the last one.
    pub offsets: &'a [u32],
    /// The encoded keys ([`crate::key`]), concatenated.
    pub bytes: &'a [u8],
}

impl EventBuffer {
    /// Creates an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Returns true if there are no events; there may be rejections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Returns the event times in microseconds since the epoch.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// Returns the key id of each event; empty if the pipeline names no key.
    #[must_use]
    pub fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// Returns the numbers, in the order of [`crate::InputSchema::columns`]; NaN means missing.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Returns the identities, for each of [`crate::InputSchema::identities`].
    #[must_use]
    pub fn identities(&self) -> &[Vec<Identity>] {
        &self.identities
    }

    /// Returns the line of each event; 1 for the first of the input. A CSV record has the line of
    /// its first byte.
    #[must_use]
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// Returns the position of each event's text in the bytes that were read.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Returns the keys that occur for the first time in these events.
    #[must_use]
    pub fn new_keys(&self) -> NewKeys<'_> {
        self.new_keys.view()
    }

    /// Returns the partition id of each event; empty if the pipeline names no partition.
    #[must_use]
    pub fn partitions(&self) -> &[u32] {
        &self.partitions
    }

    /// Returns the partitions that occur for the first time in these events.
    #[must_use]
    pub fn new_partitions(&self) -> NewKeys<'_> {
        self.new_partitions.view()
    }

    /// Returns true if the reader has emptied its dictionaries before these events. Ids from
    /// earlier reads are then invalid.
    #[must_use]
    pub fn reset(&self) -> bool {
        self.reset
    }

    /// Returns the rejections in the order of their lines.
    #[must_use]
    pub fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    /// Returns the number of lines that lack a key or a value, and that filters in front of the
    /// pipeline remove. They are neither events nor rejections.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Clears the buffer, but keeps its memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.keys.clear();
        self.columns.iter_mut().for_each(Vec::clear);
        self.identities.iter_mut().for_each(Vec::clear);
        self.lines.clear();
        self.spans.clear();
        self.partitions.clear();
        self.new_keys.clear();
        self.new_partitions.clear();
        self.reset = false;
        self.rejections.clear();
        self.skipped = 0;
    }

    /// Clears the buffer for events with this number of numeric columns and identity columns.
    pub(super) fn start(&mut self, columns: usize, ways: usize) {
        self.clear();
        self.columns.resize_with(columns, Vec::new);
        self.identities.resize_with(ways, Vec::new);
    }

    /// Returns true if another event and another rejection fit within `max_events`.
    pub(super) fn has_room(&self, max_events: usize) -> bool {
        self.timestamps.len() < max_events && self.rejections.len() < max_events
    }
}
