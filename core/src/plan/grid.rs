//! The grid of windows and slices: which windows cover a time, and where the pieces begin that they are put together of.

use crate::spec::{Limits, SpecError, Window, WindowKind};

/// Windows of one size that start every so often, and slices: pieces of time that no window starts or ends within.
///
/// Every start and every end of a window is a multiple of the greatest common divisor of size and slide away from the
/// offset, so slices have that length. Tumbling windows are slices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) size_us: i64,
    /// From one window's start to the next.
    pub(crate) slide_us: i64,
    /// A start of a window, in `0..slide_us`.
    offset_us: i64,
    pub(crate) slice_us: i64,
    /// How long after its end a window fires.
    pub(super) delay_us: i64,
    /// How long after it has fired a window still takes events.
    pub(super) kept_us: i64,
}

impl Grid {
    /// The grid of `window`, which stands at `path`; windows fire when they end and are gone then.
    pub(super) fn of(path: &str, window: &Window, limits: &Limits) -> Result<Self, SpecError> {
        let size_us = window.size.as_micros();
        if size_us <= 0 {
            let message =
                format!("{}: a window must be longer than 0s, such as \"1m\"", window.size);
            return Err(SpecError::new(format!("{path}.size"), message));
        }
        let slide_us = match (window.window, window.slide) {
            (WindowKind::Tumbling, None) => size_us,
            (WindowKind::Sliding, Some(slide)) if slide.as_micros() > 0 => slide.as_micros(),
            (kind, slide) => return Err(wrong_slide(path, kind, slide)),
        };
        let grid = Self::new(size_us, slide_us, window.offset.as_micros());
        let windows = size_us.div_euclid(slide_us) + i64::from(size_us % slide_us != 0);
        let most = limits.max_windows_per_event;
        if windows > i64::from(most) {
            let message = format!(
                "an event would be in {windows} windows of {}, more than limits.max_windows_per_event = {most}",
                window.size
            );
            return Err(SpecError::new(format!("{path}.slide"), message));
        }
        let most = limits.max_windows_per_key;
        if grid.slices_per_window() > i64::from(most) {
            let message = format!(
                "windows would be put together of {} slices of {slice_us} us, the greatest common divisor of size \
                 and slide, more than limits.max_windows_per_key = {most}: choose rounder durations",
                grid.slices_per_window(),
                slice_us = grid.slice_us,
            );
            return Err(SpecError::new(format!("{path}.slide"), message));
        }
        Ok(grid)
    }

    /// `size_us` and `slide_us` are positive.
    fn new(size_us: i64, slide_us: i64, offset_us: i64) -> Self {
        let slice_us = common_divisor(size_us, slide_us);
        let offset_us = offset_us.rem_euclid(slide_us);
        Self { size_us, slide_us, offset_us, slice_us, delay_us: 0, kept_us: 0 }
    }

    pub(crate) fn slices_per_window(&self) -> i64 {
        self.size_us / self.slice_us
    }

    /// Whether some times are in no window.
    pub(crate) fn has_gaps(&self) -> bool {
        self.slide_us > self.size_us
    }

    /// Whether windows still take events after they have fired.
    pub(crate) fn keeps_fired(&self) -> bool {
        self.kept_us > 0
    }

    /// The start of the slice that `timestamp` falls into.
    pub(crate) fn slice_of(&self, timestamp: i64) -> i64 {
        let since = timestamp.saturating_sub(self.offset_us);
        timestamp.saturating_sub(since.rem_euclid(self.slice_us))
    }

    /// The number of the slice that starts at `start`, or within which a window starts there; slice 0 is at the offset.
    pub(crate) fn index_of(&self, start: i64) -> i64 {
        // Division by the slice first, for `start - offset` may be out of range.
        let index = start.div_euclid(self.slice_us);
        index.saturating_sub(self.offset_us.div_euclid(self.slice_us))
    }

    /// Where slice `index` starts.
    pub(crate) fn start_of(&self, index: i64) -> i64 {
        let since = index.saturating_add(self.offset_us.div_euclid(self.slice_us));
        since.saturating_mul(self.slice_us).saturating_add(self.offset_us % self.slice_us)
    }

