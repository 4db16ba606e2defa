//! Samples of one series in order: whole runs of them, without branches for the places that they belong to.

use super::cells::{Cell, keeps_all, merge};
use super::grid::Grid;
use super::series::{Lane, Series};
use super::steps::Steps;
use crate::plan::FieldPlan;
use crate::spec::Reduce;

/// Samples at once.
const BLOCK: usize = 256;

/// Samples of one series, as they come. All lists are of one length.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    pub(super) times: &'a [i64],
    pub(super) watermarks: &'a [i64],
    pub(super) values: &'a [f64],
}

/// Where places and cells are made before they join those of the series: the last ones before come first.
#[derive(Debug)]
pub(super) struct Scratch {
    places: Vec<i64>,
    cells: Vec<Cell>,
}

impl Default for Scratch {
    fn default() -> Self {
        let none = Cell { place: 0, time: 0, value: 0.0 };
        Self { places: vec![0; BLOCK + 1], cells: vec![none; BLOCK + 1] }
    }
}

/// How far a run goes.
struct Run {
    samples: usize,
    /// Places and cells behind the last ones before.
    places: usize,
    cells: usize,
}

/// Takes `samples` of a series with one field as long as each has a value, is on time and comes in order. Returns how many.
pub(super) fn take(
    field: &FieldPlan,
    series: &mut Series,
    lane: &mut Lane,
    samples: Samples<'_>,
    scratch: &mut Scratch,
) -> usize {
    let mut taken = 0;
    let times = samples.times.chunks(BLOCK).zip(samples.watermarks.chunks(BLOCK));
    for ((times, watermarks), values) in times.zip(samples.values.chunks(BLOCK)) {
        let found = take_block(field, series, lane, Samples { times, watermarks, values }, scratch);
        taken += found;
        if found < times.len() {
            break;
        }
    }
    taken
}

fn take_block(
    field: &FieldPlan,
    series: &mut Series,
    lane: &mut Lane,
    samples: Samples<'_>,
    scratch: &mut Scratch,
) -> usize {
    let (Some(grid), Some(time)) = (series.grid, samples.times.first()) else { return 0 };
    let cells = &mut lane.cells.list;
    let (waits, place, cell) = match (series.places.last(), cells.last()) {
        (Some(&place), Some(&cell)) if cell.place == place => (true, place, cell),
        (None, None) => (false, series.closed, Cell { place: 0, time: i64::MIN, value: 0.0 }),
        _ => return 0,
    };
    if let (Some(first), Some(known)) = (scratch.places.first_mut(), scratch.cells.first_mut()) {
        (*first, *known) = (place, cell);
    }
    let origin = if waits { place } else { grid.place_of(*time) };
    let run = run(field.reduce, &grid, origin, series.closed, samples, scratch);
    if run.samples == 0 {
        return 0;
    }
    // The last ones before may have changed: they are put back.
    let from = usize::from(!waits);
    if waits {
        series.places.pop_last();
        cells.pop_last();
    }
    let places = scratch.places.get(from..=run.places).unwrap_or_default();
    series.places.extend_from_slice(places);
    cells.extend_from_slice(scratch.cells.get(from..=run.cells).unwrap_or_default());
    run.samples
}

/// Makes places and cells of samples, with the loop for the kind of grid and of reduction.
fn run(
    reduce: Reduce,
    grid: &Grid,
    origin: i64,
    closed: i64,
    samples: Samples<'_>,
    scratch: &mut Scratch,
) -> Run {
    let lag = grid.last_of(0);
    if !grid.is_aligned() {
        let place_of = |time| time;
        return fill::<false>(samples, closed, lag, scratch, place_of, |_, cell| cell);
    }
    let Some(steps) = Steps::new(grid.interval) else {
        return Run { samples: 0, places: 0, cells: 0 };
    };
    let before = grid.shift().wrapping_sub(origin);
    let place_of = |time: i64| {
        let length = steps.length(time.wrapping_add(before).cast_unsigned());
        length.map_or(i64::MIN, |length| origin.wrapping_add(length.cast_signed()))
    };
    if keeps_all(reduce) {
        return fill::<true>(samples, closed, lag, scratch, place_of, |_, cell| cell);
    }
    if reduce == Reduce::Last {
        return fill::<false>(samples, closed, lag, scratch, place_of, |_, cell| cell);
    }
    fill::<false>(samples, closed, lag, scratch, place_of, |mut known, cell| {
        merge(reduce, &mut known, cell);
        known
    })
}

/// Makes places and cells of samples up to the first that is not on time or not in order. Where `ALL` are kept there is a cell
/// for each; otherwise those of one place are merged.
#[inline(never)]
fn fill<const ALL: bool>(
    samples: Samples<'_>,
    closed: i64,
    lag: i64,
    scratch: &mut Scratch,
    place_of: impl Fn(i64) -> i64,
    merged: impl Fn(Cell, Cell) -> Cell,
) -> Run {
    let (places, cells) = (scratch.places.as_mut_slice(), scratch.cells.as_mut_slice());
    let mut run = Run { samples: 0, places: 0, cells: 0 };
    let (Some(&mut mut last), Some(&mut mut known)) = (places.first_mut(), cells.first_mut())
    else {
        return run;
    };
    let samples = samples.times.iter().zip(samples.watermarks).zip(samples.values);
    for ((&time, &met), &value) in samples {
        let place = place_of(time);
        let in_order = (place >= last) & (time >= known.time);
        let on_time = (place > closed) & (place.saturating_add(lag) > met);
        if !(in_order & on_time & !value.is_nan()) {
            break;
        }
        let is_new = place != last;
        let cell = Cell { place, time, value };
        known = if ALL || is_new { cell } else { merged(known, cell) };
        last = place;
        run.places += usize::from(is_new);
        run.cells += usize::from(ALL || is_new);
        run.samples += 1;
        let (Some(to_place), Some(to_cell)) =
            (places.get_mut(run.places), cells.get_mut(run.cells))
        else {
            break;
        };
        (*to_place, *to_cell) = (place, known);
    }
    run
}
