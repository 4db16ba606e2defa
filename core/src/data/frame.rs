//! Events and rows between stages, in columns, each with the watermark in effect when it arrived.
//!
//! [`Events`] is a borrowed view of a batch or a frame, the input of a stage. [`Frame`] owns rows:
//! the output of a stage, and the input that a paused engine stores. Both have parallel columns:
//!
//! ```text
//!  timestamps  keys  watermarks  ordinals  firing  ranks  columns[0..]  identities[0..]
//! ```

use core::ops::Range;

use crate::data::batch::Identity;
use crate::data::row_layout::RowLayout;
use crate::data::rows::RowColumn;
use crate::data::schema::OutputKind;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;

/// Events for a stage, borrowed from a batch or from a [`Frame`].
#[derive(Clone, Copy)]
pub(crate) struct Events<'a> {
    pub(crate) timestamps: &'a [i64],
    /// Ids of [`Keys`].
    pub(crate) keys: &'a [u32],
    /// The watermark in effect when each event arrived.
    pub(crate) watermarks: &'a [i64],
    pub(crate) ordinals: Ordinals<'a>,
    /// The order of rows of earlier stages, as in [`Frame`]; empty for events of the source.
    pub(crate) order: RowOrder<'a>,
    pub(crate) columns: &'a [ColumnView<'a>],
    pub(crate) identities: Identities<'a>,
    /// The watermark after the last event.
    pub(crate) watermark: i64,
}

impl<'a> Events<'a> {
    /// Returns a view without events, with a watermark.
    pub(crate) fn none(watermark: i64) -> Self {
        Self {
            timestamps: &[],
            keys: &[],
            watermarks: &[],
            ordinals: Ordinals::From(0),
            order: RowOrder::default(),
            columns: &[],
            identities: Identities::Frame(&[]),
            watermark,
        }
    }

    /// Returns the numbers of column `column`; empty if it has another kind.
    pub(crate) fn numbers(&self, column: usize) -> &'a [f64] {
        match self.columns.get(column) {
            Some(ColumnView::Number(values)) => values,
            _ => &[],
        }
    }

    /// Returns the entries of column `column`, 0 or 1 each; empty if it has another kind.
    pub(crate) fn bools(&self, column: usize) -> &'a [u8] {
        match self.columns.get(column) {
            Some(ColumnView::Bool(values)) => values,
            _ => &[],
        }
    }

    /// Returns the timestamps and ordinals of the events of `range`.
    pub(crate) fn order(&self, range: Range<usize>) -> Order<'a> {
        Order {
            ordinals: self.ordinals.skip(range.start),
            timestamps: self.timestamps.get(range).unwrap_or_default(),
        }
    }
}

/// The identity columns of events.
#[derive(Clone, Copy)]
pub(crate) enum Identities<'a> {
    /// Columns of a batch, restricted to a range.
    Batch(&'a [&'a [Identity]], usize, usize),
    Frame(&'a [Vec<Identity>]),
}

impl<'a> Identities<'a> {
    /// Returns column `column`; empty if there is none.
    pub(crate) fn column(&self, column: usize) -> &'a [Identity] {
        match self {
            Self::Batch(columns, from, to) => {
                columns.get(column).and_then(|ids| ids.get(*from..*to)).unwrap_or_default()
            }
            Self::Frame(columns) => columns.get(column).map(Vec::as_slice).unwrap_or_default(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Batch(columns, ..) => columns.len(),
            Self::Frame(columns) => columns.len(),
        }
    }
}

/// The sort keys of rows of an earlier stage that come before their times and keys.
#[derive(Clone, Copy, Default)]
pub(crate) struct RowOrder<'a> {
    pub(crate) firing: &'a [i64],
    pub(crate) ranks: &'a [u64],
}

/// The order of events: by timestamp, then by ordinal.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) ordinals: Ordinals<'a>,
}

/// The ordinals of events: their positions in the stream.
#[derive(Clone, Copy)]
pub(crate) enum Ordinals<'a> {
    From(u64),
    Listed(&'a [u64]),
}

