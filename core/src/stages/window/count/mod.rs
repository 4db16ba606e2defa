//! Windows by arrival: so many events of a key each, or all of them.

mod assign;
mod fire;
mod parts;
mod state;

use core::ops::Range;

use self::fire::Row;
use super::accumulator::Accumulators;
use super::staging::Staging;
use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::{CountPlan, Limit};
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::LimitPolicy;
use crate::stages::memory_budget::{MemoryBudget, key_bytes};
use crate::stages::parts::Parts;
use crate::util::lru::LruList;
use crate::util::timer_queue::Timers;

/// A window in the bytes of a stage, beside what it accumulates: its places in the tables.
const WINDOW_BYTES: u64 = 64;

/// An aggregation of the events of each key in the order in which they come.
///
/// The open window of a key has a slot, and the accumulators are lists by slot. A full window keeps its slot until the run
/// of events is added, so a run goes on behind it.
pub(crate) struct CountStage {
    index: u32,
    plan: CountPlan,
    accumulators: Accumulators,
    /// The slot of each key's open window.
    slots: Vec<u32>,
    /// The windows by slot.
    windows: Vec<Window>,
    free: Vec<u32>,
    /// Where keys may be evicted.
    lru: Option<LruList>,
    /// Where bytes are limited.
    budget: Option<MemoryBudget>,
    /// Windows that the run has filled.
    full: Vec<Row>,
    /// Windows that end with the input and wait for room in the output, the next one last. They are still open.
    due: Vec<u32>,
    /// Whether the rows of the end of input are being emitted: the watermark that they are judged by is fixed then.
    is_ending: bool,
    /// The earliest time that the row of each open window may have, less 1 µs, where watermarks are passed on.
    earliest: Timers,
    /// What has come from other engines and is not added yet.
    staging: Staging,
    /// The watermark that has been passed on.
    passed: i64,
    /// The slot of each event of the frame, as far as they are assigned.
    run: Vec<u32>,
    stats: StageStats,
}

/// The events of a window, but for their values.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// [`NONE`] where the slot is free.
    key: u32,
    count: u64,
    first: i64,
    last: i64,
}

