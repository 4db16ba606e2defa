//! The stages of a pipeline as the engine runs them: one folder each, all behind one trait.

mod dedup;
mod filter;
mod key_by;
mod keyed;
mod map;
mod memory_budget;
mod normalize;
pub(crate) mod parts;
mod window;

use crate::data::dropped::{Dropped, Drops};
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::{Limit, StagePlan};
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::LimitPolicy;
use parts::{EdgeStage, Parts};

/// What a stage may use beside its own state.
pub(crate) struct Context<'a> {
    pub(crate) keys: &'a mut Keys,
    pub(crate) drops: &'a mut Drops,
    /// The host's time as of the last tick, microseconds.
    pub(crate) now: i64,
    /// Whether the events are those of a call, which may stop before each of them.
    pub(crate) may_stop: bool,
    /// Why the call ends here.
    pub(crate) refusal: Option<Refusal>,
}

/// Where a limit ends a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) limit: Limit,
    pub(crate) stage: u32,
    pub(crate) ordinal: u64,
    /// Whether the event is gone: it was not one of the call.
    pub(crate) dropped: bool,
}

/// What happens to an event for which a limit leaves no room, and to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitOutcome {
    /// The event is dropped, and the call continues after it.
    DropEvent,
    /// The event is dropped, and the call ends after it: it was not one of the call, so it cannot be given back.
    DropAndStop,
    /// The call ends before the event, which counts as never seen.
    StopBefore,
}

impl LimitOutcome {
    pub(crate) fn drops_event(self) -> bool {
        self != Self::StopBefore
    }

    pub(crate) fn continues(self) -> bool {
        self == Self::DropEvent
    }
}

impl Context<'_> {
    /// Applies `policy` to the event `ordinal`, for which `stage` has no room at `limit` even after evictions.
    ///
    /// Where the policy is to refuse, the call ends before the event. An event that is not of the call is dropped then.
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

    /// Applies `policy` at `limit` to the event at `cursor` of `stage`, where nothing can be evicted and no window is
    /// reported; counts and reports the event if it is dropped. Returns whether the call continues.
    pub(crate) fn apply_limit_to_next(
        &mut self,
        (limit, policy): (Limit, LimitPolicy),
        stage: u32,
        events: &Events<'_>,
        cursor: &mut usize,
        stats: &mut StageStats,
    ) -> bool {
        let outcome = self.apply_limit(limit, policy, stage, events.ordinals.at(*cursor));
        if outcome.drops_event() {
            stats.events += 1;
            stats.count_dropped(limit.reason(), 1);
            self.report_drop(stage, events, *cursor, limit.reason(), None);
            *cursor += 1;
        }
        outcome.continues()
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

/// One step of a pipeline: takes events in batches, judges each by the watermark that stands beside it.
pub(crate) trait Stage: Send {
    /// Takes `events` from `cursor` on, moves `cursor` behind those that are taken, and puts what it makes into `out`.
    ///
    /// Returns whether all are taken and their last watermark is reached. It stops before that only when `out` is full or a
    /// limit refuses the next event, and goes on from where it stopped when it is called again with the same events.
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool;

    /// What it has seen and done.
    fn stats(&self, keys: &Keys) -> StageStats;

    /// Writes one part of its snapshot, the first one for `from` = `None`, and returns the `from` of the next, if any.
    ///
    /// Parts are written one by one so that no two have to fit in memory at once. Keys are written as `positions[id]`.
    fn save(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64>;

    /// Reads a part, in the order in which they were written; `ids` gives the key at each position.
    fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError>;

    /// Its open windows, where they can go from one engine to another.
    fn parts(&mut self) -> Option<&mut dyn Parts> {
        None
    }

    /// The watermark that has come to it, where no window of its fires.
    fn reached(&self) -> i64 {
        NO_WATERMARK
    }
}

/// The same stage, where its windows are taken out instead of being fired.
pub(crate) fn at_the_edge(stage: Box<dyn Stage>) -> Box<dyn Stage> {
    Box::new(EdgeStage::new(stage))
}

/// The stage that `plan` describes, the `index`th of its pipeline.
///
/// `seed` is that of tables; it never shows in results.
pub(crate) fn build(index: u32, plan: &StagePlan, seed: u64) -> Box<dyn Stage> {
    match plan {
        StagePlan::Calendar(plan) => Box::new(window::CalendarStage::new(index, plan.clone())),
        StagePlan::Count(plan) => Box::new(window::CountStage::new(index, plan.clone())),
        StagePlan::Session(plan) => Box::new(window::SessionStage::new(index, plan.clone())),
        StagePlan::Window(plan) => Box::new(window::WindowStage::new(index, plan.clone())),
        StagePlan::Dedup(plan) => Box::new(dedup::DedupStage::new(index, plan.clone(), seed)),
        StagePlan::Keyed(plan) => keyed::build(index, plan.clone()),
        StagePlan::Map(plan) => Box::new(map::MapStage::new(plan.clone())),
        StagePlan::KeyBy(plan) => Box::new(key_by::KeyByStage::new(plan.clone())),
        StagePlan::Filter(plan) => Box::new(filter::FilterStage::new(plan.clone())),
        StagePlan::Normalize(plan) => Box::new(normalize::NormalizeStage::new(index, plan.clone())),
    }
}
