//! Count windows and global windows: they contain events by arrival, not by event time.

use super::window::aggregates;
use super::{Aggregates, Caps, Columns};
use crate::spec::{PipelineSpec, SpecError, Window, WindowKind};

/// Windows over the events of a key in arrival order.
#[derive(Debug, Clone)]
pub(crate) struct CountPlan {
    /// Number of events in a window; `None`: all events until the end of input.
    pub(crate) count: Option<u64>,
    /// True if a later stage receives watermarks before the end of input. Global windows hold them
    /// back.
    pub(crate) passes_watermarks: bool,
    pub(crate) aggregates: Aggregates,
    pub(crate) caps: Caps,
}

impl CountPlan {
    /// Plans the windows of `window`, the stage at `path`, and returns their output columns.
    pub(super) fn new(
        path: &str,
        window: &Window,
        is_last: bool,
        input: &Columns,
        spec: &PipelineSpec,
    ) -> Result<(Self, Columns), SpecError> {
        if window.count == Some(0) {
            let message = "0: a window has at least 1 event";
            return Err(SpecError::new(format!("{path}.count"), message));
        }
        let (aggregates, columns) = aggregates(path, window, core::iter::empty(), input, spec)?;
        let count = window.count.filter(|_| window.window == WindowKind::Count);
        let passes_watermarks = !is_last && count.is_some();
        Ok((Self { count, passes_watermarks, aggregates, caps: Caps::of(spec) }, columns))
    }
}
