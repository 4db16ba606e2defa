//! Count windows and global windows: they contain events by arrival, not by event time.

use super::columns::Columns;
use super::sharding::Hold;
use super::stage::{PartialSupport, PlannedStage, StageSite};
use super::window::aggregates;
use super::{Aggregates, Caps};
use crate::spec::{SpecError, Window, WindowKind};
use crate::stages::{CountStage, Stage};

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
    /// Plans the windows of `window`, the stage at `site`, and returns their output columns.
    #[inline]
    pub(super) fn new(
        window: &Window,
        site: &StageSite<'_>,
        input: &Columns,
    ) -> Result<(Self, Columns), SpecError> {
        let StageSite { path, spec, is_last, .. } = *site;
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

impl PlannedStage for CountPlan {
    #[inline]
    fn build(&self, index: u32, _: u64) -> Box<dyn Stage> {
        Box::new(CountStage::new(index, self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        self.count.is_some()
    }

    #[inline]
    fn hold(&self) -> Hold {
        match self.count {
            Some(_) => Hold::UntilEveryKey,
            None => Hold::UntilEndOfInput,
        }
    }

    #[inline]
    fn emits_rows(&self) -> bool {
        true
    }

    #[inline]
    fn orders_by_input_position(&self) -> bool {
        self.count.is_some()
    }

    #[inline]
    fn partial_support(&self) -> PartialSupport {
        match self.count {
            Some(_) => PartialSupport::NotMergeable,
            None => PartialSupport::Mergeable,
        }
    }
}
