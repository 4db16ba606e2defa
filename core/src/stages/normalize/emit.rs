//! Emission: writes pending row runs to the output columns, many rows per loop.

use super::NormalizeStage;
use super::fill::GridEntries;
use super::layout::{RowPositions, RowRun, rows_that_fit};
use crate::data::frame::{Frame, FrameColumn};
use crate::data::row_layout::RowLayout;
use crate::keys::Keys;
use crate::plan::{FieldColumns, NormalizePlan};

/// Maximum number of rows written at once: enough for long loops.
pub(super) const MAX_ROWS_AT_ONCE: usize = 1 << 16;

/// Scratch space to interleave rows of several series.
pub(super) struct Emitter {
    positions: RowPositions,
    /// Rows of several series, one row run after another.
    scratch: Vec<FrameColumn>,
    kept: Vec<u32>,
}

impl Emitter {
    pub(super) fn new(layout: &RowLayout) -> Self {
        Self {
            positions: RowPositions::default(),
            scratch: layout.empty_columns(),
            kept: Vec::new(),
        }
    }
}

impl NormalizeStage {
    /// Emits the pending rows. Returns false if `out` is full.
    pub(super) fn emit(&mut self, keys: &mut Keys, out: &mut Frame) -> bool {
        while self.emitted < self.pending.len() {
            let room = out.room().min(MAX_ROWS_AT_ONCE);
            if room == 0 {
                return false;
            }
            self.emit_up_to(room, keys, out);
        }
        self.pending.clear();
        self.emitted = 0;
        while let Some(series_id) = self.touched.pop() {
            self.finish_series(series_id, keys);
        }
        true
    }

    /// Emits as many pending rows as fit in `room`.
    fn emit_up_to(&mut self, room: usize, keys: &mut Keys, out: &mut Frame) {
        let pending = self.pending.get(self.emitted..).unwrap_or_default();
        let groups = pending.chunk_by(|a, b| a.firing == b.firing);
        let (mut row_runs, mut rows) = (0, 0_usize);
        for group in groups {
            let more = group.iter().map(|row_run| row_run.count).fold(rows, usize::saturating_add);
            if more > room {
                break;
            }
            (row_runs, rows) = (row_runs + group.len(), more);
        }
        let first = self.emitted;
        if row_runs > 0 {
            self.emitted += row_runs;
            let mut pending = core::mem::take(&mut self.pending);
            self.emit_row_runs(pending.get(first..self.emitted).unwrap_or_default(), keys, out);
            core::mem::swap(&mut self.pending, &mut pending);
        } else {
            let head = self.split_group(room);
            self.emit_row_runs(&head, keys, out);
        }
    }

    /// Removes the first rows of a group that does not fit in `room` as a whole, and returns them.
    fn split_group(&mut self, room: usize) -> Vec<RowRun> {
        let pending = self.pending.get_mut(self.emitted..).unwrap_or_default();
        let Some(group) = pending.chunk_by_mut(|a, b| a.firing == b.firing).next() else {
            return Vec::new();
        };
        let counts = rows_that_fit(group, room);
        let taken =
            group.iter().zip(&counts).map(|(row_run, count)| RowRun { count: *count, ..*row_run });
        let head = taken.filter(|row_run| row_run.count > 0).collect();
        for (row_run, count) in group.iter_mut().zip(&counts) {
            row_run.from = row_run.after(*count);
            row_run.count -= count;
        }
        // Moves row runs that have rows left to the end of the group.
        let mut end = group.len();
        for at in (0..group.len()).rev() {
            if group.get(at).is_some_and(|row_run| row_run.count > 0) {
                end -= 1;
                group.swap(at, end);
            }
        }
        self.emitted += end;
        head
    }

