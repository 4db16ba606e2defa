//! From series whose rows are certain to rows in columns, whole stretches at once.

use super::NormalizeStage;
use super::fill::Entries;
use super::layout::{Layout, Piece, cut};
use crate::data::frame::{Frame, FrameColumn};
use crate::data::schema::OutputColumn;
use crate::keys::Keys;
use crate::plan::NormalizePlan;

/// Rows at once: enough for long loops.
pub(super) const MOST_ROWS: usize = 1 << 16;

/// Columns that are used again whenever rows of several series come together.
pub(super) struct Emitter {
    layout: Layout,
    /// The rows of several series, one after another.
    scratch: Vec<FrameColumn>,
    kept: Vec<u32>,
}

impl Emitter {
    pub(super) fn new(columns: &[OutputColumn]) -> Self {
        Self {
            layout: Layout::default(),
            scratch: columns.iter().map(|column| FrameColumn::of(column.kind)).collect(),
            kept: Vec::new(),
        }
    }
}

impl NormalizeStage {
    /// Emits the pending rows; false: `out` is full.
    pub(super) fn emit(&mut self, keys: &mut Keys, out: &mut Frame) -> bool {
        while self.emitted < self.pending.len() {
            let room = out.room().min(MOST_ROWS);
            if room == 0 {
                return false;
            }
            self.emit_some(room, keys, out);
        }
        self.pending.clear();
        self.emitted = 0;
        while let Some(of) = self.touched.pop() {
            self.settle_down(of, keys);
        }
        true
    }

    /// Emits as many of the pending rows as there is `room` for.
    fn emit_some(&mut self, room: usize, keys: &mut Keys, out: &mut Frame) {
        let pending = self.pending.get(self.emitted..).unwrap_or_default();
        let groups = pending.chunk_by(|a, b| a.firing == b.firing);
        let (mut pieces, mut rows) = (0, 0_usize);
        for group in groups {
            let more = group.iter().map(|piece| piece.count).fold(rows, usize::saturating_add);
            if more > room {
                break;
            }
            (pieces, rows) = (pieces + group.len(), more);
        }
        let first = self.emitted;
        if pieces > 0 {
            self.emitted += pieces;
            let mut pending = core::mem::take(&mut self.pending);
            self.emit_pieces(pending.get(first..self.emitted).unwrap_or_default(), keys, out);
            core::mem::swap(&mut self.pending, &mut pending);
        } else {
            let part = self.take_part(room);
            self.emit_pieces(&part, keys, out);
        }
    }

    /// Takes the first rows of a group for which there is not enough room.
    fn take_part(&mut self, room: usize) -> Vec<Piece> {
        let pending = self.pending.get_mut(self.emitted..).unwrap_or_default();
        let Some(group) = pending.chunk_by_mut(|a, b| a.firing == b.firing).next() else {
            return Vec::new();
        };
        let counts = cut(group, room);
        let taken =
            group.iter().zip(&counts).map(|(piece, count)| Piece { count: *count, ..*piece });
        let part = taken.filter(|piece| piece.count > 0).collect();
        for (piece, count) in group.iter_mut().zip(&counts) {
            piece.from = piece.after(*count);
            piece.count -= count;
        }
        // What is left stands at the end of the group.
        let mut end = group.len();
        for at in (0..group.len()).rev() {
            if group.get(at).is_some_and(|piece| piece.count > 0) {
                end -= 1;
                group.swap(at, end);
            }
        }
        self.emitted += end;
        part
    }

    /// Emits whole groups.
    fn emit_pieces(&mut self, pieces: &[Piece], keys: &mut Keys, out: &mut Frame) {
        let start = out.len();
        let total: usize = pieces.iter().map(|piece| piece.count).sum();
        let end = start + total;
        grow(&mut out.columns, end);
        out.timestamps.resize(end, 0);
        out.keys.resize(end, 0);
        out.firing.resize(end, 0);
        out.ranks.resize(end, 0);
        let mut at = start;
        let mut rest = pieces;
        while let Some((stretch, later)) = rest.split_at_checked(stretch_of(rest)) {
            let Some(first) = stretch.first() else { break };
            rest = later;
            let rows: usize = stretch.iter().map(|piece| piece.count).sum();
            if stretch.last().is_some_and(|last| stretch.len() > 1 && last.firing == first.firing) {
                self.write_side_by_side(stretch, out, at);
            } else {
                self.write(&Piece { count: rows, ..*first }, &mut out.columns, at);
                let times = out.timestamps.get_mut(at..at + rows).unwrap_or_default();
                write_times(times, first.from, first.interval);
                out.keys.get_mut(at..at + rows).unwrap_or_default().fill(first.key);
            }
            for piece in stretch {
                let range = at..at + piece.count;
                out.firing.get_mut(range.clone()).unwrap_or_default().fill(piece.firing.0);
                if piece.firing.1 != 0 {
                    out.ranks.get_mut(range.clone()).unwrap_or_default().fill(piece.firing.1);
                }
                at = range.end;
            }
        }
        self.complete(start, keys, out);
    }

