//! The grid of windows and slices: which windows contain a time, and where their slices start.
//!
//! ```text
//! windows of size 4, slide 2    [0        4)
//!                                    [2        6)
//!                                         [4        8)
//! slices of 2                   [0   [2   [4   [6   [8
//! ```
//!
//! Each event is aggregated once, into its slice; windows merge their slices (stream slicing).

use core::ops::Range;

use crate::spec::{Duration, Limits, SpecError, Window, WindowKind};

/// Windows of one size at a fixed distance, and slices: pieces of time in which no window starts or
/// ends.
///
/// Every start and end of a window is the offset plus a multiple of the greatest common divisor of
/// size and slide. Slices have that length. Tumbling windows have exactly one slice each.
///
/// Cumulating windows are planned as tumbling windows that also include all earlier slices of their
/// period. A window's id is the start of its last slice; for all other kinds, that of its only or
/// first slice, its own start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    /// Distance from a window's id to its end.
    pub(crate) size_us: i64,
    /// Distance between the starts of consecutive windows.
    pub(crate) slide_us: i64,
    /// Period of cumulating windows: the distance between their starts.
    period_us: Option<i64>,
    /// Start of a window, in `0..slide_us`, or of a period.
    offset_us: i64,
    pub(crate) slice_us: i64,
    /// Time from the end of a window until it fires.
    pub(super) delay_us: i64,
    /// Time after firing during which a window still accepts events.
    pub(super) kept_us: i64,
}

impl Grid {
    /// Plans the grid of `window`, the stage at `path`. Windows fire and expire at their ends.
    #[inline]
    pub(super) fn of(path: &str, window: &Window, limits: &Limits) -> Result<Self, SpecError> {
        let size = window.size.unwrap_or_default();
        let size_us = size.as_micros();
        if size_us <= 0 {
            let message = format!("{size}: a window must be longer than 0s, such as \"1m\"");
            return Err(SpecError::new(format!("{path}.size"), message));
        }
        let (grid, option) = match (window.window, window.step, window.slide) {
            (WindowKind::Cumulate, step, _) => {
                let step_us = step_of(path, step.unwrap_or_default(), size)?;
                (Self::cumulating(size_us, step_us, window.offset.as_micros()), "step")
            }
            (_, _, slide) => {
                let slide_us = slide_of(path, slide.unwrap_or(size))?;
                (Self::new(size_us, slide_us, window.offset.as_micros()), "slide")
            }
        };
        let slide_us = grid.slide_us;
        let windows = size_us.div_euclid(slide_us) + i64::from(size_us % slide_us != 0);
        let limit = limits.max_windows_per_event;
        if windows > i64::from(limit) {
            let message = format!(
                "an event would be in {windows} windows of {size}, more than limits.max_windows_per_event = {limit}"
            );
            return Err(SpecError::new(format!("{path}.{option}"), message));
        }
        let limit = limits.max_windows_per_key;
        if grid.slices_per_window() > i64::from(limit) {
            let message = format!(
                "windows would be put together of {} slices of {slice_us} us, the greatest common divisor of size \
                 and slide, more than limits.max_windows_per_key = {limit}: choose rounder durations",
                grid.slices_per_window(),
                slice_us = grid.slice_us,
            );
            return Err(SpecError::new(format!("{path}.{option}"), message));
        }
        Ok(grid)
    }

    /// Returns the grid of tumbling or sliding windows; `size_us` and `slide_us` are positive.
    #[inline]
    fn new(size_us: i64, slide_us: i64, offset_us: i64) -> Self {
        let slice_us = common_divisor(size_us, slide_us);
        let offset_us = offset_us.rem_euclid(slide_us);
        let period_us = None;
        Self { size_us, slide_us, period_us, offset_us, slice_us, delay_us: 0, kept_us: 0 }
    }

    /// Returns the grid of tumbling windows without an offset.
    #[inline]
    pub(super) fn tumbling(size_us: i64) -> Self {
        Self::new(size_us, size_us, 0)
    }

    /// Returns the grid of windows that grow up to `size_us` by `step_us`, a divisor of it.
    #[inline]
    fn cumulating(size_us: i64, step_us: i64, offset_us: i64) -> Self {
        let offset_us = offset_us.rem_euclid(size_us);
        Self { period_us: Some(size_us), offset_us, ..Self::new(step_us, step_us, 0) }
    }

    /// Returns the number of slices of a window; of the longest one for cumulating windows.
    pub(crate) fn slices_per_window(&self) -> i64 {
        self.period_us.unwrap_or(self.size_us) / self.slice_us
    }

    /// Returns the start of the window with the id `window`.
    pub(crate) fn window_start(&self, window: i64) -> i64 {
        match self.period_us {
            Some(period_us) => {
                let since = window.rem_euclid(period_us) - self.offset_us;
                window.saturating_sub(since.rem_euclid(period_us))
            }
            None => window,
        }
    }

