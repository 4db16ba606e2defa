//! Count windows: a fixed number of events of a key each, or all events of a key.
//!
//! Event time does not close them: a window fires with the event that fills it (`assign.rs`), or at
//! the end of input (`fire.rs`). [`CountStage`] keeps one open window per key, in a slot; the
//! accumulators are columns indexed by slot.
//!
//! The rows are events of the next stage, so the stage holds the watermark back: it does not pass
//! the earliest event time that the row of any open window can have
//! ([`CountStage::advance_output_watermark`]).

mod assign;
mod fire;
mod partial;
mod snapshot;

use core::ops::Range;

use self::assign::CountStop;
use self::fire::DueRow;
use crate::aggregates::Accumulators;
#[cfg(feature = "custom-aggregators")]
use crate::aggregation::AggregatorFactory;
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::{Caps, CountPlan, Limit};
use crate::snapshot::{StateReader, StateWriter};
use crate::stages::keyed::limits::Limited;
use crate::stages::keyed::slots::Slots;
use crate::stages::keyed::state::KeyedState;
use crate::stages::partial::PartialState;
use crate::stages::window::staging::Staging;
use crate::stages::window::windows::{Run, WindowParts, Windows};
use crate::stages::{Context, Stage};
use crate::util::timer_queue::Timers;

/// Bytes counted for a window in addition to its accumulators: its entries in the tables.
const WINDOW_BYTES: u64 = 64;

/// An aggregation of the events of each key, in the order of arrival.
///
/// A full window keeps its slot until the run of events is applied, so that the run can continue
/// past it.
pub(crate) struct CountStage {
    index: u32,
    plan: CountPlan,
    accumulators: Accumulators,
    /// The keys that have open windows.
    keyed: KeyedState,
    /// The slot of each key's open window.
    slots: Vec<u32>,
    /// The windows by slot.
    windows: Slots<CountWindow>,
    /// Windows that the run has filled.
    full: Vec<DueRow>,
    /// Windows that end with the input and wait for room in the output, the next one last. They are
    /// still open.
    due: Vec<u32>,
    /// True while the rows of the end of input are emitted; the watermark that judges them is fixed
    /// then.
    is_ending: bool,
    /// For each open window the watermark it allows: the earliest time its row can have, less 1 µs.
    /// Used if watermarks are passed on.
    watermark_holds: Timers,
    /// Partial state from other engines, not merged yet.
    staging: Staging,
    /// The watermark of the next stage.
    output_watermark: i64,
    run: Run,
    stats: StageStats,
}

/// The count and the time range of a window's events.
#[derive(Debug, Clone, Copy, Default)]
struct CountWindow {
    /// [`NONE`] if the slot is free.
    key: u32,
    count: u64,
    first: i64,
    last: i64,
}

impl CountStage {
    #[inline]
    pub(crate) fn new(index: u32, plan: CountPlan) -> Self {
        let aggregates = &plan.aggregates;
        let mut accumulators =
            Accumulators::new(&aggregates.outputs, aggregates.fields.len(), aggregates.max_values);
        if plan.caps.evicts() {
            accumulators.count_events();
        }
        Self {
            index,
            keyed: KeyedState::new(&plan.caps, WINDOW_BYTES + accumulators.slot_bytes(), false),
            plan,
            accumulators,
            slots: Vec::new(),
            windows: Slots::default(),
            full: Vec::new(),
            due: Vec::new(),
            is_ending: false,
            watermark_holds: Timers::default(),
            staging: Staging::default(),
            output_watermark: NO_WATERMARK,
            run: Run::default(),
            stats: StageStats { r#type: "window", ..StageStats::default() },
        }
    }

    /// Returns the slots of the open windows.
    fn open_slots(&self) -> impl Iterator<Item = u32> {
        let open = (0..).zip(self.windows.items()).filter(|(_, window)| window.key != NONE);
        open.map(|(slot, _)| slot)
    }

    fn window(&self, slot: u32) -> CountWindow {
        let none = CountWindow { key: NONE, count: 0, first: 0, last: 0 };
        self.windows.get(slot).copied().unwrap_or(none)
    }

    /// Advances the output watermark as far as `watermark` and the open windows allow.
    fn advance_output_watermark(&mut self, watermark: i64) {
        if !self.plan.passes_watermarks {
            return;
        }
        let mut hold = END_OF_TIME;
        while let Some((time, slot)) = self.watermark_holds.first() {
            hold = time;
            let watermark_holds = self.window(slot).last.saturating_sub(1);
            if watermark_holds <= time {
                break;
            }
            self.watermark_holds.postpone_first(watermark_holds);
        }
        self.output_watermark = self.output_watermark.max(watermark.min(hold));
    }

    /// Adds the events of `range` to their assigned slots.
    fn apply(&mut self, events: &Events<'_>, range: Range<usize>, keys: &Keys) {
        let Self { run, plan, accumulators, stats, .. } = self;
        let fields = &plan.aggregates.fields;
        stats.events += range.len() as u64;
        run.apply(events, range, fields, accumulators, keys);
    }

    /// Returns the bytes of all open windows and of the partial state that is not merged yet.
    fn state_bytes(&self, keys: &Keys) -> u64 {
        let variable_bytes = |slot| self.accumulators.variable_bytes(slot);
        let of_windows = self.keyed.bytes(keys, || self.open_slots().map(variable_bytes).sum());
        of_windows + self.staging.bytes()
    }
}

impl Windows for CountStage {
    const WINDOW_BYTES: u64 = WINDOW_BYTES;

