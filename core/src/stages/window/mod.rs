//! Windows by event time, tumbling and sliding, each key for itself.

mod accumulator;
mod ahead;
mod assign;
mod blocks;
mod bytes;
mod calendar;
mod combine;
mod count;
mod evict;
mod fire;
mod follow;
mod middle;
mod open;
mod panes;
mod parts;
mod revise;
mod session;
mod slice;
mod slide;
mod staging;
mod state;

use core::ops::Range;
use std::collections::BTreeMap;

use self::accumulator::Accumulators;
use self::assign::Stop;
use self::blocks::Blocks;
use self::evict::Evictions;
use self::fire::Firing;
use self::panes::Panes;
use self::revise::Revising;
use self::slice::Slice;
use self::slide::Held;
use self::staging::Staging;
use super::memory_budget::MemoryBudget;
use super::parts::Parts;
use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::WindowPlan;
use crate::snapshot::{SectionReader, SectionWriter};
pub(super) use calendar::CalendarStage;
pub(super) use count::CountStage;
pub(super) use session::SessionStage;

/// A keyed window aggregation.
///
/// Events are kept by slice: a tumbling window is one, sliding windows are put together of those that they cover when they
/// fire. Every key has a slot in each slice with events of it; the accumulators are lists by slot. A batch is cut into runs between the events at which
/// a window fires or an event is dropped: within a run each event first gets its slot, then each field is added in one loop.
pub(super) struct WindowStage {
    index: u32,
    plan: WindowPlan,
    accumulators: Accumulators,
    /// The open slices by their start.
    slices: BTreeMap<i64, Slice>,
    /// What sliding windows are combined from.
    blocks: Blocks,
    /// What they take with them from one to the next.
    held: Held,
    /// The slot of each key in the window that is combined; none between firings.
    places: Vec<u32>,
    /// Windows that start before this have fired.
    open_from: i64,
    /// Slices that start before this are in windows that have fired and may fire again.
    late_before: i64,
    /// The watermark at which there is something to do before the next event is taken.
    next_stop: i64,
    /// A window that is being emitted.
    firing: Option<Firing>,
    /// An event whose windows are being emitted again.
    revising: Option<Revising>,
    /// The rows that windows have given, where they may give several.
    panes: Panes,
    /// What has come from other engines and is not added yet.
    staging: Staging,
    /// The key of each slot.
    slot_keys: Vec<u32>,
    free_slots: Vec<u32>,
    /// Slices of each key.
    open_by_key: Vec<u32>,
    open_keys: u32,
    /// Where something may have to make room.
    evictions: Option<Evictions>,
    /// Where bytes are limited.
    budget: Option<MemoryBudget>,
    /// The watermark that the event before the next one met.
    met: i64,
    /// The slot of each event of the frame, as far as they are assigned.
    run: Vec<u32>,
    /// Keys of the frame that may be new.
    new_keys: Vec<u32>,
    stats: StageStats,
}

/// What the windows of `plan` accumulate in; where some may have to make room, their events are counted.
fn accumulators_of(plan: &WindowPlan) -> Accumulators {
    let mut empty = Accumulators::new(&plan.outputs, plan.fields.len(), plan.max_values);
    if plan.caps.evicts() {
        empty.count_events();
    }
    if slide::pays(&plan.grid) {
        empty.slide();
    }
    empty
}

