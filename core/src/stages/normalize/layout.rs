//! Output order of the rows of several series: by time, and at one time by key.
//!
//! ```text
//! series a:  a0    a1    a2            row runs, in key order
//! series b:        b1    b2    b3
//! output:    a0 a1 b1 a2 b2 b3
//! ```

/// Consecutive rows of one series that became certain together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowRun {
    /// Watermark that made the rows certain, and their rank among rows of the same watermark.
    pub(super) firing: (i64, u64),
    pub(super) series: u32,
    pub(super) key: u32,
    /// Time of the first row.
    pub(super) from: i64,
    pub(super) interval: i64,
    pub(super) count: usize,
}

impl RowRun {
    /// Returns the times of the rows.
    pub(super) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, interval) = (self.from, self.interval);
        let last = i64::try_from(self.count).unwrap_or(i64::MAX);
        (0..last).map(move |at| from.wrapping_add(at.wrapping_mul(interval)))
    }

    /// Returns the time of the row that follows the first `rows` rows.
    pub(super) fn after(&self, rows: usize) -> i64 {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.from.saturating_add(self.interval.saturating_mul(rows))
    }

    /// Returns the number of rows at or before `until`.
    fn count_until(&self, until: i64) -> usize {
        if until < self.from {
            return 0;
        }
        let steps = until.saturating_sub(self.from) / self.interval;
        usize::try_from(steps).map_or(self.count, |steps| self.count.min(steps.saturating_add(1)))
    }
}

/// Sorts row runs into output order; reuses its allocations.
#[derive(Debug, Default)]
pub(super) struct RowRunSorter {
    /// Sort key of each row run: firing, key rank, index before sorting.
    keys: Vec<(i64, u64, u32, u32)>,
    sorted: Vec<RowRun>,
}

impl RowRunSorter {
    /// Sorts by firing, then by the key's rank as `rank_of` gives it. Row runs of one series keep
    /// their order.
    pub(super) fn sort(&mut self, row_runs: &mut [RowRun], rank_of: impl Fn(u32) -> u32) {
        self.keys.clear();
        let key = |(row_run, at): (&RowRun, u32)| {
            (row_run.firing.0, row_run.firing.1, rank_of(row_run.key), at)
        };
        self.keys.extend(row_runs.iter().zip(0..).map(key));
        crate::util::sort::ranked(&mut self.keys);
        self.sorted.clear();
        let sorted = self.keys.iter().filter_map(|(_, _, _, at)| row_runs.get(*at as usize));
        self.sorted.extend(sorted.copied());
        row_runs.copy_from_slice(&self.sorted);
    }
}

/// Returns how many rows of each row run are among the first `room` rows of all.
///
/// `row_runs` must be in key order, with more than `room` rows in total. At least one row is taken.
pub(super) fn rows_that_fit(row_runs: &[RowRun], room: usize) -> Vec<usize> {
    let rows = |until| -> usize {
        row_runs.iter().map(|row_run| row_run.count_until(until)).fold(0, usize::saturating_add)
    };
    let first = row_runs.iter().map(|row_run| row_run.from).min().unwrap_or(0);
    // Binary search for the latest time up to which all rows fit.
    let (mut fits, mut exceeds) = (first.saturating_sub(1), i64::MAX);
    while exceeds.abs_diff(fits) > 1 {
        let middle = fits.midpoint(exceeds);
        if rows(middle) <= room { fits = middle } else { exceeds = middle }
    }
    if fits >= first {
        return row_runs.iter().map(|row_run| row_run.count_until(fits)).collect();
    }
    let mut left = room;
    let counts = row_runs.iter().map(|row_run| {
        let count = row_run.count_until(first).min(left);
        left -= count;
        count
    });
    counts.collect()
}

/// Computes the output position of each row; reuses its allocations.
#[derive(Debug, Default)]
pub(super) struct RowPositions {
    /// Grid steps from the earliest row to the first row of each row run.
    steps: Vec<usize>,
    /// By grid step: the position of the next row of that time.
    next: Vec<u32>,
    order: Vec<(i64, u32)>,
    /// Output position of each row, row run after row run.
    pub(super) positions: Vec<u32>,
}

