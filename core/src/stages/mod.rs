//! The stages of a pipeline, all behind the trait [`Stage`].
//!
//! The engine calls each stage with a run of [`Events`] and collects what it emits in a [`Frame`],
//! which is the next stage's input:
//!
//! ```text
//! source -> Events -> Stage::process -> Frame -> Events -> Stage::process -> Frame -> rows
//!                        |    |
//!                        |    +-- Context: keys, dropped events, host time, refusals
//!                        +-- state of the stage: save / load (snapshot), partial_state
//! ```
//!
//! [`crate::plan::PlannedStage::build`] makes the stage of a plan. A stage judges every event by the
//! watermark in effect when it arrived, which is stored in a parallel column of [`Events`].
//!
//! | stage | where |
//! |---|---|
//! | `filter`, `map`, `key_by`, without state | `filter.rs`, `map.rs`, `key_by.rs` |
//! | `dedup` | `dedup/`, over the stores of `crate::dedup` |
//! | `normalize` | `normalize/` |
//! | `window` | `window/`, over the columns of `crate::aggregates` |
//! | `ema`, `rolling`, `zscore` | `analytics/`, over the statistics of `crate::statistics` |
//! | a window stage that exports its windows | [`PartialStage`] in `partial.rs` |
//!
//! Stages with state by key share `keyed/`: slots, limits, eviction and expiry.

mod analytics;
mod dedup;
mod filter;
mod key_by;
mod keyed;
mod map;
mod normalize;
pub(crate) mod partial;
mod window;
mod work;

#[cfg(feature = "custom-aggregators")]
use crate::aggregation::AggregatorFactory;
use crate::data::dropped::{Dropped, Drops};
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::snapshot::{StateReader, StateWriter};
use crate::spec::LimitPolicy;
pub(crate) use analytics::build as analytics_stage;
pub(crate) use dedup::DedupStage;
pub(crate) use filter::{ConditionValues, FilterStage, holds};
pub(crate) use key_by::KeyByStage;
pub(crate) use map::MapStage;
pub(crate) use normalize::NormalizeStage;
use partial::{PartialStage, PartialState};
pub(crate) use window::{CalendarStage, CountStage, SessionStage, WindowStage};
pub(crate) use work::WorkBudget;

/// Shared parts of the engine that a stage uses in a call, in addition to its own state.
pub(crate) struct Context<'a> {
    pub(crate) keys: &'a mut Keys,
    pub(crate) drops: &'a mut Drops,
    /// The host's time as of the last tick, microseconds.
    pub(crate) now: i64,
    /// The work that the call may still do.
    pub(crate) work: &'a mut WorkBudget,
    /// True if the events are the caller's own, so that the call may stop before any of them.
    pub(crate) may_stop: bool,
    /// The limit that ends the call, set by the stage that reached it.
    pub(crate) refusal: Option<Refusal>,
}

/// A limit under the policy `refuse` that ends a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) limit: Limit,
    pub(crate) stage: u32,
    pub(crate) ordinal: u64,
    /// True if the event was dropped because it did not come from the call and cannot be given
    /// back.
    pub(crate) dropped: bool,
}

/// The effect of a limit on an event that has no room, and on the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitOutcome {
    /// The event is dropped and the call continues with the next one.
    DropEvent,
    /// The event is dropped and the call ends after it: an event that did not come from the call
    /// cannot be given back.
    DropAndStop,
    /// The call ends before the event, which counts as never seen.
    StopBefore,
}

impl LimitOutcome {
    /// Returns true if the event is dropped.
    pub(crate) fn drops_event(self) -> bool {
        self != Self::StopBefore
    }

    /// Returns true if the call continues with the next event.
    pub(crate) fn continues(self) -> bool {
        self == Self::DropEvent
    }
}

impl Context<'_> {
    /// Applies `policy` to the event `ordinal`, for which `stage` has no room at `limit` even after
    /// evictions.
    ///
    /// Under the policy `refuse` the call ends before the event. An event that did not come from
    /// the call is dropped instead.
    pub(crate) fn apply_limit(
        &mut self,
        limit: Limit,
        policy: LimitPolicy,
        stage: u32,
        ordinal: u64,
    ) -> LimitOutcome {
        if policy != LimitPolicy::Refuse {
            return LimitOutcome::DropEvent;
        }
        let dropped = !self.may_stop;
        self.refusal = Some(Refusal { limit, stage, ordinal, dropped });
        if dropped { LimitOutcome::DropAndStop } else { LimitOutcome::StopBefore }
    }

    /// Reports that `stage` drops the event at `at`.
    pub(crate) fn report_drop(
        &mut self,
        stage: u32,
        events: &Events<'_>,
        at: usize,
        reason: RejectReason,
        window_end: Option<i64>,
    ) {
        self.drops.push(Dropped {
            ordinal: events.ordinals.at(at),
            reason,
            stage: Some(stage),
            watermark: events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK),
            window_end,
        });
    }
}

/// A stage of a pipeline. It takes events in batches and judges each by the watermark in effect
/// when it arrived.
pub(crate) trait Stage: Send {
    /// Processes `events` from `cursor` on, advances `cursor` past those it takes, and appends the
    /// rows it emits to `out`.
    ///
    /// Returns true once all events are taken and their last watermark is applied. Returns false
    /// when `out` is full, the work of the call is spent, or a limit refuses the next event; the
    /// next call with the same events continues there.
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool;

    /// Returns the work of one event, in units of [`WorkBudget`].
    fn event_work(&self) -> u64 {
        1
    }

    /// Returns the counters of the stage and the size of its state.
    fn stats(&self, keys: &Keys) -> StageStats;

    /// Writes one section of its snapshot, the first one for `from` = `None`, and returns the
    /// `from` of the next section, if any.
    ///
    /// Sections are written one at a time, so that memory never has to hold two. Writing leaves the
    /// state unchanged; it borrows it mutably because reading shares the list of fields.
    fn save(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError>;

    /// Reads one section, in the order in which they were written.
    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError>;

    /// Checks, after its last section was read, what depends on several sections.
    fn check_restored(&self, _keys: &Keys) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// Makes a stage with windows run the aggregators of `factory`. Call before the first event.
    #[cfg(feature = "custom-aggregators")]
    fn use_own(&mut self, _factory: AggregatorFactory) {}

    /// Returns its open windows as partial state, if the stage can exchange it with other engines.
    fn partial_state(&mut self) -> Option<&mut dyn PartialState> {
        None
    }

    /// Returns the watermark that has reached the stage, for a stage that emits partial state
    /// instead of rows.
    fn input_watermark(&self) -> i64 {
        NO_WATERMARK
    }
}

/// Wraps a window stage so that its windows are exported as partial state and never fire.
#[inline]
pub(crate) fn collecting_partials(stage: Box<dyn Stage>) -> Box<dyn Stage> {
    Box::new(PartialStage::new(stage))
}
