//! Windows on a grid of event time: tumbling, sliding and cumulating.
//!
//! Events are stored by slice. A slice is a piece of time in which no window starts or ends, so
//! each window is a union of whole slices:
//!
//! ```text
//! slices    |  0  |  1  |  2  |  3  |  4  |      size 3, slide 1 (in slices)
//! windows   [--- A -----------]
//!                 [--- B -----------]
//!                       [--- C -----------]
//! ```
//!
//! A tumbling window is one slice. Each key has a slot in every slice with events of it, and the
//! accumulators are columns indexed by slot.
//!
//! [`WindowStage`] owns:
//!
//! - [`Slice`] (`slice.rs`): the slots of one slice by key; `open.rs` opens and counts them,
//!   `evict.rs` and `memory.rs` enforce limits;
//! - [`AggregateTree`] (`aggregate_tree.rs`, `cached_interior.rs`): combinations of slices, cached
//!   between windows; `combine.rs` builds a window from them;
//! - [`RunningWindow`] (`running.rs`): the values that move along with the window, by adding new
//!   slices and subtracting old ones;
//! - [`EmittedRows`] (`emitted_rows.rs`): the number of rows emitted of each window and key, and
//!   the early rows due;
//! - [`Firing`] (`fire.rs`), [`LateEvent`] (`revise.rs`), [`Staging`]: work that a full output
//!   interrupted, and partial state not merged yet.
//!
//! A call passes through these steps, in this order:
//!
//! ```text
//! add_partials                       merge staged partial state that is due   (partial.rs)
//! prefetch                           load table entries of many keys          (prefetch.rs)
//! assign -> SlotLookup, open_many    find or open the slot of each event      (assign.rs)
//! apply                              add values to the accumulators
//! advance / revise                   fire windows; fire again for late events (fire.rs, revise.rs)
//! ```

mod aggregate_tree;
mod assign;
mod cached_interior;
mod combine;
mod emitted_rows;
mod evict;
mod fire;
mod memory;
mod open;
mod partial;
mod prefetch;
mod revise;
mod running;
mod slice;
mod slot_lookup;
mod snapshot;

use core::ops::Range;
use std::collections::BTreeMap;

use self::aggregate_tree::AggregateTree;
use self::assign::AssignStop;
use self::emitted_rows::EmittedRows;
use self::evict::EvictionState;
use self::fire::Firing;
use self::revise::LateEvent;
use self::running::RunningWindow;
use self::slice::Slice;
use super::staging::Staging;
use crate::aggregates::Accumulators;
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::WindowPlan;
use crate::snapshot::{StateReader, StateWriter};
use crate::stages::memory_budget::MemoryBudget;
use crate::stages::partial::PartialState;
use crate::stages::{Context, Stage};

/// A keyed window aggregation on a grid of event time.
///
/// A batch is cut into runs between the events at which a window fires or an event is dropped. In a
/// run, each event first gets its slot, then each field is added in one loop.
pub(crate) struct WindowStage {
    index: u32,
    plan: WindowPlan,
    accumulators: Accumulators,
    /// The open slices, by start.
    slices: BTreeMap<i64, Slice>,
    /// Combinations of slices, from which sliding windows are built.
    tree: AggregateTree,
    /// The part of a sliding window that is updated incrementally.
    running: RunningWindow,
    /// The slot of each key in the window under combination; all [`NONE`] between firings.
    slot_of_key: Vec<u32>,
    /// Windows that start before this have fired.
    open_from: i64,
    /// Slices that start before this belong to windows that have fired and may fire again.
    late_before: i64,
    /// The watermark at which something is due before the next event is taken.
    next_due: i64,
    /// A window that is being emitted.
    firing: Option<Firing>,
    /// A late event whose windows are being emitted again.
    late_event: Option<LateEvent>,
    /// The rows emitted of each window, where a window may emit several.
    emitted: EmittedRows,
    /// Partial state from other engines, not merged yet.
    staging: Staging,
    /// The key of each slot.
    slot_keys: Vec<u32>,
    free_slots: Vec<u32>,
    /// The number of slices of each key.
    open_by_key: Vec<u32>,
    open_keys: u32,
    /// Present if keys or windows may be evicted.
    evictions: Option<EvictionState>,
    /// Present if bytes are limited.
    budget: Option<MemoryBudget>,
    /// The watermark under which the last event arrived.
    input_watermark: i64,
    /// The slot of each event of the frame, as far as assigned.
    run: Vec<u32>,
    /// Keys of the frame that may be new.
    new_keys: Vec<u32>,
    stats: StageStats,
}

