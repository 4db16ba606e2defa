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
//! [`WindowStage`] owns the plan, the accumulators, the counters, and these parts:
//!
//! | part | state | updated on |
//! |---|---|---|
//! | [`SliceTable`] | the slices (`slice.rs`), the slots of keys in them, limits | new keys, removed slices, evictions |
//! | [`Combiner`] (`combine.rs`) | the aggregate tree (`aggregate_tree.rs`, `cached_interior.rs`) and the running window (`running.rs`): combinations that the next window needs again | slices that change or are removed |
//! | [`Progress`] | which windows have fired, what is due next | events, watermarks, fired windows |
//! | [`RowEmitter`] (`fire.rs`) | work that a full output interrupted, rows emitted so far (`emitted_rows.rs`), changes since then (`changes.rs`) | late events (`revise.rs`), changed windows |
//! | [`Staging`] | partial state not merged yet | partial state (`partial.rs`) |
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
mod changes;
mod combine;
mod emitted_rows;
mod fire;
mod limits;
mod open;
mod partial;
mod prefetch;
mod progress;
mod revise;
mod running;
mod slice;
mod slice_table;
mod slot_lookup;
mod snapshot;

use core::ops::Range;

use self::assign::AssignStop;
use self::combine::Combiner;
use self::fire::RowEmitter;
use self::progress::Progress;
use self::slice_table::SliceTable;
use super::staging::Staging;
use super::windows::{Run, Windows, held_back};
use crate::aggregates::Accumulators;
#[cfg(feature = "custom-aggregators")]
use crate::aggregation::AggregatorFactory;
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::WindowPlan;
use crate::snapshot::{StateReader, StateWriter};
use crate::stages::keyed::limits::Limited;
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
    /// The open slices, and the slots of the keys in them.
    table: SliceTable,
    /// Builds sliding windows from slices.
    combiner: Combiner,
    /// The windows that have fired, and what is due next.
    progress: Progress,
    /// Windows that are being emitted, and the rows that were.
    emitter: RowEmitter,
    /// Partial state from other engines, not merged yet.
    staging: Staging,
    run: Run,
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
    #[inline]
    pub(crate) fn new(index: u32, plan: WindowPlan) -> Self {
        let accumulators = accumulators_of(&plan);
        Self {
            index,
            table: SliceTable::new(&plan.caps, limits::WINDOW_BYTES + accumulators.slot_bytes()),
            accumulators,
            plan,
            combiner: Combiner::default(),
            progress: Progress::new(),
            emitter: RowEmitter::default(),
            staging: Staging::default(),
            run: Run::default(),
            new_keys: Vec::new(),
            stats: StageStats { r#type: "window", ..StageStats::default() },
        }
    }

    /// Returns the watermark at which the next window with events fires.
    fn next_fire(&self) -> Option<i64> {
        let window = self.progress.next_window(&self.table, &self.plan.grid);
        let fires = window.map(|window| self.plan.grid.fires_at(window));
        fires.into_iter().chain(self.partials_due()).min()
    }

    /// Returns the watermark of the next stage while this one is at `watermark`.
    fn output_watermark(&self, watermark: i64) -> i64 {
        held_back(watermark, self.plan.emission.lag_us)
    }

    /// Adds the events of `range` to their assigned slots.
    fn apply(&mut self, events: &Events<'_>, range: Range<usize>, keys: &Keys) {
        let Self { run, plan, accumulators, stats, .. } = self;
        let fields = &plan.fields;
        stats.events += range.len() as u64;
        if let Some(watermark) = run.apply(events, range, fields, accumulators, keys) {
            self.progress.event_arrived(watermark);
        }
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
        if !self.staging.is_empty() && !self.add_partials(events.watermark, context, out) {
            return false;
        }
        self.prefetch(events, *cursor, context.keys);
        loop {
            if !self.revise(context, out) {
                return false;
            }
            let mut run = self.run.take(events.timestamps.len());
            let (at, stop) = self.assign(events, *cursor, &mut run, context.keys);
            self.run.put_back(run);
            self.mark_changes(events, *cursor..at);
            let keys = events.keys.get(*cursor..at).unwrap_or_default();
            self.touch_keys(keys, *cursor..at);
            self.apply(events, *cursor..at, context.keys);
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
                AssignStop::Full(slot) => {
                    if !self.at_full_window(slot, events, cursor, context) {
                        return false;
                    }
                }
                AssignStop::Limit(limit) => {
                    if !self.at_limit(limit, events, cursor, context) {
                        return false;
                    }
                }
                AssignStop::Revise => {
                    self.mark_changes(events, at..at + 1);
                    let key = events.keys.get(at..at + 1).unwrap_or_default();
                    self.touch_keys(key, at..at + 1);
                    self.apply(events, at..at + 1, context.keys);
                    self.measure(at..at + 1);
                    self.begin_revision(events, at);
                    *cursor += 1;
                }
                AssignStop::End => break,
            }
        }
        let done = self.advance(events.watermark, context, out);
        if done {
            self.progress.watermark_reached(events.watermark);
            out.watermark = self.output_watermark(self.progress.input_watermark());
        }
        done
    }

    /// A new slice of a key marks each of its windows if these emit early rows.
    fn event_work(&self) -> u64 {
        let grid = &self.plan.grid;
        let windows = grid.size_us / grid.slide_us.max(1);
        if self.plan.emission.early.is_some() { windows.unsigned_abs().max(1) } else { 1 }
    }

    #[inline]
    fn stats(&self, keys: &Keys) -> StageStats {
        StageStats {
            keys: self.table.keyed().open_keys().into(),
            state_bytes: self.state_bytes(keys),
            open_windows: self.table.slots_in_use() as u64,
            watermark: Some(self.progress.input_watermark())
                .filter(|watermark| *watermark != NO_WATERMARK && *watermark != END_OF_TIME),
            next_fire: self.next_fire(),
            ..self.stats.clone()
        }
    }

    #[inline]
    fn save(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        self.save_section(from, writer)
    }

    #[inline]
    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        self.load_section(reader)
    }

    fn check_restored(&self, _: &Keys) -> Result<(), SnapshotError> {
        self.table.check_order()
    }

    #[cfg(feature = "custom-aggregators")]
    fn use_own(&mut self, factory: AggregatorFactory) {
        self.add_own(factory);
    }

    #[inline]
    fn partial_state(&mut self) -> Option<&mut dyn PartialState> {
        Some(self)
    }
}