impl Ordinals<'_> {
    /// Returns the ordinals from `event` on.
    pub(crate) fn skip(self, event: usize) -> Self {
        match self {
            Self::From(first) => Self::From(first.saturating_add(event as u64)),
            Self::Listed(ordinals) => Self::Listed(ordinals.get(event..).unwrap_or_default()),
        }
    }

    pub(crate) fn at(&self, event: usize) -> u64 {
        match self {
            Self::From(first) => first.saturating_add(event as u64),
            Self::Listed(ordinals) => ordinals.get(event).copied().unwrap_or(u64::MAX),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum ColumnView<'a> {
    Time(&'a [i64]),
    Number(&'a [f64]),
    Bool(&'a [u8]),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FrameColumn {
    Time(Vec<i64>),
    Number(Vec<f64>),
    /// 0 or 1.
    Bool(Vec<u8>),
}

impl FrameColumn {
    pub(crate) fn of(kind: OutputKind) -> Self {
        match kind {
            OutputKind::Time => Self::Time(Vec::new()),
            OutputKind::Number => Self::Number(Vec::new()),
            OutputKind::Bool => Self::Bool(Vec::new()),
        }
    }

    /// Returns the entries of `range` for the caller.
    pub(crate) fn rows(&self, range: Range<usize>) -> RowColumn<'_> {
        match self {
            Self::Time(times) => RowColumn::Time(times.get(range).unwrap_or_default()),
            Self::Number(numbers) => RowColumn::Number(numbers.get(range).unwrap_or_default()),
            Self::Bool(bools) => RowColumn::Bool(bools.get(range).unwrap_or_default()),
        }
    }

    pub(crate) fn view(&self) -> ColumnView<'_> {
        match self {
            Self::Time(times) => ColumnView::Time(times),
            Self::Number(numbers) => ColumnView::Number(numbers),
            Self::Bool(bools) => ColumnView::Bool(bools),
        }
    }

    /// Appends the entries at `places` of a column of the same kind.
    fn extend_at(&mut self, column: &ColumnView<'_>, places: &[u32]) {
        match (self, column) {
            (Self::Time(to), ColumnView::Time(from)) => gather(from, places, to),
            (Self::Number(to), ColumnView::Number(from)) => gather(from, places, to),
            (Self::Bool(to), ColumnView::Bool(from)) => gather(from, places, to),
            _ => {}
        }
    }

    /// Appends the entries of `range` of a column of the same kind.
    fn extend_from(&mut self, column: &ColumnView<'_>, range: Range<usize>) {
        match (self, column) {
            (Self::Time(to), ColumnView::Time(from)) => {
                to.extend_from_slice(from.get(range).unwrap_or_default());
            }
            (Self::Number(to), ColumnView::Number(from)) => {
                to.extend_from_slice(from.get(range).unwrap_or_default());
            }
            (Self::Bool(to), ColumnView::Bool(from)) => {
                to.extend_from_slice(from.get(range).unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// Returns the key that all of `keys` are, if they are all the same.
pub(crate) fn common_key(keys: &[u32]) -> Option<u32> {
    let (first, others) = keys.split_first()?;
    others.iter().all(|key| key == first).then_some(*first)
}

/// Buffered events or rows: the output of a stage, the rows that wait to be polled, or pending
/// input.
///
/// Each row retains its key in [`Keys`].
pub(crate) struct Frame {
    pub(crate) timestamps: Vec<i64>,
    pub(crate) keys: Vec<u32>,
    pub(crate) watermarks: Vec<i64>,
    pub(crate) ordinals: Vec<u64>,
    /// The watermark that each row waited for, its first sort key; 0 for passed events.
    pub(crate) firing: Vec<i64>,
    /// The second sort key: 0 for on-time rows. For a revision, the ordinal of the event that
    /// caused it, plus 1. For passed events, their ordinal.
    pub(crate) ranks: Vec<u64>,
    pub(crate) columns: Vec<FrameColumn>,
    /// The identity columns that later stages use: the first ones of the input.
    pub(crate) identities: Vec<Vec<Identity>>,
    /// The watermark after the last row.
    pub(crate) watermark: i64,
    /// The number of rows that are already consumed.
    pub(crate) cursor: usize,
    /// The number of waiting rows at which the stage that fills the frame pauses.
    pub(crate) capacity: usize,
}

impl Frame {
    pub(crate) fn new(layout: &RowLayout, identity_columns: usize, capacity: usize) -> Self {
        Self {
            timestamps: Vec::new(),
            keys: Vec::new(),
            watermarks: Vec::new(),
            ordinals: Vec::new(),
            firing: Vec::new(),
            ranks: Vec::new(),
            columns: layout.empty_columns(),
            identities: vec![Vec::new(); identity_columns],
            watermark: NO_WATERMARK,
            cursor: 0,
            capacity,
        }
    }

    /// Copies `events` from number `from` on, to process them later.
    pub(crate) fn copy_remaining(events: &Events<'_>, from: usize, keys: &mut Keys) -> Self {
        let range = from.min(events.timestamps.len())..events.timestamps.len();
        let copy = |column: &ColumnView<'_>| {
            let mut copy = match column {
                ColumnView::Time(_) => FrameColumn::Time(Vec::new()),
                ColumnView::Number(_) => FrameColumn::Number(Vec::new()),
                ColumnView::Bool(_) => FrameColumn::Bool(Vec::new()),
            };
            copy.extend_from(column, range.clone());
            copy
        };
        let kept = events.keys.get(range.clone()).unwrap_or_default().to_vec();
        for key in &kept {
            keys.retain(*key);
        }
        Self {
            timestamps: events.timestamps.get(range.clone()).unwrap_or_default().to_vec(),
            keys: kept,
            watermarks: events.watermarks.get(range.clone()).unwrap_or_default().to_vec(),
            ordinals: range.clone().map(|event| events.ordinals.at(event)).collect(),
            firing: Vec::new(),
            ranks: Vec::new(),
            columns: events.columns.iter().map(copy).collect(),
            identities: (0..events.identities.count())
                .map(|column| {
                    events.identities.column(column).get(range.clone()).unwrap_or_default().to_vec()
                })
                .collect(),
            watermark: events.watermark,
            cursor: 0,
            capacity: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Returns the number of rows that can be added before the frame is full.
    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.len() - self.cursor)
    }

    /// Appends the events at `places`, with the columns that this frame has.
    pub(crate) fn push_events(&mut self, events: &Events<'_>, places: &[u32], keys: &mut Keys) {
        let Events { order, ordinals, .. } = events;
        let first = self.ordinals.len();
        self.ordinals.extend(places.iter().map(|place| ordinals.at(*place as usize)));
        if order.ranks.is_empty() {
            self.ranks.extend(self.ordinals.iter().skip(first));
        } else {
            gather(order.ranks, places, &mut self.ranks);
        }
        gather(order.firing, places, &mut self.firing);
        let first = self.keys.len();
        gather(events.keys, places, &mut self.keys);
        for key in self.keys.iter().skip(first) {
            keys.retain(*key);
        }
        gather(events.timestamps, places, &mut self.timestamps);
        gather(events.watermarks, places, &mut self.watermarks);
        for (column, view) in self.columns.iter_mut().zip(events.columns) {
            column.extend_at(view, places);
        }
        for (column, identities) in self.identities.iter_mut().enumerate() {
            gather(events.identities.column(column), places, identities);
        }
    }

    /// Appends the events of `range`, with the columns that this frame has.
    pub(crate) fn push_run(&mut self, events: &Events<'_>, range: Range<usize>, keys: &mut Keys) {
        let Events { order, ordinals, .. } = events;
        let first = self.ordinals.len();
        self.ordinals.extend(range.clone().map(|place| ordinals.at(place)));
        match order.firing.get(range.clone()).filter(|firing| firing.len() == range.len()) {
            Some(firing) => self.firing.extend_from_slice(firing),
            None => self.firing.resize(self.firing.len() + range.len(), 0),
        }
        match order.ranks.get(range.clone()).filter(|ranks| ranks.len() == range.len()) {
            Some(ranks) => self.ranks.extend_from_slice(ranks),
            None => self.ranks.extend_from_slice(self.ordinals.get(first..).unwrap_or_default()),
        }
        let run = events.keys.get(range.clone()).unwrap_or_default();
        run.iter().for_each(|key| keys.retain(*key));
        self.keys.extend_from_slice(run);
        let timestamps = events.timestamps.get(range.clone()).unwrap_or_default();
        self.timestamps.extend_from_slice(timestamps);
        let watermarks = events.watermarks.get(range.clone()).unwrap_or_default();
        self.watermarks.extend_from_slice(watermarks);
        for (column, view) in self.columns.iter_mut().zip(events.columns) {
            column.extend_from(view, range.clone());
        }
        for (column, identities) in self.identities.iter_mut().enumerate() {
            let of_events = events.identities.column(column);
            identities.extend_from_slice(of_events.get(range.clone()).unwrap_or_default());
        }
    }

    pub(crate) fn views(&self) -> Vec<ColumnView<'_>> {
        self.columns.iter().map(FrameColumn::view).collect()
    }

    /// Returns the rows as input of the next stage; `columns` are its [`Frame::views`].
    pub(crate) fn events<'a>(&'a self, columns: &'a [ColumnView<'a>]) -> Events<'a> {
        Events {
            timestamps: &self.timestamps,
            keys: &self.keys,
            watermarks: &self.watermarks,
            ordinals: Ordinals::Listed(&self.ordinals),
            order: RowOrder { firing: &self.firing, ranks: &self.ranks },
            columns,
            identities: Identities::Frame(&self.identities),
            watermark: self.watermark,
        }
    }

    /// Removes all rows.
    pub(crate) fn clear(&mut self, keys: &mut Keys) {
        self.cursor = self.len();
        self.discard_consumed(keys);
    }

    /// Removes the rows before the cursor and releases their keys.
    pub(crate) fn discard_consumed(&mut self, keys: &mut Keys) {
        let done = self.cursor;
        self.cursor = 0;
        let released = self.keys.get(..done).unwrap_or_default();
        match common_key(released) {
            Some(key) => keys.release_times(key, done),
            None => released.iter().for_each(|key| keys.release(*key)),
        }
        self.keys.drain(..done);
        self.timestamps.drain(..done);
        self.watermarks.drain(..done);
        self.ordinals.drain(..done);
        self.firing.drain(..done.min(self.firing.len()));
        self.ranks.drain(..done.min(self.ranks.len()));
        for column in &mut self.columns {
            match column {
                FrameColumn::Time(times) => drop(times.drain(..done)),
                FrameColumn::Number(numbers) => drop(numbers.drain(..done)),
                FrameColumn::Bool(bools) => drop(bools.drain(..done)),
            }
        }
        for identities in &mut self.identities {
            identities.drain(..done);
        }
    }
}

/// Appends the entries of `from` at `places`; 0 for places beyond its end.
fn gather<T: Copy + Default>(from: &[T], places: &[u32], to: &mut Vec<T>) {
    to.extend(places.iter().map(|place| from.get(*place as usize).copied().unwrap_or_default()));
}