    fn parts(&mut self) -> WindowParts<'_> {
        WindowParts {
            keyed: &mut self.keyed,
            accumulators: &mut self.accumulators,
            staging: &mut self.staging,
        }
    }

    fn keyed(&self) -> &KeyedState {
        &self.keyed
    }

    fn staging(&self) -> &Staging {
        &self.staging
    }

    fn accumulators(&self) -> &Accumulators {
        &self.accumulators
    }

    fn fields(&self) -> &[usize] {
        &self.plan.aggregates.fields
    }

    fn run(&self) -> &Run {
        &self.run
    }

    fn key_in(&self, slot: u32) -> u32 {
        self.window(slot).key
    }
}

impl Limited for CountStage {
    fn index(&self) -> u32 {
        self.index
    }

    fn caps(&self) -> &Caps {
        &self.plan.caps
    }

    fn counters(&mut self) -> &mut StageStats {
        &mut self.stats
    }

    /// Evicts the window of the least recently used key.
    #[cold]
    fn make_room(&mut self, limit: Limit, _: u32, _: i64, keys: &mut Keys) -> bool {
        let Some(key) = self.keyed.oldest() else { return false };
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
        if !self.staging.is_empty() && !self.add_partials(events.watermark, context, out) {
            return false;
        }
        while *cursor < end {
            let room = out.room();
            if room == 0 {
                return false;
            }
            let mut run = self.run.take(events.timestamps.len());
            let (at, stop) = self.assign(events, *cursor, &mut run, room, context.keys);
            self.run.put_back(run);
            self.apply(events, *cursor..at, context.keys);
            self.emit_full(out);
            self.measure(*cursor..at);
            self.keyed.touch_all(events.keys.get(*cursor..at).unwrap_or_default());
            *cursor = at;
            let continues = match stop {
                CountStop::ApplyFirst => true,
                CountStop::Limit(limit) => self.at_limit(limit, events, cursor, context),
                CountStop::Full(slot) => self.at_full_window(slot, events, cursor, context),
            };
            if !continues {
                return false;
            }
        }
        if events.watermark == END_OF_TIME {
            if !self.is_ending {
                self.advance_output_watermark(END_OF_TIME - 1);
                self.is_ending = true;
            }
            if !self.emit_open(context, out) {
                return false;
            }
            self.output_watermark = END_OF_TIME;
        }
        self.advance_output_watermark(events.watermark);
        out.watermark = self.output_watermark;
        true
    }

    #[inline]
    fn stats(&self, keys: &Keys) -> StageStats {
        let open = u64::from(self.keyed.open_keys());
        let state_bytes = self.state_bytes(keys);
        StageStats { keys: open, open_windows: open, state_bytes, ..self.stats.clone() }
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
        self.keyed.check_order()
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