    /// Emits whole groups.
    fn emit_row_runs(&mut self, row_runs: &[RowRun], keys: &mut Keys, out: &mut Frame) {
        let start = out.len();
        let total: usize = row_runs.iter().map(|row_run| row_run.count).sum();
        let end = start + total;
        resize_columns(&mut out.columns, end);
        out.timestamps.resize(end, 0);
        out.keys.resize(end, 0);
        out.firing.resize(end, 0);
        out.ranks.resize(end, 0);
        let mut at = start;
        let mut rest = row_runs;
        while let Some((batch, later)) = rest.split_at_checked(batch_len(rest)) {
            let Some(first) = batch.first() else { break };
            rest = later;
            let rows: usize = batch.iter().map(|row_run| row_run.count).sum();
            if batch.last().is_some_and(|last| batch.len() > 1 && last.firing == first.firing) {
                self.write_interleaved(batch, out, at);
            } else {
                self.write(&RowRun { count: rows, ..*first }, &mut out.columns, at);
                let times = out.timestamps.get_mut(at..at + rows).unwrap_or_default();
                write_times(times, first.from, first.interval);
                out.keys.get_mut(at..at + rows).unwrap_or_default().fill(first.key);
            }
            for row_run in batch {
                let range = at..at + row_run.count;
                out.firing.get_mut(range.clone()).unwrap_or_default().fill(row_run.firing.0);
                if row_run.firing.1 != 0 {
                    out.ranks.get_mut(range.clone()).unwrap_or_default().fill(row_run.firing.1);
                }
                at = range.end;
            }
        }
        self.finish_rows(start, keys, out);
    }

    /// Writes row runs of several series, interleaved by time and key.
    fn write_interleaved(&mut self, row_runs: &[RowRun], out: &mut Frame, start: usize) {
        let mut emitter =
            core::mem::replace(&mut self.emitter, Emitter::new(&RowLayout::default()));
        let Emitter { positions: interleaved, scratch, .. } = &mut emitter;
        interleaved.lay_out(row_runs, start);
        scratch.iter_mut().for_each(clear);
        resize_columns(scratch, interleaved.positions.len());
        let mut positions = interleaved.positions.as_slice();
        let mut first = 0;
        for row_run in row_runs {
            self.write(row_run, scratch, first);
            first += row_run.count;
            let Some((own, rest)) = positions.split_at_checked(row_run.count) else { break };
            positions = rest;
            scatter(&mut out.timestamps, own, row_run.times());
            scatter(&mut out.keys, own, core::iter::repeat(row_run.key));
        }
        for (column, from) in out.columns.iter_mut().zip(scratch.iter()) {
            scatter_column(column, &interleaved.positions, from);
        }
        self.emitter = emitter;
    }

    /// Completes the rows from `start` on: counters, watermarks, key references and ordinals.
    pub(super) fn finish_rows(&mut self, start: usize, keys: &mut Keys, out: &mut Frame) {
        for field in &self.plan.fields {
            if let Some(FrameColumn::Bool(filled)) = out.columns.get(field.columns.filled) {
                let filled = filled.get(start..).unwrap_or_default();
                self.stats.filled += filled.iter().map(|filled| u64::from(*filled)).sum::<u64>();
            }
        }
        // These rows get the watermark just below their firing; rows of the fast path already have
        // theirs.
        out.watermarks.resize(out.len(), self.output_watermark);
        if !self.plan.is_last {
            drop_null_rows(&self.plan, out, start, &mut self.emitter.kept);
        }
        for run in out.keys.get(start..).unwrap_or_default().chunk_by(|a, b| a == b) {
            keys.retain_times(run.first().copied().unwrap_or(0), run.len());
        }
        let rows = (out.len() - start) as u64;
        out.ordinals.extend(self.stats.rows..self.stats.rows + rows);
        self.stats.rows += rows;
    }

    /// Writes the values of `row_run` to the rows of `columns` from `start` on.
    fn write(&mut self, row_run: &RowRun, columns: &mut [FrameColumn], start: usize) {
        let field_range = self.field_range(row_run.series);
        let Self { plan, series, field_series, .. } = self;
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        let grid = series.get(row_run.series as usize).and_then(|series| series.grid);
        let Some(grid) = grid else { return };
        let rows = start..start + row_run.count;
        for (field, state) in plan.fields.iter().zip(field_series) {
            let Some((values, filled, outliers)) = columns_of(field.columns, columns) else {
                continue;
            };
            let mut entries = GridEntries {
                values: values.get_mut(rows.clone()).unwrap_or_default(),
                filled: filled.get_mut(rows.clone()).unwrap_or_default(),
                outliers: match outliers {
                    Some(outliers) => outliers.get_mut(rows.clone()).unwrap_or_default(),
                    None => &mut [],
                },
            };
            let points_before = state.count_before(row_run.from);
            field.rule.write(&grid, &state.known, points_before, row_run.from, &mut entries);
        }
    }
}