    pub(crate) fn end_of(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us)
    }

    /// The last microsecond of the window that starts at `window`.
    pub(crate) fn last_us(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us - 1)
    }

    /// The watermark at which the window that starts at `window` fires.
    pub(crate) fn fires_at(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us - 1 + self.delay_us)
    }

    /// The watermark from which the window that starts at `window` takes no more events.
    pub(crate) fn gone_at(&self, window: i64) -> i64 {
        window.saturating_add(self.size_us - 1 + self.delay_us + self.kept_us)
    }

    /// The start of the first window that covers the slice at `slice`, if any does.
    pub(crate) fn first_window(&self, slice: i64) -> i64 {
        self.window_from(slice.saturating_add(self.slice_us - self.size_us))
    }

    /// The start of the last window that starts at `slice` or before: the last to cover it, if any does.
    pub(crate) fn last_window(&self, slice: i64) -> i64 {
        let since = (slice.rem_euclid(self.slide_us) - self.offset_us).rem_euclid(self.slide_us);
        slice.saturating_sub(since)
    }

    /// The starts from `first`, which is one, on of the windows that cover the slice at `slice`.
    pub(crate) fn windows(&self, first: i64, slice: i64) -> impl Iterator<Item = i64> + use<> {
        let (last, slide_us) = (self.last_window(slice), self.slide_us);
        let next = move |window: &i64| window.checked_add(slide_us);
        core::iter::successors(Some(first), next).take_while(move |window| *window <= last)
    }

    /// The start of the first window that has not fired at `watermark`.
    pub(crate) fn first_open(&self, watermark: i64) -> i64 {
        self.first_after(watermark, self.size_us - 1 + self.delay_us)
    }

    /// The start of the first window that is not gone at `watermark`.
    pub(crate) fn first_kept(&self, watermark: i64) -> i64 {
        self.first_after(watermark, self.size_us - 1 + self.delay_us + self.kept_us)
    }

    /// The start of the first window that starts later than `watermark - length_us`.
    fn first_after(&self, watermark: i64, length_us: i64) -> i64 {
        match watermark.checked_sub(length_us) {
            Some(start) => self.window_from(start.saturating_add(1)),
            None => i64::MIN,
        }
    }

    /// The end of the last window that starts before `window`.
    pub(crate) fn end_before(&self, window: i64) -> i64 {
        match window.checked_sub(self.slide_us) {
            Some(before) => self.end_of(before),
            None => i64::MIN,
        }
    }

    /// Whether any window covers the slice at `slice`.
    pub(crate) fn covers(&self, slice: i64) -> bool {
        slice < self.end_of(self.last_window(slice))
    }

    /// The first start of a window at `time` or later.
    fn window_from(&self, time: i64) -> i64 {
        self.multiple_from(time, self.slide_us)
    }

    /// The first time at `time` or later that is a multiple of `step_us`, a divisor of the slide, away from the offset.
    pub(crate) fn multiple_from(&self, time: i64, step_us: i64) -> i64 {
        let until = (self.offset_us % step_us - time.rem_euclid(step_us)).rem_euclid(step_us);
        time.saturating_add(until)
    }
}

/// The greatest common divisor of two positive numbers.
pub(super) fn common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// What is wrong with the `slide` of a window.
fn wrong_slide(path: &str, kind: WindowKind, slide: Option<crate::spec::Duration>) -> SpecError {
    let message = match (kind, slide) {
        (WindowKind::Tumbling, _) => {
            "tumbling windows come one after another, so they have none: drop it, or say window = \"sliding\"".to_owned()
        }
        (WindowKind::Sliding, None) => {
            "missing: how far it is from one sliding window's start to the next, such as \"30s\""
                .to_owned()
        }
        (WindowKind::Sliding, Some(slide)) => {
            format!("{slide}: windows must start more than 0s apart, such as \"30s\"")
        }
    };
    SpecError::new(format!("{path}.slide"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_counting_windows_one_by_one() {
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
    fn the_ends_of_time_do_not_overflow() {
        let longest = crate::spec::MAX_DURATION_US;
        let grids = [Grid::new(longest, longest - 1, longest - 2), Grid::new(1, longest, -1)];
        for grid in grids {
            for time in [i64::MIN, crate::time::MIN_TIME, -1, 0, crate::time::MAX_TIME, i64::MAX] {
                let slice = grid.slice_of(time);
                let window = grid.last_window(slice).max(grid.first_window(slice));
                let _ = (grid.covers(slice), grid.first_open(time), grid.end_of(window));
                let _ = (grid.fires_at(window), grid.start_of(grid.index_of(slice)));
            }
        }
    }
}
