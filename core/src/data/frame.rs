//! What travels between stages: events in columns, each with the watermark it is judged by.

use core::ops::Range;

use crate::data::batch::Identity;
use crate::data::rows::RowColumn;
use crate::data::schema::{OutputColumn, OutputKind};
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;

/// A run of events on its way into a stage, borrowed from a batch or from a [`Frame`].
#[derive(Clone, Copy)]
pub(crate) struct Events<'a> {
    pub(crate) timestamps: &'a [i64],
    /// Ids of [`Keys`].
    pub(crate) keys: &'a [u32],
    /// The watermark that each event meets.
    pub(crate) watermarks: &'a [i64],
    pub(crate) ordinals: Ordinals<'a>,
    /// How the rows of earlier stages are ordered, as in [`Frame`]; empty for events of the source.
    pub(crate) order: RowOrder<'a>,
    pub(crate) columns: &'a [ColumnView<'a>],
    pub(crate) identities: Identities<'a>,
    /// The watermark after the last of them.
    pub(crate) watermark: i64,
}

impl<'a> Events<'a> {
    /// No events, only a watermark.
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

    /// The numbers of column `column`; empty where it is none.
    pub(crate) fn numbers(&self, column: usize) -> &'a [f64] {
        match self.columns.get(column) {
            Some(ColumnView::Number(values)) => values,
            _ => &[],
        }
    }

    /// Where the events of `range` stand in time and in the stream.
    pub(crate) fn order(&self, range: Range<usize>) -> Order<'a> {
        Order {
            ordinals: self.ordinals.skip(range.start),
            timestamps: self.timestamps.get(range).unwrap_or_default(),
        }
    }
}

/// The identities of events by each way to tell them.
#[derive(Clone, Copy)]
pub(crate) enum Identities<'a> {
    /// Of a part of a batch, between two places.
    Batch(&'a [&'a [Identity]], usize, usize),
    Frame(&'a [Vec<Identity>]),
}

impl<'a> Identities<'a> {
    /// Those of way number `way`; empty where there is none.
    pub(crate) fn of(&self, way: usize) -> &'a [Identity] {
        match self {
            Self::Batch(ways, from, to) => {
                ways.get(way).and_then(|way| way.get(*from..*to)).unwrap_or_default()
            }
            Self::Frame(ways) => ways.get(way).map(Vec::as_slice).unwrap_or_default(),
        }
    }

    fn ways(&self) -> usize {
        match self {
            Self::Batch(ways, ..) => ways.len(),
            Self::Frame(ways) => ways.len(),
        }
    }
}

/// What orders rows that an earlier stage has made, before their own times and keys do.
#[derive(Clone, Copy, Default)]
pub(crate) struct RowOrder<'a> {
    pub(crate) firing: &'a [i64],
    pub(crate) ranks: &'a [u64],
}

/// What orders events: time first, then the place in the stream.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) ordinals: Ordinals<'a>,
}

/// The places of events in the stream.
#[derive(Clone, Copy)]
pub(crate) enum Ordinals<'a> {
    From(u64),
    Listed(&'a [u64]),
}

impl Ordinals<'_> {
    /// Those from `event` on.
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

    /// The entries of `range`, as the caller sees them.
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

/// The key of all rows whose `keys` these are, if it is one.
pub(crate) fn only(keys: &[u32]) -> Option<u32> {
    let (first, others) = keys.split_first()?;
    others.iter().all(|key| key == first).then_some(*first)
}

/// Events or rows that wait: what one stage gives the next, what the last one gives the caller, what a full engine holds.
///
/// Each of them retains its key.
pub(crate) struct Frame {
    pub(crate) timestamps: Vec<i64>,
    pub(crate) keys: Vec<u32>,
    pub(crate) watermarks: Vec<i64>,
    pub(crate) ordinals: Vec<u64>,
    /// The watermark that each row waited for, the first part of the order of rows; 0 for events that wait for nothing.
    pub(crate) firing: Vec<i64>,
    /// The second part: 0 for rows that came when they were due, behind those one more than the ordinal of the event that
    /// caused a revision; for events that wait for nothing, their ordinal.
    pub(crate) ranks: Vec<u64>,
    pub(crate) columns: Vec<FrameColumn>,
    /// Identities by the ways that later stages use, which are the first ones of its events.
    pub(crate) identities: Vec<Vec<Identity>>,
    /// The watermark after the last of them.
    pub(crate) watermark: i64,
    /// Those before are done.
    pub(crate) cursor: usize,
    /// Rows that it takes; then the stage that fills it pauses.
    pub(crate) capacity: usize,
}

impl Frame {
    pub(crate) fn new(columns: &[OutputColumn], ways: usize, capacity: usize) -> Self {
        Self {
            timestamps: Vec::new(),
            keys: Vec::new(),
            watermarks: Vec::new(),
            ordinals: Vec::new(),
            firing: Vec::new(),
            ranks: Vec::new(),
            columns: columns.iter().map(|column| FrameColumn::of(column.kind)).collect(),
            identities: vec![Vec::new(); ways],
            watermark: NO_WATERMARK,
            cursor: 0,
            capacity,
        }
    }

    /// Copies what is left of `events` from `from` on, to go on with it later.
    pub(crate) fn rest_of(events: &Events<'_>, from: usize, keys: &mut Keys) -> Self {
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
            identities: (0..events.identities.ways())
                .map(|way| {
                    events.identities.of(way).get(range.clone()).unwrap_or_default().to_vec()
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

    /// Rows that it still takes.
    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.len() - self.cursor)
    }

    /// Appends the events at `places`, with the columns that this frame has of them.
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
        for (way, identities) in self.identities.iter_mut().enumerate() {
            gather(events.identities.of(way), places, identities);
        }
    }

    /// Appends the events of `range`, with the columns that this frame has of them.
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
        for (way, identities) in self.identities.iter_mut().enumerate() {
            let of_events = events.identities.of(way);
            identities.extend_from_slice(of_events.get(range.clone()).unwrap_or_default());
        }
    }

    pub(crate) fn views(&self) -> Vec<ColumnView<'_>> {
        self.columns.iter().map(FrameColumn::view).collect()
    }

    /// The events in it, as input of the next stage; `columns` are its [`Frame::views`].
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

    /// Lets go of everything.
    pub(crate) fn clear(&mut self, keys: &mut Keys) {
        self.cursor = self.len();
        self.drop_done(keys);
    }

    /// Lets go of the rows before the cursor.
    pub(crate) fn drop_done(&mut self, keys: &mut Keys) {
        let done = self.cursor;
        self.cursor = 0;
        let gone = self.keys.get(..done).unwrap_or_default();
        match only(gone) {
            Some(key) => keys.release_times(key, done),
            None => gone.iter().for_each(|key| keys.release(*key)),
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

/// Appends the entries of `from` at `places`; 0 for those that it does not have.
fn gather<T: Copy + Default>(from: &[T], places: &[u32], to: &mut Vec<T>) {
    to.extend(places.iter().map(|place| from.get(*place as usize).copied().unwrap_or_default()));
}