impl WindowStage {
    pub(super) fn new(index: u32, plan: WindowPlan) -> Self {
        Self {
            index,
            evictions: plan.caps.evicts().then(Evictions::default),
            budget: plan.caps.limits_bytes().then(MemoryBudget::default),
            accumulators: accumulators_of(&plan),
            plan,
            slices: BTreeMap::new(),
            blocks: Blocks::default(),
            held: Held::default(),
            places: Vec::new(),
            open_from: i64::MIN,
            late_before: i64::MIN,
            next_stop: i64::MAX,
            firing: None,
            revising: None,
            panes: Panes::default(),
            staging: Staging::default(),
            slot_keys: Vec::new(),
            free_slots: Vec::new(),
            open_by_key: Vec::new(),
            open_keys: 0,
            met: NO_WATERMARK,
            run: Vec::new(),
            new_keys: Vec::new(),
            stats: StageStats { r#type: "window", ..StageStats::default() },
        }
    }

    /// The start of the earliest window with events that has not fired.
    fn next_window(&self) -> Option<i64> {
        let first = self.plan.grid.window_start(self.open_from);
        let (slice, _) = self.slices.range(first..).next()?;
        Some(self.open_from.max(self.plan.grid.first_window(*slice)))
    }

    /// The watermark at which the next window with events fires.
    fn next_fire(&self) -> Option<i64> {
        let window = self.next_window().map(|window| self.plan.grid.fires_at(window));
        window.into_iter().chain(self.parts_due()).min()
    }

    /// The watermark after `watermark` at which something fires or is gone.
    fn next_stop(&self, watermark: i64) -> i64 {
        let grid = &self.plan.grid;
        let fires = self.next_window().map_or(i64::MAX, |window| grid.fires_at(window));
        let Some((slice, _)) = self.slices.first_key_value() else { return fires };
        if !self.plan.emission.revises {
            return fires;
        }
        let next = fires.min(grid.gone_at(grid.last_window(*slice)));
        match self.plan.emission.early {
            Some(early) => next.min(grid.multiple_from(watermark.saturating_add(1), early.step_us)),
            None => next,
        }
    }

    fn set_open_from(&mut self, window: i64) {
        self.open_from = window;
        if self.plan.emission.revises {
            self.late_before = self.plan.grid.end_before(window);
        }
    }

    /// Returns the watermark of the next stage while this one is at `watermark`.
    fn passed_on(&self, watermark: i64) -> i64 {
        match watermark {
            NO_WATERMARK | END_OF_TIME => watermark,
            watermark => watermark.saturating_sub(self.plan.emission.lag_us),
        }
    }

    /// Adds the events of `range` to the slots that they were given.
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
        self.met = events.watermarks.get(range.end - 1).copied().unwrap_or(self.met);
    }

    #[cold]
    fn drop_next(
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
        self.met = events.watermarks.get(at).copied().unwrap_or(self.met);
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
        if !self.staging.is_empty() && !self.add_parts(events.watermark, context, out) {
            return false;
        }
        self.read_ahead(events, *cursor, context.keys);
        loop {
            if !self.revise(context, out) {
                return false;
            }
            let mut run = core::mem::take(&mut self.run);
            let (at, stop) = self.assign(events, *cursor, &mut run, context.keys);
            self.run = run;
            self.note_changes(events, *cursor..at);
            let keys = events.keys.get(*cursor..at).unwrap_or_default();
            self.touch(keys, *cursor..at);
            self.apply(events, *cursor..at);
            self.measure(*cursor..at);
            *cursor = at;
            match stop {
                Stop::Advance(watermark) => {
                    if !self.advance(watermark, context, out) {
                        return false;
                    }
                }
                Stop::Drop(reason) => self.drop_next(events, cursor, reason, context),
                Stop::Settle => {}
                Stop::Limit(limit) => {
                    if !self.at_limit(limit, events, cursor, context) {
                        return false;
                    }
                }
                Stop::Late => {
                    self.note_changes(events, at..at + 1);
                    let key = events.keys.get(at..at + 1).unwrap_or_default();
                    self.touch(key, at..at + 1);
                    self.apply(events, at..at + 1);
                    self.measure(at..at + 1);
                    self.note_late(events, at);
                    *cursor += 1;
                }
                Stop::End => break,
            }
        }
        let done = self.advance(events.watermark, context, out);
        if done {
            self.met = self.met.max(events.watermark);
            out.watermark = self.passed_on(self.met);
        }
        done
    }

    fn stats(&self, keys: &Keys) -> StageStats {
        StageStats {
            keys: u64::from(self.open_keys),
            state_bytes: self.state_bytes(keys),
            open_windows: (self.slot_keys.len() - self.free_slots.len()) as u64,
            watermark: Some(self.met)
                .filter(|watermark| *watermark != NO_WATERMARK && *watermark != END_OF_TIME),
            next_fire: self.next_fire(),
            ..self.stats.clone()
        }
    }

    fn save(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        self.save_part(from, positions, writer)
    }

    fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.load_part(reader, ids, keys)
    }

    fn parts(&mut self) -> Option<&mut dyn Parts> {
        Some(self)
    }
}