impl RowPositions {
    /// Computes positions for `row_runs`, which must be in key order, from `start` on.
    pub(super) fn lay_out(&mut self, row_runs: &[RowRun], start: usize) {
        self.positions.clear();
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let total: usize = row_runs.iter().map(|row_run| row_run.count).sum();
        let first = row_runs.iter().map(|row_run| row_run.from).min().unwrap_or(0);
        let interval = row_runs.first().map_or(1, |row_run| row_run.interval);
        let max_steps = i64::try_from(total.saturating_mul(4)).unwrap_or(i64::MAX);
        self.steps.clear();
        self.steps.extend(row_runs.iter().map_while(|row_run| {
            let since = row_run.from.saturating_sub(first);
            let step = since / interval;
            let is_near =
                row_run.interval == interval && step <= max_steps && step * interval == since;
            usize::try_from(step).ok().filter(|_| is_near)
        }));
        if self.steps.len() == row_runs.len() {
            self.lay_out_by_counting(row_runs, start);
        } else {
            self.lay_out_by_sorting(row_runs, start);
        }
    }

    /// Counts the rows of each time: O(rows), for row runs on one grid with little distance between
    /// them.
    fn lay_out_by_counting(&mut self, row_runs: &[RowRun], start: u32) {
        let run_ends = row_runs.iter().zip(&self.steps).map(|(row_run, step)| step + row_run.count);
        let length = run_ends.max().unwrap_or(0) + 1;
        self.next.clear();
        self.next.resize(length, 0);
        for (row_run, &step) in row_runs.iter().zip(&self.steps) {
            if let Some(count) = self.next.get_mut(step) {
                *count = count.wrapping_add(1);
            }
            if let Some(count) = self.next.get_mut(step + row_run.count) {
                *count = count.wrapping_sub(1);
            }
        }
        let (mut active, mut before) = (0_u32, start);
        for entry in &mut self.next {
            active = active.wrapping_add(*entry);
            *entry = before;
            before = before.wrapping_add(active);
        }
        for (row_run, &step) in row_runs.iter().zip(&self.steps) {
            let next = self.next.get_mut(step..step + row_run.count).unwrap_or_default();
            self.positions.extend(next.iter().copied());
            next.iter_mut().for_each(|next| *next += 1);
        }
    }

    /// Sorts all rows by time: for row runs on different grids or far apart.
    fn lay_out_by_sorting(&mut self, row_runs: &[RowRun], start: u32) {
        self.order.clear();
        let times = row_runs.iter().flat_map(RowRun::times);
        self.order.extend(times.zip(0..));
        crate::util::sort::timed(&mut self.order);
        self.positions.resize(self.order.len(), 0);
        for (position, (_, row)) in (start..).zip(&self.order) {
            if let Some(entry) = self.positions.get_mut(*row as usize) {
                *entry = position;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_run(key: u32, from: i64, interval: i64, count: usize) -> RowRun {
        RowRun { firing: (0, 0), series: key, key, from, interval, count }
    }

    /// Returns time and key of each row in output order.
    fn rows(row_runs: &[RowRun]) -> Vec<(i64, u32)> {
        let mut layout = RowPositions::default();
        layout.lay_out(row_runs, 0);
        let all = row_runs.iter().flat_map(|one| one.times().map(|time| (time, one.key)));
        let mut rows = vec![(0, 0); layout.positions.len()];
        all.zip(&layout.positions).for_each(|(row, position)| rows[*position as usize] = row);
        rows
    }

    #[test]
    fn rows_are_ordered_by_time_then_key() {
        for row_runs in [
            vec![row_run(0, 10, 5, 3), row_run(1, 0, 5, 4), row_run(2, 20, 5, 1)],
            vec![row_run(0, 0, 5, 2), row_run(1, 1_000_000, 5, 2), row_run(2, -1000, 5, 2)],
            vec![row_run(0, 0, 2, 6), row_run(1, 0, 3, 4), row_run(2, 1, 7, 2)],
        ] {
            let rows = rows(&row_runs);
            assert!(rows.is_sorted());
            assert_eq!(rows.len(), row_runs.iter().map(|row_run| row_run.count).sum::<usize>());
        }
    }

    #[test]
    fn first_rows_fill_the_room_and_the_rest_follow() {
        let all = vec![row_run(0, 10, 5, 3), row_run(1, 0, 5, 4), row_run(2, 0, 5, 1)];
        let due = rows(&all);
        for room in 1..due.len() {
            let mut row_runs = all.clone();
            for (row_run, count) in row_runs.iter_mut().zip(rows_that_fit(&all, room)) {
                row_run.count = count;
            }
            row_runs.retain(|row_run| row_run.count > 0);
            let rows = rows(&row_runs);
            assert!(!rows.is_empty() && rows.len() <= room);
            assert_eq!(rows, due[..rows.len()]);
        }
    }
}
