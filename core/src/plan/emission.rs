//! Emission of windows: the times of rows, and the time until which events are accepted.

use super::grid::{Grid, common_divisor};
use crate::data::schema::ColumnRole;
use crate::spec::{Emit, Limits, SpecError, Window};

/// The emission rules of a window stage: corrected rows, early rows, and the lag of its output
/// watermark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emission {
    /// True if a key may get several rows of one window; they are then numbered by a revision.
    pub(crate) revises: bool,
    pub(crate) early: Option<Early>,
    /// Distance between the input watermark and the output watermark, microseconds.
    pub(crate) lag_us: i64,
}

/// Early rows: rows of a window before its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Early {
    /// Interval of early rows, counted from the window start, microseconds.
    pub(crate) every_us: i64,
    /// Every time at which an early row of any window is due is the offset plus a multiple of this,
    /// microseconds.
    pub(crate) step_us: i64,
}

impl Emission {
    /// Plans the emission of `window`, the stage at `path`. Sets in `grid` when windows fire and
    /// expire.
    #[inline]
    pub(super) fn of(
        path: &str,
        window: &Window,
        is_last: bool,
        grid: &mut Grid,
        limits: &Limits,
    ) -> Result<Self, SpecError> {
        let lateness_us = lateness(path, window, grid, limits)?;
        let early = early(path, window, is_last, grid)?;
        let is_final = window.emit == Emit::Final || !is_last;
        if is_final {
            grid.delay_us = lateness_us;
        } else {
            grid.kept_us = lateness_us;
        }
        Ok(Self {
            revises: !is_final && (lateness_us > 0 || early.is_some()),
            early,
            lag_us: grid.delay_us,
        })
    }

    /// Returns the columns that distinguish several rows of one window.
    #[inline]
    pub(super) fn columns(&self) -> impl Iterator<Item = ColumnRole> {
        let revision = self.revises.then_some(ColumnRole::Revision);
        let early = self.early.map(|_| ColumnRole::Early);
        revision.into_iter().chain(early)
    }
}

#[inline]
fn lateness(path: &str, window: &Window, grid: &Grid, limits: &Limits) -> Result<i64, SpecError> {
    let lateness_us = window.allowed_lateness.as_micros();
    let path = format!("{path}.allowed_lateness");
    if lateness_us < 0 {
        let message = format!("{}: must be 0s or longer", window.allowed_lateness);
        return Err(SpecError::new(path, message));
    }
    let more = lateness_us / grid.slice_us + i64::from(lateness_us % grid.slice_us != 0);
    let (slices, limit) = (grid.slices_per_window() + more, limits.max_windows_per_key);
    if slices > i64::from(limit) {
        let message = format!(
            "{} after windows of {}, {slices} slices of {} us would be kept for each key, more than \
             limits.max_windows_per_key = {limit}",
            window.allowed_lateness,
            window.size.unwrap_or_default(),
            grid.slice_us
        );
        return Err(SpecError::new(path, message));
    }
    Ok(lateness_us)
}

#[inline]
fn early(
    path: &str,
    window: &Window,
    is_last: bool,
    grid: &Grid,
) -> Result<Option<Early>, SpecError> {
    let Some(every) = window.early else { return Ok(None) };
    let every_us = every.as_micros();
    let message = if every_us <= 0 || every_us >= grid.size_us {
        format!(
            "{every}: must be longer than 0s and shorter than the window, {}",
            window.size.unwrap_or_default()
        )
    } else if !is_last {
        "a window before another stage gives each row once, when it is final: remove `early`, or make it the last stage"
            .to_owned()
    } else if window.emit == Emit::Final {
        "emit = \"final\" gives each row once, when it is final: remove one of the two".to_owned()
    } else {
        let step_us = common_divisor(grid.slide_us, every_us);
        return Ok(Some(Early { every_us, step_us }));
    };
    Err(SpecError::new(format!("{path}.early"), message))
}
