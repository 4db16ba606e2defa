//! When the rows of a window come, and until when it takes events.

use super::grid::{Grid, common_divisor};
use crate::data::schema::OutputKind;
use crate::spec::{Emit, Limits, SpecError, Window};

/// What a window stage does beside firing each window once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emission {
    /// Whether one key may have several rows of a window, so that they are numbered.
    pub(crate) revises: bool,
    pub(crate) early: Option<Early>,
    /// How far the watermark that it passes on stays behind the one that it meets.
    pub(crate) lag_us: i64,
}

/// Rows before the end of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Early {
    /// They are due every so often, from the start of the window on.
    pub(crate) every_us: i64,
    /// Whenever one is due in any window, it is a multiple of this away from the offset.
    pub(crate) step_us: i64,
}

impl Emission {
    /// What `window`, which stands at `path`, asks for; `grid` learns when its windows fire and when they are gone.
    pub(super) fn of(
        path: &str,
        window: &Window,
        is_last: bool,
        grid: &mut Grid,
        limits: &Limits,
    ) -> Result<Self, SpecError> {
        let lateness_us = lateness(path, window, grid, limits)?;
        let early = early(path, window, is_last, grid)?;
        let once = window.emit == Emit::Final || !is_last;
        if once {
            grid.delay_us = lateness_us;
        } else {
            grid.kept_us = lateness_us;
        }
        Ok(Self {
            revises: !once && (lateness_us > 0 || early.is_some()),
            early,
            lag_us: grid.delay_us,
        })
    }

    /// The columns that tell several rows of a window apart.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, OutputKind)> {
        let revision = self.revises.then_some(("revision", OutputKind::Number));
        let early = self.early.map(|_| ("early", OutputKind::Bool));
        revision.into_iter().chain(early)
    }
}

fn lateness(path: &str, window: &Window, grid: &Grid, limits: &Limits) -> Result<i64, SpecError> {
    let lateness_us = window.allowed_lateness.as_micros();
    let path = format!("{path}.allowed_lateness");
    if lateness_us < 0 {
        let message = format!("{}: must be 0s or longer", window.allowed_lateness);
        return Err(SpecError::new(path, message));
    }
    let more = lateness_us / grid.slice_us + i64::from(lateness_us % grid.slice_us != 0);
    let (slices, most) = (grid.slices_per_window() + more, limits.max_windows_per_key);
    if slices > i64::from(most) {
        let message = format!(
            "{} after windows of {}, {slices} pieces of {} us would be kept for each key, more than \
             limits.max_windows_per_key = {most}",
            window.allowed_lateness,
            window.size.unwrap_or_default(),
            grid.slice_us
        );
        return Err(SpecError::new(path, message));
    }
    Ok(lateness_us)
}

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
        "a window before another stage gives each row once, when it is final: drop `early`, or make it the last stage"
            .to_owned()
    } else if window.emit == Emit::Final {
        "emit = \"final\" gives each row once, when it is final: drop one of the two".to_owned()
    } else {
        let step_us = common_divisor(grid.slide_us, every_us);
        return Ok(Some(Early { every_us, step_us }));
    };
    Err(SpecError::new(format!("{path}.early"), message))
}
