//! From series whose rows are certain to rows in columns, whole stretches at once.

use core::ops::Range;

use super::NormalizeStage;
use super::fill::Entries;
use super::layout::{Layout, Piece, cut};
use super::series::{Lane, Series};
use crate::frame::{Frame, FrameColumn};
use crate::keys::Keys;
use crate::plan::NormalizePlan;
use crate::schema::OutputColumn;

/// Series that have rows to be emitted.
#[derive(Debug)]
pub(super) struct Firing {
    /// The watermark that the rows have waited for.
    pub(super) at: i64,
    pub(super) rank: u64,
    pub(super) runs: Vec<u32>,
    /// Whether `runs` are in the order of their keys.
    pub(super) sorted: bool,
}

/// Rows at once: enough for long loops.
const MOST_ROWS: usize = 1 << 16;

/// Columns that are used again for every firing.
pub(super) struct Emitter {
    pieces: Vec<Piece>,
    layout: Layout,
    /// The rows of several series, one after another.
    scratch: Vec<FrameColumn>,
    kept: Vec<u32>,
    spare: Vec<Vec<u32>>,
}

impl Emitter {
    pub(super) fn new(columns: &[OutputColumn]) -> Self {
        Self {
            pieces: Vec::new(),
            layout: Layout::default(),
            scratch: columns.iter().map(|column| FrameColumn::of(column.kind)).collect(),
            kept: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub(super) fn take_list(&mut self) -> Vec<u32> {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, mut list: Vec<u32>) {
        list.clear();
        self.spare.push(list);
    }
}

impl NormalizeStage {
    /// Emits the rows of the firing, if there is one; false: `out` is full.
    pub(super) fn emit(&mut self, keys: &mut Keys, out: &mut Frame) -> bool {
        let Some(mut firing) = self.firing.take() else { return true };
        if !firing.sorted {
            let ranks = keys.ranks();
            firing.runs.sort_unstable_by_key(|of| {
                let key = self.series.get(*of as usize).map_or(0, |series| series.key);
                ranks.get(key as usize).copied().unwrap_or(0)
            });
            firing.sorted = true;
        }
        loop {
            let mut emitter = core::mem::replace(&mut self.emitter, Emitter::new(&[]));
            self.collect(&mut firing, &mut emitter.pieces, keys);
            let room = out.room().min(MOST_ROWS);
            let goes_on = !emitter.pieces.is_empty() && room > 0;
            let is_done = emitter.pieces.is_empty();
            if goes_on {
                cut(&mut emitter.pieces, room);
                self.emit_pieces(&mut emitter, &firing, keys, out);
            }
            self.emitter = emitter;
            if is_done {
                self.emitter.give_back(firing.runs);
                return true;
            }
            if !goes_on {
                self.firing = Some(firing);
                return false;
            }
        }
    }

    /// Lists what is left to be emitted, and settles the series that have nothing left.
    fn collect(&mut self, firing: &mut Firing, pieces: &mut Vec<Piece>, keys: &mut Keys) {
        pieces.clear();
        firing.runs.retain(|of| {
            let series = self.series.get(*of as usize);
            let Some((series, grid)) = series.and_then(|series| Some((series, series.grid?)))
            else {
                return false;
            };
            if !series.has_rows() {
                self.settle_down(*of, keys);
                return false;
            }
            let rows = series.ready.saturating_sub(series.next) / grid.interval;
            pieces.push(Piece {
                series: *of,
                key: series.key,
                from: series.next,
                interval: grid.interval,
                count: usize::try_from(rows).unwrap_or(usize::MAX).saturating_add(1),
            });
            true
        });
    }

    fn emit_pieces(
        &mut self,
        emitter: &mut Emitter,
        firing: &Firing,
        keys: &mut Keys,
        out: &mut Frame,
    ) {
        let Emitter { pieces, layout, scratch, kept, .. } = emitter;
        let start = out.len();
        let total: usize = pieces.iter().map(|piece| piece.count).sum();
        let end = start + total;
        grow(&mut out.columns, end);
        out.timestamps.resize(end, 0);
        out.keys.resize(end, 0);
        if let [piece] = pieces.as_slice() {
            self.write(piece, &mut out.columns, start);
            let rows = out.timestamps.get_mut(start..).unwrap_or_default();
            rows.iter_mut().zip(piece.times()).for_each(|(row, time)| *row = time);
            out.keys.get_mut(start..).unwrap_or_default().fill(piece.key);
        } else {
            layout.lay_out(pieces);
            scratch.iter_mut().for_each(clear);
            grow(scratch, total);
            let mut places = layout.places.as_slice();
            let mut first = 0;
            for piece in pieces.iter() {
                self.write(piece, scratch, first);
                first += piece.count;
                let Some((own, rest)) = places.split_at_checked(piece.count) else { break };
                places = rest;
                let rows = out.timestamps.get_mut(start..).unwrap_or_default();
                scatter(rows, own, piece.times());
                let rows = out.keys.get_mut(start..).unwrap_or_default();
                scatter(rows, own, core::iter::repeat(piece.key));
            }
            for (column, from) in out.columns.iter_mut().zip(scratch.iter()) {
                scatter_column(column, start, &layout.places, from);
            }
        }
        self.count(out, start);
        if !self.plan.is_last {
            drop_nulls(&self.plan, out, start, kept);
        }
        match pieces.as_slice() {
            [piece] => keys.retain_times(piece.key, out.len() - start),
            _ => {
                out.keys.iter().skip(start).for_each(|key| keys.retain(*key));
            }
        }
        let (end, rows) = (out.len(), (out.len() - start) as u64);
        // Later stages meet what was passed on before; where there is none, nobody looks.
        out.watermarks.resize(end, self.passed);
        out.firing.resize(end, firing.at);
        out.ranks.resize(end, firing.rank);
        out.ordinals.extend(self.stats.rows..self.stats.rows + rows);
        self.stats.rows += rows;
    }

    /// Counts what was filled in the rows from `start` on.
    fn count(&mut self, out: &Frame, start: usize) {
        let fields = self.plan.fields.len();
        for column in out.columns.iter().skip(fields).take(fields) {
            if let FrameColumn::Bool(filled) = column {
                let filled = filled.get(start..).unwrap_or_default();
                self.stats.filled += filled.iter().map(|filled| u64::from(*filled)).sum::<u64>();
            }
        }
    }

    /// Writes the values of `piece` to the rows of `columns` from `start` on.
    fn write(&mut self, piece: &Piece, columns: &mut [FrameColumn], start: usize) {
        let span = self.span(piece.series);
        let Self { plan, series, lanes, .. } = self;
        let lanes = lanes.get(span).unwrap_or_default();
        let Some(series) = series.get_mut(piece.series as usize) else { return };
        write_lanes(plan, series, lanes, piece, columns, start..start + piece.count);
        let rows = i64::try_from(piece.count).unwrap_or(i64::MAX);
        series.next = piece.from.saturating_add(piece.interval.saturating_mul(rows));
        if series.next == piece.from {
            // The end of time: there is no next row.
            series.ready = i64::MIN;
        }
    }
}

fn write_lanes(
    plan: &NormalizePlan,
    series: &Series,
    lanes: &[Lane],
    piece: &Piece,
    columns: &mut [FrameColumn],
    rows: Range<usize>,
) {
    let fields = plan.fields.len();
    let Some(grid) = series.grid else { return };
    for (place, (field, lane)) in plan.fields.iter().zip(lanes).enumerate() {
        let (values, rest) = columns.split_at_mut(fields);
        let (filled, flags) = rest.split_at_mut(fields);
        let flag = field.flag.and_then(|flag| flags.get_mut(flag.saturating_sub(2 * fields)));
        let (Some(FrameColumn::Number(values)), Some(FrameColumn::Bool(filled))) =
            (values.get_mut(place), filled.get_mut(place))
        else {
            continue;
        };
        let mut entries = Entries {
            values: values.get_mut(rows.clone()).unwrap_or_default(),
            filled: filled.get_mut(rows.clone()).unwrap_or_default(),
            outliers: match flag {
                Some(FrameColumn::Bool(flag)) => flag.get_mut(rows.clone()).unwrap_or_default(),
                _ => &mut [],
            },
        };
        field.rule.write(&grid, &lane.known, piece.from, &mut entries);
    }
}

/// Lets go of the rows from `start` on that have no value: they are for the sink, not for a later stage.
fn drop_nulls(plan: &NormalizePlan, out: &mut Frame, start: usize, kept: &mut Vec<u32>) {
    let values = out.columns.iter().take(plan.fields.len());
    let has_value = |row: usize| {
        values.clone().any(|column| match column {
            FrameColumn::Number(values) => values.get(row).is_some_and(|value| !value.is_nan()),
            _ => false,
        })
    };
    let rows = start..out.len();
    kept.clear();
    kept.extend(
        rows.clone().filter(|row| has_value(*row)).filter_map(|row| u32::try_from(row).ok()),
    );
    if kept.len() == rows.len() {
        return;
    }
    fn keep<T: Copy>(list: &mut Vec<T>, start: usize, kept: &[u32]) {
        for (to, from) in (start..).zip(kept) {
            let Some(value) = list.get(*from as usize).copied() else { return };
            if let Some(entry) = list.get_mut(to) {
                *entry = value;
            }
        }
        list.truncate(start + kept.len());
    }
    keep(&mut out.timestamps, start, kept);
    keep(&mut out.keys, start, kept);
    for column in &mut out.columns {
        match column {
            FrameColumn::Time(times) => keep(times, start, kept),
            FrameColumn::Number(numbers) => keep(numbers, start, kept),
            FrameColumn::Bool(bools) => keep(bools, start, kept),
        }
    }
}

/// Adds entries that are null and false, up to `length` of them.
fn grow(columns: &mut [FrameColumn], length: usize) {
    for column in columns {
        match column {
            FrameColumn::Time(times) => times.resize(length, 0),
            FrameColumn::Number(numbers) => numbers.resize(length, f64::NAN),
            FrameColumn::Bool(bools) => bools.resize(length, 0),
        }
    }
}

fn clear(column: &mut FrameColumn) {
    match column {
        FrameColumn::Time(times) => times.clear(),
        FrameColumn::Number(numbers) => numbers.clear(),
        FrameColumn::Bool(bools) => bools.clear(),
    }
}

/// Puts each of `values` to its place.
fn scatter<T>(rows: &mut [T], places: &[u32], values: impl Iterator<Item = T>) {
    for (place, value) in places.iter().zip(values) {
        if let Some(row) = rows.get_mut(*place as usize) {
            *row = value;
        }
    }
}

fn scatter_column(to: &mut FrameColumn, start: usize, places: &[u32], from: &FrameColumn) {
    match (to, from) {
        (FrameColumn::Number(to), FrameColumn::Number(from)) => {
            scatter(to.get_mut(start..).unwrap_or_default(), places, from.iter().copied());
        }
        (FrameColumn::Bool(to), FrameColumn::Bool(from)) => {
            scatter(to.get_mut(start..).unwrap_or_default(), places, from.iter().copied());
        }
        _ => {}
    }
}