/// The columns of one field: values, fill flags, and outlier flags if they were asked for.
type ColumnsOfField<'a> = (&'a mut Vec<f64>, &'a mut Vec<u8>, Option<&'a mut Vec<u8>>);

/// Returns the columns of the field with the positions `at`.
pub(super) fn columns_of(
    at: FieldColumns,
    columns: &mut [FrameColumn],
) -> Option<ColumnsOfField<'_>> {
    let (values, filled, outliers) = match at.outlier {
        Some(outlier) => {
            let [values, filled, outliers] =
                columns.get_disjoint_mut([at.value, at.filled, outlier]).ok()?;
            (values, filled, Some(outliers))
        }
        None => {
            let [values, filled] = columns.get_disjoint_mut([at.value, at.filled]).ok()?;
            (values, filled, None)
        }
    };
    let outliers = match outliers {
        Some(FrameColumn::Bool(outliers)) => Some(outliers),
        _ => None,
    };
    match (values, filled) {
        (FrameColumn::Number(values), FrameColumn::Bool(filled)) => {
            Some((values, filled, outliers))
        }
        _ => None,
    }
}

/// Returns how many of the first `row_runs` are written together: one group with the same firing,
/// or consecutive row runs of one series.
fn batch_len(row_runs: &[RowRun]) -> usize {
    let Some(first) = row_runs.first() else { return 0 };
    let group = |row_run: &RowRun| row_run.firing == first.firing;
    let together = row_runs.iter().take_while(|row_run| group(row_run)).count();
    if together > 1 {
        return together;
    }
    let follows = |trio: &[RowRun]| match trio {
        [before, row_run, next @ ..] => {
            row_run.series == before.series
                && row_run.from == before.after(before.count)
                && next.first().is_none_or(|next| next.firing != row_run.firing)
        }
        _ => false,
    };
    let after = (1..row_runs.len()).take_while(|at| {
        let end = row_runs.len().min(at + 2);
        follows(row_runs.get(at - 1..end).unwrap_or_default())
    });
    1 + after.count()
}

/// Writes the times of consecutive rows.
pub(super) fn write_times(times: &mut [i64], from: i64, interval: i64) {
    let mut next = from;
    for time in times {
        *time = next;
        // After the last row the value is not used.
        next = next.wrapping_add(interval);
    }
}

/// Drops rows without any value from `start` on: the sink gets them, later stages do not.
fn drop_null_rows(plan: &NormalizePlan, out: &mut Frame, start: usize, kept: &mut Vec<u32>) {
    let values = plan.fields.iter().filter_map(|field| out.columns.get(field.columns.value));
    let is_complete = |column: &FrameColumn| match column {
        FrameColumn::Number(values) => is_without_null(values.get(start..).unwrap_or_default()),
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

/// Returns true if no value is NaN.
#[inline(never)]
fn is_without_null(values: &[f64]) -> bool {
    values.iter().fold(true, |all, value| all & !value.is_nan())
}

/// Extends all columns to `length` with nulls and false.
fn resize_columns(columns: &mut [FrameColumn], length: usize) {
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

/// Writes each of `values` to its position.
fn scatter<T>(rows: &mut [T], positions: &[u32], values: impl Iterator<Item = T>) {
    for (position, value) in positions.iter().zip(values) {
        if let Some(row) = rows.get_mut(*position as usize) {
            *row = value;
        }
    }
}

fn scatter_column(to: &mut FrameColumn, positions: &[u32], from: &FrameColumn) {
    match (to, from) {
        (FrameColumn::Number(to), FrameColumn::Number(from)) => {
            scatter(to, positions, from.iter().copied());
        }
        (FrameColumn::Bool(to), FrameColumn::Bool(from)) => {
            scatter(to, positions, from.iter().copied());
        }
        _ => {}
    }
}