    /// Writes a group of several series.
    fn write_side_by_side(&mut self, pieces: &[Piece], out: &mut Frame, start: usize) {
        let mut emitter = core::mem::replace(&mut self.emitter, Emitter::new(&[]));
        let Emitter { layout, scratch, .. } = &mut emitter;
        layout.lay_out(pieces, start);
        scratch.iter_mut().for_each(clear);
        grow(scratch, layout.places.len());
        let mut places = layout.places.as_slice();
        let mut first = 0;
        for piece in pieces {
            self.write(piece, scratch, first);
            first += piece.count;
            let Some((own, rest)) = places.split_at_checked(piece.count) else { break };
            places = rest;
            scatter(&mut out.timestamps, own, piece.times());
            scatter(&mut out.keys, own, core::iter::repeat(piece.key));
        }
        for (column, from) in out.columns.iter_mut().zip(scratch.iter()) {
            scatter_column(column, &layout.places, from);
        }
        self.emitter = emitter;
    }

    /// Does the rest for the rows from `start` on.
    pub(super) fn complete(&mut self, start: usize, keys: &mut Keys, out: &mut Frame) {
        let fields = self.plan.fields.len();
        for column in out.columns.iter().skip(fields).take(fields) {
            if let FrameColumn::Bool(filled) = column {
                let filled = filled.get(start..).unwrap_or_default();
                self.stats.filled += filled.iter().map(|filled| u64::from(*filled)).sum::<u64>();
            }
        }
        // Rows of one instant meet the watermark just below it; those of a run have theirs already.
        out.watermarks.resize(out.len(), self.passed);
        if !self.plan.is_last {
            drop_nulls(&self.plan, out, start, &mut self.emitter.kept);
        }
        for run in out.keys.get(start..).unwrap_or_default().chunk_by(|a, b| a == b) {
            keys.retain_times(run.first().copied().unwrap_or(0), run.len());
        }
        let rows = (out.len() - start) as u64;
        out.ordinals.extend(self.stats.rows..self.stats.rows + rows);
        self.stats.rows += rows;
    }

    /// Writes the values of `piece` to the rows of `columns` from `start` on.
    fn write(&mut self, piece: &Piece, columns: &mut [FrameColumn], start: usize) {
        let span = self.span(piece.series);
        let Self { plan, series, lanes, .. } = self;
        let lanes = lanes.get_mut(span).unwrap_or_default();
        let grid = series.get(piece.series as usize).and_then(|series| series.grid);
        let Some(grid) = grid else { return };
        let rows = start..start + piece.count;
        let fields = plan.fields.len();
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
            let behind = lane.read_until(piece.from);
            field.rule.write(&grid, &lane.known, behind, piece.from, &mut entries);
        }
    }
}

/// How many of the first of `pieces` are written together: all that have waited for the same, or those of one series that
/// follow each other, where each has waited for something else.
fn stretch_of(pieces: &[Piece]) -> usize {
    let Some(first) = pieces.first() else { return 0 };
    let group = |piece: &Piece| piece.firing == first.firing;
    let together = pieces.iter().take_while(|piece| group(piece)).count();
    if together > 1 {
        return together;
    }
    let follows = |trio: &[Piece]| match trio {
        [before, piece, behind @ ..] => {
            piece.series == before.series
                && piece.from == before.after(before.count)
                && behind.first().is_none_or(|behind| behind.firing != piece.firing)
        }
        _ => false,
    };
    let after = (1..pieces.len()).take_while(|at| {
        let end = pieces.len().min(at + 2);
        follows(pieces.get(at - 1..end).unwrap_or_default())
    });
    1 + after.count()
}

pub(super) fn write_times(times: &mut [i64], from: i64, interval: i64) {
    let mut next = from;
    for time in times {
        *time = next;
        // Of all but the last it is the time of a row.
        next = next.wrapping_add(interval);
    }
}

/// Lets go of the rows from `start` on that have no value: they are for the sink, not for a later stage.
fn drop_nulls(plan: &NormalizePlan, out: &mut Frame, start: usize, kept: &mut Vec<u32>) {
    let values = out.columns.iter().take(plan.fields.len());
    let is_complete = |column: &FrameColumn| match column {
        FrameColumn::Number(values) => has_no_null(values.get(start..).unwrap_or_default()),
        _ => false,
    };
    if values.clone().any(is_complete) {
        return;
    }
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
    keep(&mut out.firing, start, kept);
    keep(&mut out.watermarks, start, kept);
    keep(&mut out.ranks, start, kept);
    for column in &mut out.columns {
        match column {
            FrameColumn::Time(times) => keep(times, start, kept),
            FrameColumn::Number(numbers) => keep(numbers, start, kept),
            FrameColumn::Bool(bools) => keep(bools, start, kept),
        }
    }
}

#[inline(never)]
fn has_no_null(values: &[f64]) -> bool {
    values.iter().fold(true, |all, value| all & !value.is_nan())
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

fn scatter_column(to: &mut FrameColumn, places: &[u32], from: &FrameColumn) {
    match (to, from) {
        (FrameColumn::Number(to), FrameColumn::Number(from)) => {
            scatter(to, places, from.iter().copied());
        }
        (FrameColumn::Bool(to), FrameColumn::Bool(from)) => {
            scatter(to, places, from.iter().copied());
        }
        _ => {}
    }
}
