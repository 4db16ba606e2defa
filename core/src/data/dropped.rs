//! Dropped events, for routing to a dead-letter sink.

use crate::data::reject::RejectReason;
use crate::plan::Plan;

/// An event that a stage or the engine itself dropped. [`crate::Stats`] counts it as well.
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec, RejectReason};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options { report_drops: true, ..Options::default() })?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(12_000_000, "api", &[31.0])?;
/// events.push(9_000_000, "api", &[45.0])?; // its window has ended
/// events.push_to(&mut engine)?;
/// let dropped = &engine.drops(10)[0];
/// assert_eq!((dropped.ordinal, dropped.reason), (1, RejectReason::Late));
/// assert_eq!(dropped.late_by(engine.plan()), Some(2_000_000));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The ordinal of the event in the stream.
    pub ordinal: u64,
    /// The reason.
    pub reason: RejectReason,
    /// The stage that dropped it; `None` if it reached no stage.
    pub stage: Option<u32>,
    /// The watermark in effect when the event arrived, microseconds.
    pub watermark: i64,
    /// The end of the window that it was too late for, microseconds.
    pub window_end: Option<i64>,
}

impl Dropped {
    /// Returns how late a late event was, microseconds: `watermark - (window_end - 1 us +
    /// allowed_lateness)`. At 0 the window has just expired. `plan` is the plan of the engine that
    /// dropped it.
    #[must_use]
    pub fn late_by(&self, plan: &Plan) -> Option<i64> {
        let plan = plan.stages.get(self.stage? as usize)?;
        let end = self.window_end.filter(|_| self.reason == RejectReason::Late)?;
        Some(self.watermark.saturating_sub(plan.stage.accepts_until(end)?))
    }
}

/// Collects dropped events, if [`crate::Options::report_drops`] is set.
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

    /// Returns the events from number `first` on.
    pub(crate) fn since(&mut self, first: usize) -> &mut [Dropped] {
        self.waiting.get_mut(first..).unwrap_or_default()
    }

    pub(crate) fn waiting(&self) -> &[Dropped] {
        &self.waiting
    }

    /// Discards events from number `first` on that reached no stage and have an ordinal of at least
    /// `end`.
    pub(crate) fn discard_rejected(&mut self, first: usize, end: u64) {
        let mut index = 0;
        self.waiting.retain(|dropped| {
            index += 1;
            index <= first || dropped.stage.is_some() || dropped.ordinal < end
        });
    }

    /// Removes and returns the oldest `max` events.
    pub(crate) fn take(&mut self, max: usize) -> Vec<Dropped> {
        self.waiting.drain(..max.min(self.waiting.len())).collect()
    }

    pub(crate) fn restore(&mut self, waiting: Vec<Dropped>) {
        self.waiting = waiting;
    }
}
