//! The traits of stages in a plan: planning of options, and what the engine asks a planned stage.

use core::fmt;
use std::sync::Arc;

use super::Condition;
use super::columns::Columns;
use super::dedup::IdentityColumn;
use super::sharding::{Hold, OneShard};
use crate::data::row_layout::RowLayout;
use crate::spec::{PipelineSpec, SpecError};
use crate::stages::Stage;

/// One stage of a [`super::Plan`].
#[derive(Debug, Clone)]
pub(crate) struct StagePlan {
    /// The columns that the stage emits.
    pub(crate) layout: RowLayout,
    pub(crate) stage: Arc<dyn PlannedStage>,
}

/// Options of a stage that can be planned.
pub(crate) trait PlanStage {
    /// Plans the stage, whose input has the columns `input`. Returns its plan and the columns that
    /// it emits.
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned;
}

/// A planned stage and the columns that it emits.
pub(crate) type Planned = Result<(Arc<dyn PlannedStage>, Columns), SpecError>;

/// The place of a stage in its pipeline.
pub(crate) struct StageSite<'a> {
    /// The path of the stage in error messages.
    pub(super) path: &'a str,
    pub(super) spec: &'a PipelineSpec,
    pub(super) is_last: bool,
    pub(super) identity_columns: &'a [IdentityColumn],
}

/// A planned stage.
pub(crate) trait PlannedStage: fmt::Debug + Send + Sync {
    /// Builds the stage, which is number `index` of its pipeline. `seed` seeds hash tables; results
    /// do not depend on it.
    fn build(&self, index: u32, seed: u64) -> Box<dyn Stage>;

    /// Returns true if rows, or their order, depend on the watermark that the stage sees.
    fn sees_watermark(&self) -> bool;

    /// Returns the condition of a filter; `None` for other stages.
    fn condition(&self) -> Option<&Condition> {
        None
    }

    /// Returns the watermark, apart from [`PlannedStage::delay_us`], at which the stage has emitted
    /// all results of events up to `time`.
    fn closed_at(&self, time: i64) -> i64 {
        time
    }

    /// Returns the distance between the input watermark and the output watermark, microseconds.
    fn delay_us(&self) -> i64 {
        0
    }

    /// Returns how the stage holds back the watermark, in addition to [`PlannedStage::delay_us`].
    fn hold(&self) -> Hold {
        Hold::None
    }

    /// Returns true if the stage emits rows of its own, not its input events.
    fn emits_rows(&self) -> bool {
        false
    }

    /// Returns true if some rows are ordered by the position of the event that triggered them.
    fn orders_by_input_position(&self) -> bool {
        false
    }

    /// Returns the reason why the stage, number `index` of its pipeline, needs the events of all
    /// keys, if so.
    fn across_keys(&self, _index: usize) -> Option<OneShard> {
        None
    }

    /// Returns whether the open windows of the stage can be sent to another engine.
    fn partial_support(&self) -> PartialSupport {
        PartialSupport::NoWindows
    }

    /// Returns the number of fields of the new key, for a stage that changes the key.
    fn new_key_fields(&self) -> Option<usize> {
        None
    }

    /// Returns the watermark up to which the stage accepts events of a window that ends at `end`;
    /// `None` if no event is late for it.
    fn accepts_until(&self, _end: i64) -> Option<i64> {
        None
    }
}

/// The support of a stage for exporting its open windows as partial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartialSupport {
    /// The stage has no windows.
    NoWindows,
    /// Its windows depend on the order of arrival and cannot be merged.
    NotMergeable,
    /// Its windows can be merged with those of other engines.
    Mergeable,
}
