//! Firing: when the watermark passes a window's end, its keys are emitted as rows in the order of
//! their bytes.

use super::aggregate_tree::AggregateTree;
use super::changes::Changes;
use super::combine::{Combiner, Slices};
use super::emitted_rows::{EmittedRows, Numbering};
use super::revise::LateEvent;
use super::{Context, WindowStage};
use crate::data::frame::{Frame, FrameColumn};
use crate::data::schema::ColumnRole;
use crate::keys::Keys;
use crate::plan::Grid;
use crate::stages::WorkBudget;
use crate::stages::work::take_last;

/// The work of a window apart from its keys, in units of [`WorkBudget`].
const WINDOW_WORK: u64 = 16;

/// Rows written column by column at a time: few enough that their accumulators stay in the cache.
const ROWS_AT_ONCE: usize = 512;

/// A window that is being emitted.
pub(super) struct Firing {
    pub(super) start: i64,
    /// The slots not emitted yet, the next one last.
    pub(super) slots: Vec<u32>,
    pub(super) trigger: Trigger,
}

/// The reason why a window emits rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trigger {
    /// The watermark has passed the window end.
    OnTime,
    /// The window has changed, and an early row is due at this watermark.
    Early(i64),
    /// This event arrived after the window had fired.
    Late { watermark: i64, ordinal: u64 },
}

/// The keys of the last early rows and their tree, which the next window can reuse while no event
/// arrives.
#[derive(Default)]
struct EarlyCache {
    /// Ids in ascending order.
    keys: Vec<u32>,
    tree: AggregateTree,
}

impl Firing {
    /// Returns the watermark that triggered the rows.
    pub(super) fn watermark(&self, grid: &Grid) -> i64 {
        match self.trigger {
            Trigger::OnTime => grid.fires_at(self.start),
            Trigger::Early(watermark) | Trigger::Late { watermark, .. } => watermark,
        }
    }

    /// Returns the rank that orders rows triggered by the same watermark.
    fn rank(&self) -> u64 {
        match self.trigger {
            Trigger::OnTime | Trigger::Early(_) => 0,
            Trigger::Late { ordinal, .. } => ordinal.saturating_add(1),
        }
    }
}

/// Work that a full output interrupts, and the rows that windows have emitted so far.
#[derive(Default)]
pub(super) struct RowEmitter {
    /// A window that is being emitted.
    firing: Option<Firing>,
    /// A late event whose windows are being emitted again.
    late_event: Option<LateEvent>,
    /// The rows emitted of each window, where a window may emit several.
    pub(super) emitted: EmittedRows,
    /// The changes of windows since their last row, if they emit early rows.
    pub(super) changes: Changes,
}

impl RowEmitter {
    /// Interrupts the emission of `firing`.
    pub(super) fn interrupt(&mut self, firing: Firing) {
        self.firing = Some(firing);
    }

    /// Returns the window whose emission was interrupted, to continue with it.
    pub(super) fn resume(&mut self) -> Option<Firing> {
        self.firing.take()
    }

    /// Returns true if the emission of a window is interrupted.
    pub(super) fn is_interrupted(&self) -> bool {
        self.firing.is_some()
    }

    /// Returns the slots of the window whose emission is interrupted.
    pub(super) fn slots(&self) -> &[u32] {
        self.firing.as_ref().map_or(&[], |firing| &firing.slots)
    }

    /// Returns the late event whose windows are being emitted again.
    pub(super) fn late_event(&self) -> Option<LateEvent> {
        self.late_event
    }

    /// Begins or continues to emit the windows of `late` again.
    pub(super) fn late_event_arrived(&mut self, late: LateEvent) {
        self.late_event = Some(late);
    }

    /// Records that all windows of the late event were emitted again.
    pub(super) fn late_event_done(&mut self) {
        self.late_event = None;
    }
}

