//! Events that were taken and then dropped, for whoever wants to route them.

use crate::data::reject::RejectReason;
use crate::plan::{Plan, StagePlan, WindowPlan};

/// An event that a stage, or the engine itself, has dropped. It is counted in [`crate::Stats`] as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The event's place in the stream.
    pub ordinal: u64,
    /// Why.
    pub reason: RejectReason,
    /// The stage that dropped it; `None`: it never reached one.
    pub stage: Option<u32>,
    /// The watermark that it met, microseconds.
    pub watermark: i64,
    /// The end of the window that it came too late for, microseconds.
    pub window_end: Option<i64>,
}

impl Dropped {
    /// How late a late event was, microseconds: `watermark - (window_end - 1 us + allowed_lateness)`. At 0 the window has
    /// just gone. `plan` is that of the engine which dropped it.
    #[must_use]
    pub fn late_by(&self, plan: &Plan) -> Option<i64> {
        let stage = plan.stages.get(self.stage? as usize);
        let end = self.window_end.filter(|_| self.reason == RejectReason::Late)?;
        let gone_at = match stage? {
            StagePlan::Window(WindowPlan { grid, .. }) => {
                grid.gone_at(end.saturating_sub(grid.size_us))
            }
            StagePlan::Normalize(_) => end.saturating_sub(1),
            StagePlan::Session(plan) => plan.expires_at(end),
            StagePlan::Calendar(plan) => end.saturating_sub(1).saturating_add(plan.lag_us),
            _ => return None,
        };
        Some(self.watermark.saturating_sub(gone_at))
    }
}

/// Collects dropped events, if anyone asked for them.
pub(crate) struct Drops {
    reported: bool,
    waiting: Vec<Dropped>,
}

impl Drops {
    pub(crate) fn new(reported: bool) -> Self {
        Self { reported, waiting: Vec::new() }
    }

    pub(crate) fn push(&mut self, dropped: Dropped) {
        if self.reported {
            self.waiting.push(dropped);
        }
    }

    /// Those from the `first` on.
    pub(crate) fn since(&mut self, first: usize) -> &mut [Dropped] {
        self.waiting.get_mut(first..).unwrap_or_default()
    }

    pub(crate) fn waiting(&self) -> &[Dropped] {
        &self.waiting
    }

    /// Forgets those from the `first` on that reached no stage and stand at `end` in the stream or behind.
    pub(crate) fn forget_refused(&mut self, first: usize, end: u64) {
        let mut place = 0;
        self.waiting.retain(|dropped| {
            place += 1;
            place <= first || dropped.stage.is_some() || dropped.ordinal < end
        });
    }

    /// Hands out the oldest `max`.
    pub(crate) fn take(&mut self, max: usize) -> Vec<Dropped> {
        self.waiting.drain(..max.min(self.waiting.len())).collect()
    }

    pub(crate) fn restore(&mut self, waiting: Vec<Dropped>) {
        self.waiting = waiting;
    }
}
