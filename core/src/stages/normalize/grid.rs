//! The grid: the slot of a sample, and the times at which a slot closes.

use crate::spec::{Align, Basis};

/// Grid points: the multiples of an interval, shifted by an offset.
///
/// ```text
/// align = "floor":  samples of point p are in [p, p + interval)
/// align = "ceil":   samples of point p are in (p - interval, p]
/// align = "round":  samples of point p are in [p - interval / 2, p + interval - interval / 2)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Distance between grid points, microseconds, positive.
    pub(crate) interval: i64,
    /// One grid point, in `0..interval`.
    offset: i64,
    /// Distance from the first sample of a grid point to the point.
    shift: i64,
    /// True if samples move to grid points; false if each keeps its own time.
    is_aligned: bool,
}

impl Grid {
    /// Makes a grid. `interval` must be positive.
    pub(crate) fn new(interval: i64, offset: i64, align: Align, basis: Basis) -> Self {
        let shift = match align {
            Align::Floor => 0,
            Align::Round => interval / 2,
            Align::Ceil => interval - 1,
        };
        let is_aligned = basis == Basis::Aligned;
        Self { interval, offset: offset.rem_euclid(interval), shift, is_aligned }
    }

    /// Returns the slot of a sample at `time`.
    pub(super) fn slot_of(&self, time: i64) -> i64 {
        if self.is_aligned { self.floor(time.saturating_add(self.shift)) } else { time }
    }

    /// Returns [`Self::slot_of`]; faster if the slot is `near` or the one after it.
    pub(super) fn slot_near(&self, time: i64, near: Option<i64>) -> i64 {
        if let Some(near) = near.filter(|_| self.is_aligned) {
            let since = time.wrapping_sub(near).wrapping_add(self.shift).cast_unsigned();
            let interval = self.interval.cast_unsigned();
            if since < interval {
                return near;
            }
            if since - interval < interval {
                return near.saturating_add(self.interval);
            }
        }
        self.slot_of(time)
    }

    /// Returns true if samples move to grid points.
    pub(super) fn is_aligned(&self) -> bool {
        self.is_aligned
    }

    /// Returns the distance from the first sample of a grid point to the point.
    pub(super) fn shift(&self) -> i64 {
        self.shift
    }

    /// Returns the last microsecond of `slot`. A watermark at or after it closes the slot.
    pub(super) fn last_of(&self, slot: i64) -> i64 {
        if self.is_aligned { slot.saturating_add(self.interval - 1 - self.shift) } else { slot }
    }

    /// Returns the last possible slot at or before `time`.
    pub(super) fn last_slot_at(&self, time: i64) -> i64 {
        if self.is_aligned { self.floor(time) } else { time }
    }

    /// Returns the first slot that is still open at `watermark`.
    pub(super) fn first_open(&self, watermark: i64) -> i64 {
        let after = watermark.saturating_add(1);
        if self.is_aligned {
            self.ceil(after.saturating_sub(self.interval - 1 - self.shift))
        } else {
            after
        }
    }

    /// Returns the latest time, at most `watermark`, before all slots that are open at `watermark`.
    pub(super) fn before_open(&self, watermark: i64) -> i64 {
        self.first_open(watermark).saturating_sub(1).min(watermark)
    }

    /// Returns the last grid point at or before `time`.
    pub(super) fn floor(&self, time: i64) -> i64 {
        let since = time.saturating_sub(self.offset).rem_euclid(self.interval);
        time.saturating_sub(since)
    }

    /// Returns the first grid point at or after `time`.
    pub(super) fn ceil(&self, time: i64) -> i64 {
        let since = time.saturating_sub(self.offset).rem_euclid(self.interval);
        if since == 0 { time } else { time.saturating_add(self.interval - since) }
    }

    /// Returns the grid point `steps` after the grid point `from`.
    pub(super) fn at(&self, from: i64, steps: usize) -> i64 {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        from.saturating_add(steps.saturating_mul(self.interval))
    }

    /// Returns the distance of grid points in units, and the length of the unit in microseconds.
    /// The unit is one grid step if all points are on the grid, otherwise one microsecond.
    pub(super) fn step_and_unit(&self) -> (i64, i64) {
        if self.is_aligned { (1, self.interval) } else { (self.interval, 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIGNS: [Align; 3] = [Align::Floor, Align::Ceil, Align::Round];

    #[test]
    fn samples_align_to_grid_points() {
        let slot = |align, time| Grid::new(10, 3, align, Basis::Aligned).slot_of(time);
        for (time, floor, ceil, round) in [
            (3, 3, 3, 3),
            (4, 3, 13, 3),
            (7, 3, 13, 3),
            (8, 3, 13, 13),
            (2, -7, 3, 3),
            (-8, -17, -7, -7),
        ] {
            assert_eq!(slot(Align::Floor, time), floor);
            assert_eq!(slot(Align::Ceil, time), ceil);
            assert_eq!(slot(Align::Round, time), round, "half up");
        }
        assert_eq!(Grid::new(10, 3, Align::Floor, Basis::Samples).slot_of(7), 7);
    }

    #[test]
    fn slot_is_open_until_its_last_microsecond() {
        for (interval, offset) in [(1, 0), (7, 2), (10, -4), (10, 25)] {
            for align in ALIGNS {
                let grid = Grid::new(interval, offset, align, Basis::Aligned);
                for time in -50..50 {
                    let slot = grid.slot_of(time);
                    let last = grid.last_of(slot);
                    assert!(last >= time && grid.slot_of(last) == slot);
                    assert!(grid.slot_of(last + 1) > slot);
                    let open_slots = (-100..100).map(|at| grid.slot_of(at));
                    let open_slot = open_slots.filter(|slot| grid.last_of(*slot) > time).min();
                    assert_eq!(Some(grid.first_open(time)), open_slot, "{grid:?} {time}");
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
    fn extreme_times_do_not_overflow() {
        for interval in [1, 1_000_000, crate::spec::MAX_DURATION_US] {
            for align in ALIGNS {
                let grid = Grid::new(interval, interval - 1, align, Basis::Aligned);
                for time in [i64::MIN, crate::time::MIN_TIME, crate::time::MAX_TIME, i64::MAX] {
                    let slot = grid.slot_of(time);
                    let _ = (grid.last_of(slot), grid.first_open(time), grid.ceil(time));
                }
            }
        }
    }
}
