//! Where a reader puts what it reads: the columns of a batch, and what it refused.

use super::rejection::Rejection;
use crate::data::batch::Identity;
use crate::keys::interner::Interner;

/// The events of one [`super::reader::Reader::read`], column by column, with the keys and partitions that it met first and the lines that it
/// refused. Reading clears it and keeps its memory.
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
}

/// Entries of a dictionary that are new in a buffer.
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

    /// Those that come to a dictionary with `known` entries are new.
    pub(super) fn start(&mut self, known: usize) {
        self.clear();
        self.first = u32::try_from(known).unwrap_or(u32::MAX);
        self.offsets.push(0);
    }

    /// Copies those that are new out of the dictionary.
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

/// Where a line, or a record of CSV, stands in the bytes that were read, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: u32,
    /// The byte after its last one.
    pub end: u32,
}

impl Span {
    /// Readers look at no more bytes than fit.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let fit = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Self { start: fit(start), end: fit(end) }
    }

    /// The bytes of the span; empty if `bytes` does not hold it.
    #[must_use]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or(&[])
    }
}

/// Keys that a reader has given ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewKeys<'a> {
    /// The id of each key: each is one more than the one before.
    pub ids: &'a [u32],
    /// Where each key starts in `bytes`, and the end of the last one.
    pub offsets: &'a [u32],
    /// The encoded keys ([`crate::key`]), end to end.
    pub bytes: &'a [u8],
}

impl EventBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are no events; there may be rejections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// The event times, microseconds since the epoch.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// The id of each event's key; empty where the pipeline names no key.
    #[must_use]
    pub fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// The numbers, in the order of [`crate::InputSchema::columns`]; NaN is missing.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// The identities, by each of [`crate::InputSchema::identities`].
    #[must_use]
    pub fn identities(&self) -> &[Vec<Identity>] {
        &self.identities
    }

    /// The line of each event, 1 for the first of the input; a record of CSV has that of its first byte.
    #[must_use]
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// Where the text of each event stands in the bytes that were read.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The keys that these events are the first ones to have.
    #[must_use]
    pub fn new_keys(&self) -> NewKeys<'_> {
        self.new_keys.view()
    }

    /// The id of each event's partition; empty where the pipeline names none.
    #[must_use]
    pub fn partitions(&self) -> &[u32] {
        &self.partitions
    }

    /// The partitions that these events are the first ones to have.
    #[must_use]
    pub fn new_partitions(&self) -> NewKeys<'_> {
        self.new_partitions.view()
    }

    /// Whether the reader has emptied its dictionaries before these events: ids from earlier reads mean nothing any more.
    #[must_use]
    pub fn reset(&self) -> bool {
        self.reset
    }

    /// What was refused, in the order of the lines.
    #[must_use]
    pub fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    /// Forgets everything, keeps the memory.
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
    }

    /// Clears the buffer for events with `columns` columns and `ways` to tell identities.
    pub(super) fn start(&mut self, columns: usize, ways: usize) {
        self.clear();
        self.columns.resize_with(columns, Vec::new);
        self.identities.resize_with(ways, Vec::new);
    }

    /// Whether another event and another rejection fit under `max_events`.
    pub(super) fn has_room(&self, max_events: usize) -> bool {
        self.timestamps.len() < max_events && self.rejections.len() < max_events
    }
}