/// Returns empty accumulators for the windows of `plan`. They count events if windows may be
/// evicted.
fn accumulators_of(plan: &WindowPlan) -> Accumulators {
    let mut empty = Accumulators::new(&plan.outputs, plan.fields.len(), plan.max_values);
    if plan.caps.evicts() {
        empty.count_events();
    }
    if running::use_incremental(&plan.grid) {
        empty.slide();
    }
    empty
}

impl WindowStage {
    pub(crate) fn new(index: u32, plan: WindowPlan) -> Self {
        Self {
            index,
            evictions: plan.caps.evicts().then(EvictionState::default),
            budget: plan.caps.limits_bytes().then(MemoryBudget::default),
            accumulators: accumulators_of(&plan),
            plan,
            slices: BTreeMap::new(),
            tree: AggregateTree::default(),
            running: RunningWindow::default(),
            slot_of_key: Vec::new(),
            open_from: i64::MIN,
            late_before: i64::MIN,
            next_due: i64::MAX,
            firing: None,
            late_event: None,
            emitted: EmittedRows::default(),
            staging: Staging::default(),
            slot_keys: Vec::new(),
            free_slots: Vec::new(),
            open_by_key: Vec::new(),
            open_keys: 0,
            input_watermark: NO_WATERMARK,
            run: Vec::new(),
            new_keys: Vec::new(),
            stats: StageStats { r#type: "window", ..StageStats::default() },
        }
    }

    /// Returns the start of the earliest window with events that has not fired.
    fn next_window(&self) -> Option<i64> {
        let first = self.plan.grid.window_start(self.open_from);
        let (slice, _) = self.slices.range(first..).next()?;
        Some(self.open_from.max(self.plan.grid.first_window(*slice)))
    }

    /// Returns the watermark at which the next window with events fires.
    fn next_fire(&self) -> Option<i64> {
        let window = self.next_window().map(|window| self.plan.grid.fires_at(window));
        window.into_iter().chain(self.partials_due()).min()
    }

    /// Returns the watermark after `watermark` at which something fires or expires.
    fn next_due_after(&self, watermark: i64) -> i64 {
        let grid = &self.plan.grid;
        let fires = self.next_window().map_or(i64::MAX, |window| grid.fires_at(window));
        let Some((slice, _)) = self.slices.first_key_value() else { return fires };
        if !self.plan.emission.revises {
            return fires;
        }
        let next = fires.min(grid.expires_at(grid.last_window(*slice)));
        match self.plan.emission.early {
            Some(early) => next.min(grid.multiple_from(watermark.saturating_add(1), early.step_us)),
            None => next,
        }
    }

    /// Sets the start of the first window that has not fired.
    fn set_open_from(&mut self, window: i64) {
        self.open_from = window;
        if self.plan.emission.revises {
            self.late_before = self.plan.grid.end_before(window);
        }
    }

    /// Returns the watermark of the next stage while this one is at `watermark`.
    fn output_watermark(&self, watermark: i64) -> i64 {
        match watermark {
            NO_WATERMARK | END_OF_TIME => watermark,
            watermark => watermark.saturating_sub(self.plan.emission.lag_us),
        }
    }

    /// Adds the events of `range` to their assigned slots.
    fn apply(&mut self, events: &Events<'_>, range: Range<usize>) {
        let slots = self.run.get(range.clone()).unwrap_or_default();
        if slots.is_empty() {
            return;
        }
        self.accumulators.count(slots);
        for (field, column) in self.plan.fields.iter().enumerate() {
            let values = events.numbers(*column).get(range.clone()).unwrap_or_default();
            self.accumulators.add(field, slots, values, events.order(range.clone()));
        }
        self.stats.events += range.len() as u64;
        self.input_watermark =
            events.watermarks.get(range.end - 1).copied().unwrap_or(self.input_watermark);
    }

    /// Counts and reports the event at `cursor` as dropped, and advances `cursor`.
    #[cold]
    fn drop_event(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        reason: RejectReason,
        context: &mut Context<'_>,
    ) {
        self.stats.count_dropped(reason, 1);
        let at = *cursor;
        let grid = &self.plan.grid;
        let slice = events.timestamps.get(at).map(|timestamp| grid.slice_of(*timestamp));
        let end = slice.map(|slice| grid.end_of(grid.last_window(slice)));
        context.report_drop(self.index, events, at, reason, end);
        self.stats.events += 1;
        self.input_watermark = events.watermarks.get(at).copied().unwrap_or(self.input_watermark);
        *cursor += 1;
    }
}

impl Stage for WindowStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        if self.run.len() < events.timestamps.len() {
            self.run.resize(events.timestamps.len(), NONE);
        }
        if !self.staging.is_empty() && !self.add_partials(events.watermark, context, out) {
            return false;
        }
        self.prefetch(events, *cursor, context.keys);
        loop {
            if !self.revise(context, out) {
                return false;
            }
            let mut run = core::mem::take(&mut self.run);
            let (at, stop) = self.assign(events, *cursor, &mut run, context.keys);
            self.run = run;
            self.mark_changes(events, *cursor..at);
            let keys = events.keys.get(*cursor..at).unwrap_or_default();
            self.touch_keys(keys, *cursor..at);
            self.apply(events, *cursor..at);
            self.measure(*cursor..at);
            *cursor = at;
            match stop {
                AssignStop::Advance(watermark) => {
                    if !self.advance(watermark, context, out) {
                        return false;
                    }
                }
                AssignStop::Drop(reason) => self.drop_event(events, cursor, reason, context),
                AssignStop::ApplyFirst => {}
                AssignStop::Limit(limit) => {
                    if !self.at_limit(limit, events, cursor, context) {
                        return false;
                    }
                }
                AssignStop::Revise => {
                    self.mark_changes(events, at..at + 1);
                    let key = events.keys.get(at..at + 1).unwrap_or_default();
                    self.touch_keys(key, at..at + 1);
                    self.apply(events, at..at + 1);
                    self.measure(at..at + 1);
                    self.begin_revision(events, at);
                    *cursor += 1;
                }
                AssignStop::End => break,
            }
        }
        let done = self.advance(events.watermark, context, out);
        if done {
            self.input_watermark = self.input_watermark.max(events.watermark);
            out.watermark = self.output_watermark(self.input_watermark);
        }
        done
    }

    fn stats(&self, keys: &Keys) -> StageStats {
        StageStats {
            keys: u64::from(self.open_keys),
            state_bytes: self.state_bytes(keys),
            open_windows: (self.slot_keys.len() - self.free_slots.len()) as u64,
            watermark: Some(self.input_watermark)
                .filter(|watermark| *watermark != NO_WATERMARK && *watermark != END_OF_TIME),
            next_fire: self.next_fire(),
            ..self.stats.clone()
        }
    }

    fn save(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        self.save_section(from, writer)
    }

    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.load_section(reader)
    }

    fn partial_state(&mut self) -> Option<&mut dyn PartialState> {
        Some(self)
    }
}