    /// Returns the indices of the slices of the window with the id `window`.
    pub(crate) fn slices_of(&self, window: i64) -> Range<i64> {
        let first = self.index_of(self.window_start(window));
        let slices = match self.period_us {
            Some(_) => self.index_of(window).saturating_sub(first).saturating_add(1),
            None => self.slices_per_window(),
        };
        first..first.saturating_add(slices)
    }

    /// Returns true if some times lie in no window.
    pub(crate) fn has_gaps(&self) -> bool {
        self.slide_us > self.size_us
    }

    /// Returns true if windows accept events after they have fired.
    pub(crate) fn keeps_fired(&self) -> bool {
        self.kept_us > 0
    }

    /// Returns the start of the slice that contains `timestamp`.
    pub(crate) fn slice_of(&self, timestamp: i64) -> i64 {
        let since = timestamp.saturating_sub(self.offset_us);
        timestamp.saturating_sub(since.rem_euclid(self.slice_us))
    }

    /// Returns the same as [`Grid::slice_of`], without a division if the slice is `near` or
    /// adjacent to it.
    #[inline]
    pub(crate) fn slice_near(&self, timestamp: i64, near: i64) -> i64 {
        let size_us = self.slice_us;
        let within = |start| within(timestamp, start, size_us.unsigned_abs());
        let adjacent =
            if timestamp < near { near.wrapping_sub(size_us) } else { near.wrapping_add(size_us) };
        if within(near) {
            near
        } else if within(adjacent) {
            adjacent
        } else {
            self.slice_of(timestamp)
        }
    }

    /// Returns the index of the slice that contains the window start or slice start `start`. Slice
    /// 0 starts at the offset.
    pub(crate) fn index_of(&self, start: i64) -> i64 {
        // The division comes first because `start - offset` may overflow.
        let index = start.div_euclid(self.slice_us);
        index.saturating_sub(self.offset_us.div_euclid(self.slice_us))
    }

    /// Returns the start of the slice with this index.
    pub(crate) fn start_of(&self, index: i64) -> i64 {
        let since = index.saturating_add(self.offset_us.div_euclid(self.slice_us));
        since.saturating_mul(self.slice_us).saturating_add(self.offset_us % self.slice_us)
    }

    pub(crate) fn end_of(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us)
    }

    /// Returns the last microsecond of the window that starts at `window`.
    pub(crate) fn last_us(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us - 1)
    }

    /// Returns the watermark at which the window that starts at `window` fires.
    pub(crate) fn fires_at(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us - 1 + self.delay_us)
    }

    /// Returns the watermark at which the window that starts at `window` expires: it then accepts
    /// no more events.
    pub(crate) fn expires_at(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us - 1 + self.delay_us + self.kept_us)
    }

    /// Returns the start of the first window that contains the slice at `slice`, if any does.
    pub(crate) fn first_window(&self, slice: i64) -> i64 {
        self.window_from(slice.saturating_add(self.slice_us - self.size_us))
    }

    /// Returns the start of the last window that starts at or before `slice`. If any window
    /// contains the slice, this is the last one.
    pub(crate) fn last_window(&self, slice: i64) -> i64 {
        if let Some(period_us) = self.period_us {
            return self.window_start(slice).saturating_add(period_us - self.slice_us);
        }
        let since = (slice.rem_euclid(self.slide_us) - self.offset_us).rem_euclid(self.slide_us);
        slice.saturating_sub(since)
    }

    /// Returns the starts of the windows that contain the slice at `slice`, from `first` on, which
    /// is one.
    pub(crate) fn windows(&self, first: i64, slice: i64) -> impl Iterator<Item = i64> + use<> {
        let (last, slide_us) = (self.last_window(slice), self.slide_us);
        let next = move |window: &i64| window.checked_add(slide_us);
        core::iter::successors(Some(first), next).take_while(move |window| *window <= last)
    }

    /// Returns the start of the first window that has not fired at `watermark`.
    pub(crate) fn first_open(&self, watermark: i64) -> i64 {
        self.first_after(watermark, self.size_us - 1 + self.delay_us)
    }

    /// Returns the start of the first window that has not expired at `watermark`.
    pub(crate) fn first_kept(&self, watermark: i64) -> i64 {
        self.first_after(watermark, self.size_us - 1 + self.delay_us + self.kept_us)
    }

    /// Returns the start of the first window that starts after `watermark - length_us`.
    fn first_after(&self, watermark: i64, length_us: i64) -> i64 {
        match watermark.checked_sub(length_us) {
            Some(start) => self.window_from(start.saturating_add(1)),
            None => i64::MIN,
        }
    }

    /// Returns the end of the last window that starts before `window`.
    pub(crate) fn end_before(&self, window: i64) -> i64 {
        match window.checked_sub(self.slide_us) {
            Some(before) => self.end_of(before),
            None => i64::MIN,
        }
    }

    /// Returns true if any window contains the slice at `slice`.
    pub(crate) fn covers(&self, slice: i64) -> bool {
        slice < self.end_of(self.last_window(slice))
    }

    /// Returns the first window start at or after `time`.
    fn window_from(&self, time: i64) -> i64 {
        self.multiple_from(time, self.slide_us)
    }

    /// Returns the first time at or after `time` that is the offset plus a multiple of `step_us`, a
    /// divisor of the slide.
    pub(crate) fn multiple_from(&self, time: i64, step_us: i64) -> i64 {
        let until = (self.offset_us % step_us - time.rem_euclid(step_us)).rem_euclid(step_us);
        time.saturating_add(until)
    }
}

