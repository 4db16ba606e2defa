//! One partition of the source and its watermark.

use crate::event_time::watermark::NO_WATERMARK;
use crate::plan::{AdvanceOn, WatermarkRule};
use crate::spec::OutOfOrderness;
use crate::time::{MAX_TIME, MIN_TIME};

/// A known partition: an event arrived by it, or the host has declared it.
#[derive(Clone)]
pub(super) struct Partition {
    /// The id of its name.
    pub(super) name: u32,
    /// The greatest time of its events; [`NO_WATERMARK`] before the first.
    pub(super) greatest: i64,
    pub(super) watermark: i64,
    /// The value of `greatest` when a watermark that moves in steps last moved.
    pub(super) moved_at: i64,
    /// The host's time at its last event; `None` if there was no tick since.
    pub(super) seen_at: Option<i64>,
    /// True if it was silent for the idle timeout, so that the watermark does not wait for it.
    pub(super) idle: bool,
}

impl Partition {
    pub(super) fn new(name: u32, now: Option<i64>) -> Self {
        Self {
            name,
            greatest: NO_WATERMARK,
            watermark: NO_WATERMARK,
            moved_at: NO_WATERMARK,
            seen_at: now,
            idle: false,
        }
    }

    /// Returns true if events of valid times can have given its times.
    pub(super) fn is_consistent(&self) -> bool {
        let is_time = |time: i64| time == NO_WATERMARK || (MIN_TIME..=MAX_TIME).contains(&time);
        is_time(self.greatest)
            && is_time(self.moved_at)
            && self.moved_at <= self.greatest
            && self.watermark <= self.greatest
    }

    /// Takes an event at `time`. `marked` says whether the pipeline's `watermark_field` marks it.
    #[inline]
    pub(super) fn observe(&mut self, rule: WatermarkRule, time: i64, marked: bool) {
        self.greatest = self.greatest.max(time);
        let reached = match rule.advance_on {
            AdvanceOn::Always => time,
            AdvanceOn::Every(step) => {
                let first = self.moved_at == NO_WATERMARK;
                if !first && self.greatest.saturating_sub(self.moved_at) < step {
                    return;
                }
                self.moved_at = self.greatest;
                self.greatest
            }
            AdvanceOn::Marked(_) if marked => time,
            AdvanceOn::Marked(_) | AdvanceOn::Never => return,
        };
        if let OutOfOrderness::Bounded(bound) = rule.out_of_orderness {
            let lag_us = bound.as_micros().saturating_add(1);
            self.watermark = self.watermark.max(reached.saturating_sub(lag_us));
        }
    }
}
