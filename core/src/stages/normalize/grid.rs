//! The grid: which point a sample belongs to, and until when samples of a point may come.

use crate::spec::{Align, Basis};

/// Grid points are the multiples of an interval, shifted by an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// From one point to the next, positive.
    pub(crate) interval: i64,
    /// A point, in `0..interval`.
    offset: i64,
    /// How far before a point its samples begin.
    shift: i64,
    /// Whether samples move to grid points; otherwise each stays at its own time.
    aligned: bool,
}

impl Grid {
    /// `interval` is positive.
    pub(crate) fn new(interval: i64, offset: i64, align: Align, basis: Basis) -> Self {
        let shift = match align {
            Align::Floor => 0,
            Align::Round => interval / 2,
            Align::Ceil => interval - 1,
        };
        let aligned = basis == Basis::Aligned;
        Self { interval, offset: offset.rem_euclid(interval), shift, aligned }
    }

    /// The time at which a sample taken at `time` counts.
    pub(super) fn place_of(&self, time: i64) -> i64 {
        if self.aligned { self.floor(time.saturating_add(self.shift)) } else { time }
    }

    /// The same, quickly where it is at the place `near` or the one after.
    pub(super) fn place_near(&self, time: i64, near: Option<i64>) -> i64 {
        if let Some(near) = near.filter(|_| self.aligned) {
            let since = time.wrapping_sub(near).wrapping_add(self.shift).cast_unsigned();
            let interval = self.interval.cast_unsigned();
            if since < interval {
                return near;
            }
            if since - interval < interval {
                return near.saturating_add(self.interval);
            }
        }
        self.place_of(time)
    }

    /// Whether samples move to grid points.
    pub(super) fn is_aligned(&self) -> bool {
        self.aligned
    }

    /// How far before a point its samples begin.
    pub(super) fn shift(&self) -> i64 {
        self.shift
    }

    /// The last microsecond of the samples that count at `place`.
    pub(super) fn last_of(&self, place: i64) -> i64 {
        if self.aligned { place.saturating_add(self.interval - 1 - self.shift) } else { place }
    }

    /// The last place at `time` or before that a sample can have.
    pub(super) fn place_until(&self, time: i64) -> i64 {
        if self.aligned { self.floor(time) } else { time }
    }

    /// The first place of a sample that is not late at `watermark`.
    pub(super) fn first_open(&self, watermark: i64) -> i64 {
        let after = watermark.saturating_add(1);
        if self.aligned {
            self.ceil(after.saturating_sub(self.interval - 1 - self.shift))
        } else {
            after
        }
    }

    /// Returns the latest time, at most `watermark`, before all places whose samples may still come at `watermark`.
    pub(super) fn before_open(&self, watermark: i64) -> i64 {
        self.first_open(watermark).saturating_sub(1).min(watermark)
    }

    /// The last grid point at `time` or before.
    pub(super) fn floor(&self, time: i64) -> i64 {
        let since = time.saturating_sub(self.offset).rem_euclid(self.interval);
        time.saturating_sub(since)
    }

    /// The first grid point at `time` or later.
    pub(super) fn ceil(&self, time: i64) -> i64 {
        let since = time.saturating_sub(self.offset).rem_euclid(self.interval);
        if since == 0 { time } else { time.saturating_add(self.interval - since) }
    }

    /// The grid point `steps` after `from`, which is one.
    pub(super) fn at(&self, from: i64, steps: usize) -> i64 {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        from.saturating_add(steps.saturating_mul(self.interval))
    }

    /// From one grid point to the next, in the unit in which positions are counted, and that unit: a step of the grid where all
    /// points are on it.
    pub(super) fn step_and_unit(&self) -> (i64, i64) {
        if self.aligned { (1, self.interval) } else { (self.interval, 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIGNS: [Align; 3] = [Align::Floor, Align::Ceil, Align::Round];

    #[test]
    fn samples_move_to_their_point() {
        let place = |align, time| Grid::new(10, 3, align, Basis::Aligned).place_of(time);
        for (time, floor, ceil, round) in [
            (3, 3, 3, 3),
            (4, 3, 13, 3),
            (7, 3, 13, 3),
            (8, 3, 13, 13),
            (2, -7, 3, 3),
            (-8, -17, -7, -7),
        ] {
            assert_eq!(place(Align::Floor, time), floor);
            assert_eq!(place(Align::Ceil, time), ceil);
            assert_eq!(place(Align::Round, time), round, "half up");
        }
        assert_eq!(Grid::new(10, 3, Align::Floor, Basis::Samples).place_of(7), 7);
    }

    #[test]
    fn a_point_is_open_until_its_last_sample_may_come() {
        for (interval, offset) in [(1, 0), (7, 2), (10, -4), (10, 25)] {
            for align in ALIGNS {
                let grid = Grid::new(interval, offset, align, Basis::Aligned);
                for time in -50..50 {
                    let place = grid.place_of(time);
                    let last = grid.last_of(place);
                    assert!(last >= time && grid.place_of(last) == place);
                    assert!(grid.place_of(last + 1) > place);
                    let open = (-100..100).map(|at| grid.place_of(at));
                    let open = open.filter(|place| grid.last_of(*place) > time).min();
                    assert_eq!(Some(grid.first_open(time)), open, "{grid:?} {time}");
                    assert!(grid.floor(time) <= time && time < grid.floor(time) + interval);
                    assert_eq!(
                        grid.ceil(time) - grid.floor(time),
                        if grid.floor(time) == time { 0 } else { interval }
                    );
                }
            }
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for interval in [1, 1_000_000, crate::spec::MAX_DURATION_US] {
            for align in ALIGNS {
                let grid = Grid::new(interval, interval - 1, align, Basis::Aligned);
                for time in [i64::MIN, crate::time::MIN_TIME, crate::time::MAX_TIME, i64::MAX] {
                    let place = grid.place_of(time);
                    let _ = (grid.last_of(place), grid.first_open(time), grid.ceil(time));
                }
            }
        }
    }
}
