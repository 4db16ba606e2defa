//! Windows by arrival: so many events each, or all there are.

use super::window::aggregates;
use super::{Aggregates, Caps, Columns};
use crate::spec::{PipelineSpec, SpecError, Window, WindowKind};

/// Windows of the events of a key in the order in which they come.
#[derive(Debug, Clone)]
pub(crate) struct CountPlan {
    /// The events of a window; `None`: all until the end of input.
    pub(crate) count: Option<u64>,
    /// Whether a stage behind it sees a watermark before the end of input: not while windows of all events are open.
    pub(crate) passes_watermarks: bool,
    pub(crate) aggregates: Aggregates,
    pub(crate) caps: Caps,
}

impl CountPlan {
    /// The windows of `window`, which stands at `path`, and the columns of their rows.
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