impl WindowStage {
    /// Fires everything that is due at `watermark`. Returns false if `out` is full or the work of
    /// the call is spent; the next call continues.
    pub(super) fn advance(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        if self.progress.next_due() <= watermark {
            let mut changed = EarlyCache::default();
            while let Some(firing) = self.next_firing(watermark, &mut changed, context) {
                // A window is combined before the call pauses, and emitted by the next one.
                if context.work.is_spent() {
                    self.emitter.interrupt(firing);
                    return false;
                }
                if let Some(rest) = self.emit(firing, context.work, out) {
                    self.emitter.interrupt(rest);
                    if out.room() == 0 || context.work.is_spent() {
                        return false;
                    }
                }
            }
        }
        let grid = self.plan.grid;
        self.progress.passed(watermark, &self.plan);
        if self.progress.next_due() <= watermark {
            if self.plan.emission.revises {
                self.emitter.emitted.remove_expired(&grid, watermark);
                self.count_emitted();
                let kept = grid.first_kept(watermark);
                self.remove_slices_until(kept.saturating_sub(1), context.keys);
                let first = self.table.first_from(i64::MIN);
                self.emitter.changes.remove_before(first.unwrap_or(i64::MAX));
            }
            self.progress.reschedule(watermark, &self.table, &self.plan);
        }
        true
    }

    /// Returns the next window to emit at `watermark`, on time or early, or `None` if nothing more
    /// is due.
    fn next_firing(
        &mut self,
        watermark: i64,
        changed: &mut EarlyCache,
        context: &mut Context<'_>,
    ) -> Option<Firing> {
        if let Some(firing) = self.emitter.resume() {
            return Some(firing);
        }
        let grid = &self.plan.grid;
        let next = self.progress.next_window(&self.table, grid);
        let next = next.map(|start| (grid.fires_at(start), start));
        let next = next.filter(|(fires_at, _)| *fires_at <= watermark);
        let early = self.emitter.changes.first_due().filter(|(due, _)| *due <= watermark);
        match (next, early) {
            (next, Some(early)) if next.is_none_or(|next| early < next) => {
                self.begin_early(early, changed, context)
            }
            (Some((_, start)), _) => Some(self.begin(start, context)),
            (None, _) => None,
        }
    }

    /// Combines the window that starts at `start` and removes the state that no later window needs.
    fn begin(&mut self, start: i64, context: &mut Context<'_>) -> Firing {
        let (grid, keys) = (self.plan.grid, &mut *context.keys);
        let mut slots = if self.plan.emission.revises {
            let (combiner, mut slices) = self.combining();
            combiner.combine_whole(start, &mut slices, keys)
        } else if grid.slices_per_window() == 1 {
            self.table.remove_slice(start)
        } else {
            let (combiner, mut slices) = self.combining();
            let slots = combiner.combine_whole(start, &mut slices, keys);
            self.remove_slices_until(start, keys);
            slots
        };
        self.progress.fired_before(start.saturating_add(grid.slide_us), &self.plan);
        context.work.spend(WINDOW_WORK + slots.len() as u64 + self.combiner.take_merged());
        self.sort(&mut slots, context.keys);
        Firing { start, slots, trigger: Trigger::OnTime }
    }

    /// Combines the changed keys of the window at `start`, whose early rows are due at `watermark`.
    fn begin_early(
        &mut self,
        (watermark, start): (i64, i64),
        changed: &mut EarlyCache,
        context: &mut Context<'_>,
    ) -> Option<Firing> {
        let early = self.plan.emission.early?;
        let keys = &mut *context.keys;
        let now = self.emitter.changes.take_first_due(&self.plan.grid, early, &self.table);
        if changed.keys != now {
            *changed = EarlyCache { keys: now, tree: AggregateTree::default() };
        }
        let EarlyCache { keys: only, tree } = changed;
        let (combiner, mut slices) = self.combining();
        let mut slots = combiner.combine_keys(start, only, tree, &mut slices, keys);
        context.work.spend(WINDOW_WORK + slots.len() as u64 + self.combiner.take_merged());
        self.sort(&mut slots, context.keys);
        Some(Firing { start, slots, trigger: Trigger::Early(watermark) })
    }

    /// Removes the slices whose last window starts at `window` or before.
    fn remove_slices_until(&mut self, window: i64, keys: &mut Keys) {
        while let Some(start) = self.table.first_from(i64::MIN) {
            if self.plan.grid.last_window(start) > window {
                return;
            }
            let slots = self.table.remove_slice(start);
            let (combiner, mut slices) = self.combining();
            combiner.slice_removed(start, &slots, &mut slices);
            self.accumulators.release(&slots);
            self.table.release_slots(&slots, keys);
        }
    }