/// Checks the `slide` of sliding windows and returns it in microseconds.
#[inline]
fn slide_of(path: &str, slide: Duration) -> Result<i64, SpecError> {
    if slide.as_micros() <= 0 {
        let message = format!("{slide}: windows must start more than 0s apart, such as \"30s\"");
        return Err(SpecError::new(format!("{path}.slide"), message));
    }
    Ok(slide.as_micros())
}

/// Checks the `step` of cumulating windows of `size` and returns it in microseconds.
#[inline]
fn step_of(path: &str, step: Duration, size: Duration) -> Result<i64, SpecError> {
    if step.as_micros() <= 0 || size.as_micros() % step.as_micros() != 0 {
        let message = format!("{step}: the size {size} must be a multiple of it");
        return Err(SpecError::new(format!("{path}.step"), message));
    }
    Ok(step.as_micros())
}

/// Returns true if `timestamp` lies in the slice of `size_us` that starts at `start`.
#[inline(always)]
pub(crate) fn within(timestamp: i64, start: i64, size_us: u64) -> bool {
    timestamp.wrapping_sub(start).cast_unsigned() < size_us
}

/// Returns the greatest common divisor of two positive numbers.
#[inline]
pub(super) fn common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_agrees_with_enumerated_windows() {
        for (size, slide, offset) in
            [(10, 3, 0), (10, 3, 20), (3, 10, 4), (7, 7, -1), (12, 8, 5), (1, 4, 3)]
        {
            let grid = Grid::new(size, slide, offset);
            for time in -60..60 {
                let windows: Vec<i64> = (-100..100)
                    .map(|nth| nth * slide + offset)
                    .filter(|start| (*start..start + size).contains(&time))
                    .collect();
                let slice = grid.slice_of(time);
                assert!((slice..slice + grid.slice_us).contains(&time));
                for near in -60..60 {
                    assert_eq!(grid.slice_near(time, grid.slice_of(near)), slice);
                }
                assert_eq!(grid.start_of(grid.index_of(slice)), slice);
                assert_eq!(grid.covers(slice), !windows.is_empty(), "{time} {grid:?}");
                if let (Some(first), Some(last)) = (windows.first(), windows.last()) {
                    assert_eq!(
                        (grid.first_window(slice), grid.last_window(slice)),
                        (*first, *last)
                    );
                }
                let open = (-100..100).map(|nth| nth * slide + offset);
                let open = open.filter(|start| start + size - 1 > time).min();
                assert_eq!(Some(grid.first_open(time)), open);
            }
            assert_eq!(grid.index_of(offset.rem_euclid(slide)), 0);
        }
    }

    #[test]
    fn cumulating_window_contains_all_slices_since_its_start() {
        for (size, step, offset) in [(12, 3, 0), (12, 3, 7), (12, 4, -5), (6, 6, 1), (10, 1, 23)] {
            let grid = Grid::cumulating(size, step, offset);
            for time in -60..60_i64 {
                let start = (time - offset).div_euclid(size) * size + offset;
                let slice = grid.slice_of(time);
                assert!((slice..slice + step).contains(&time));
                assert_eq!(grid.first_window(slice), slice);
                assert_eq!(grid.end_of(grid.last_window(slice)), start + size);
                for window in grid.windows(slice, slice) {
                    assert_eq!(grid.window_start(window), start);
                    assert_eq!(grid.fires_at(window), window + step - 1);
                    let starts = grid.slices_of(window).map(|index| grid.start_of(index));
                    let due = (start..=window).step_by(usize::try_from(step).unwrap());
                    assert!(starts.eq(due));
                }
            }
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let longest = crate::spec::MAX_DURATION_US;
        let grids = [
            Grid::new(longest, longest - 1, longest - 2),
            Grid::new(1, longest, -1),
            Grid::cumulating(longest, longest / 4, -1),
        ];
        for grid in grids {
            for time in [i64::MIN, crate::time::MIN_TIME, -1, 0, crate::time::MAX_TIME, i64::MAX] {
                let slice = grid.slice_of(time);
                let window = grid.last_window(slice).max(grid.first_window(slice));
                let _ = (grid.covers(slice), grid.first_open(time), grid.end_of(window));
                let _ = (grid.fires_at(window), grid.start_of(grid.index_of(slice)));
                let _ = (grid.window_start(window), grid.slices_of(window));
            }
        }
    }
}