impl CountStage {
    pub(crate) fn new(index: u32, plan: CountPlan) -> Self {
        let lru = plan.caps.evicts_keys().then(LruList::default);
        let budget = plan.caps.limits_bytes().then(MemoryBudget::default);
        let aggregates = &plan.aggregates;
        let mut accumulators =
            Accumulators::new(&aggregates.outputs, aggregates.fields.len(), aggregates.max_values);
        if plan.caps.evicts() {
            accumulators.count_events();
        }
        Self {
            index,
            plan,
            accumulators,
            slots: Vec::new(),
            windows: Vec::new(),
            free: Vec::new(),
            full: Vec::new(),
            lru,
            budget,
            due: Vec::new(),
            is_ending: false,
            earliest: Timers::default(),
            staging: Staging::default(),
            passed: NO_WATERMARK,
            run: Vec::new(),
            stats: StageStats { r#type: "window", ..StageStats::default() },
        }
    }

    fn open_windows(&self) -> usize {
        self.windows.len() - self.free.len()
    }

    /// The slots of the open windows.
    fn open_slots(&self) -> impl Iterator<Item = u32> {
        let open = (0..).zip(&self.windows).filter(|(_, window)| window.key != NONE);
        open.map(|(slot, _)| slot)
    }

    fn window(&self, slot: u32) -> Window {
        let none = Window { key: NONE, count: 0, first: 0, last: 0 };
        self.windows.get(slot as usize).copied().unwrap_or(none)
    }

    /// Moves the watermark that is passed on, now that the one here is `watermark`: not beyond the time of a row to come.
    fn pass_on(&mut self, watermark: i64) {
        if !self.plan.passes_watermarks {
            return;
        }
        let mut held = END_OF_TIME;
        while let Some((time, slot)) = self.earliest.first() {
            held = time;
            let earliest = self.window(slot).last.saturating_sub(1);
            if earliest <= time {
                break;
            }
            self.earliest.postpone_first(earliest);
        }
        self.passed = self.passed.max(watermark.min(held));
    }

    /// Adds the events of `range` to the slots that they were given.
    fn apply(&mut self, events: &Events<'_>, range: Range<usize>) {
        let slots = self.run.get(range.clone()).unwrap_or_default();
        if slots.is_empty() {
            return;
        }
        self.accumulators.count(slots);
        for (field, column) in self.plan.aggregates.fields.iter().enumerate() {
            let values = events.numbers(*column).get(range.clone()).unwrap_or_default();
            self.accumulators.add(field, slots, values, events.order(range.clone()));
        }
        self.stats.events += range.len() as u64;
    }

    /// Takes note of events of `keys`, as far as these have open windows.
    fn touch(&mut self, keys: &[u32]) {
        let Some(lru) = &mut self.lru else { return };
        let is_open = |key: &&u32| self.slots.get(**key as usize).is_some_and(|s| *s != NONE);
        keys.iter().filter(is_open).for_each(|key| lru.touch(*key));
    }

    /// Does what is to be done at `limit` about the event at `cursor`; false: the call ends before it.
    #[cold]
    fn at_limit(
        &mut self,
        limit: Limit,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> bool {
        let policy = self.plan.caps.policy(limit);
        if policy == LimitPolicy::Evict && self.make_room(limit, context.keys) {
            return true;
        }
        context.apply_limit_to_next((limit, policy), self.index, events, cursor, &mut self.stats)
    }

    /// Lets go of the window of the oldest key; false: there is none.
    #[cold]
    fn make_room(&mut self, limit: Limit, keys: &mut Keys) -> bool {
        let Some(key) = self.lru.as_ref().and_then(LruList::oldest) else { return false };
        let slot = self.slots.get(key as usize).copied().unwrap_or(NONE);
        if slot == NONE {
            return false;
        }
        self.stats.count_evicted_key();
        self.stats.count_evicted(limit, 1, self.accumulators.events_in(slot));
        self.close(slot);
        self.free_slot(slot);
        self.accumulators.release(&[slot]);
        keys.release(key);
        true
    }

    /// A window in the bytes of the stage, but for its values.
    fn window_bytes(&self) -> u64 {
        WINDOW_BYTES + self.accumulators.slot_bytes()
    }

    /// Whether values change how much room there is.
    fn measures_values(&self) -> bool {
        self.budget.is_some() && self.accumulators.have_variable_bytes()
    }

    /// Takes note of what the open windows of `run` hold, now that events were added.
    fn measure(&mut self, run: Range<usize>) {
        if !self.measures_values() {
            return;
        }
        let slots = self.run.get(run).unwrap_or_default().to_vec();
        slots.into_iter().for_each(|slot| self.measure_slot(slot));
    }

    fn measure_slot(&mut self, slot: u32) {
        let is_open = self.window(slot).key != NONE;
        if let Some(budget) = self.budget.as_mut().filter(|_| is_open) {
            budget.set_variable_bytes(slot, self.accumulators.variable_bytes(slot));
        }
    }

    /// The bytes of all open windows.
    fn state_bytes(&self, keys: &Keys) -> u64 {
        if let Some(budget) = &self.budget {
            return budget.bytes();
        }
        let of = |slot: u32| {
            key_bytes(self.window(slot).key, keys) + self.accumulators.variable_bytes(slot)
        };
        self.open_slots().map(|slot| of(slot) + self.window_bytes()).sum()
    }
}

impl Stage for CountStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let end = events.timestamps.len();
        if self.run.len() < end {
            self.run.resize(end, NONE);
        }
        if !self.add_parts(events.watermark, context) {
            return false;
        }
        while *cursor < end {
            let room = out.room();
            if room == 0 {
                return false;
            }
            let mut run = core::mem::take(&mut self.run);
            let (at, limit) = self.assign(events, *cursor, &mut run, room, context.keys);
            self.run = run;
            self.apply(events, *cursor..at);
            self.emit_full(out);
            self.measure(*cursor..at);
            self.touch(events.keys.get(*cursor..at).unwrap_or_default());
            *cursor = at;
            if let Some(limit) = limit
                && !self.at_limit(limit, events, cursor, context)
            {
                return false;
            }
        }
        if events.watermark == END_OF_TIME {
            if !self.is_ending {
                self.pass_on(END_OF_TIME - 1);
                self.is_ending = true;
            }
            if !self.emit_rest(context.keys, out) {
                return false;
            }
            self.passed = END_OF_TIME;
        }
        self.pass_on(events.watermark);
        out.watermark = self.passed;
        true
    }

    fn stats(&self, keys: &Keys) -> StageStats {
        let open = self.open_windows() as u64;
        let state_bytes = self.state_bytes(keys);
        StageStats { keys: open, open_windows: open, state_bytes, ..self.stats.clone() }
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