    /// Returns the combiner, and the slices that it works on.
    pub(super) fn combining(&mut self) -> (&mut Combiner, Slices<'_>) {
        let Self { plan, table, accumulators, combiner, .. } = self;
        (combiner, Slices { grid: plan.grid, table, accumulators })
    }

    /// Sorts slots in descending order of their keys, so that they can be taken from the end.
    pub(super) fn sort(&self, slots: &mut [u32], keys: &mut Keys) {
        if slots.len() < 2 {
            return;
        }
        let ranks = keys.ranks_of(slots.len(), || self.table.keys_in(slots).collect());
        let bound = ranks.len();
        let rank_of = |slot: u32| ranks.get(self.table.key_in(slot) as usize).copied().unwrap_or(0);
        crate::util::sort::descending_by_place(slots, rank_of, bound);
    }

    /// Writes the next rows of a window, at most [`ROWS_AT_ONCE`], as many as `out` has room for,
    /// and as many as `work` allows. Returns the window if slots remain.
    pub(super) fn emit(
        &mut self,
        mut firing: Firing,
        work: &mut WorkBudget,
        out: &mut Frame,
    ) -> Option<Firing> {
        let mut taken = firing.slots.len().min(out.room()).min(ROWS_AT_ONCE);
        if self.accumulators.have_variable_bytes() {
            let last = firing.slots.get(firing.slots.len() - taken..).unwrap_or_default();
            taken = take_last(last, work, |slot| self.accumulators.work_of(slot));
        }
        let rows = firing.slots.split_off(firing.slots.len() - taken);
        let grid = self.plan.grid;
        let first = out.keys.len();
        for slot in rows.iter().rev() {
            // The row takes over the slot's reference to the key.
            out.keys.push(self.table.key_in(*slot));
            self.table.free_slot(*slot);
        }
        extend(&mut out.timestamps, grid.last_us(firing.start), taken);
        let fires_at = firing.watermark(&grid);
        extend(&mut out.firing, fires_at, taken);
        // The next stage judges the row under the watermark just below the one that fires it.
        extend(&mut out.watermarks, self.output_watermark(fires_at.saturating_sub(1)), taken);
        extend(&mut out.ranks, firing.rank(), taken);
        out.ordinals.extend(self.stats.rows..self.stats.rows + taken as u64);
        self.stats.rows += taken as u64;
        self.accumulators.seal(&rows, &mut self.stats);
        let (start, end) = (grid.window_start(firing.start), grid.end_of(firing.start));
        let length = end.saturating_sub(start);
        for (role, column) in self.plan.layout.roles().zip(&mut out.columns) {
            match (role, column) {
                (ColumnRole::WindowStart, FrameColumn::Time(times)) => extend(times, start, taken),
                (ColumnRole::WindowEnd, FrameColumn::Time(times)) => extend(times, end, taken),
                (ColumnRole::Aggregation(output), FrameColumn::Number(numbers)) => {
                    let is_written = self.accumulators.results(output, rows.iter().rev(), numbers);
                    if !is_written {
                        let result = |slot: &u32| self.accumulators.result(output, *slot, length);
                        numbers.extend(rows.iter().rev().map(result));
                    }
                }
                (ColumnRole::Revision, FrameColumn::Number(revisions)) => {
                    let keys = out.keys.get(first..).unwrap_or_default();
                    let kept = !matches!(firing.trigger, Trigger::OnTime) || grid.keeps_fired();
                    let room = EmittedRows::room_in(self.table.keyed().bytes_left());
                    let numbering =
                        if kept { Numbering::Counted { room } } else { Numbering::Last };
                    let emitted = &mut self.emitter.emitted;
                    self.stats.revision_limit +=
                        emitted.number(firing.start, keys, numbering, revisions);
                }
                (ColumnRole::Early, FrameColumn::Bool(early)) => {
                    extend(early, u8::from(matches!(firing.trigger, Trigger::Early(_))), taken);
                }
                _ => {}
            }
        }
        self.count_emitted();
        self.accumulators.release(&rows);
        (!firing.slots.is_empty()).then_some(firing)
    }
}

fn extend<T: Clone>(list: &mut Vec<T>, value: T, times: usize) {
    list.resize(list.len() + times, value);
}
