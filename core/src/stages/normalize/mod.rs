//! The `normalize` stage: turns samples at arbitrary times into values on a regular grid, per key.
//!
//! A sample is buffered in its slot until the watermark has passed the slot's last microsecond. A
//! slot is a grid point, or with `basis = "samples"` the sample's own time. When a slot closes, its
//! samples reduce to one known point. The fill computes the rows up to that point once it has the
//! neighbours it needs.
//!
//! ```text
//! events --ingest--> slots --advance--> known points --fill--> row runs --emit--> frame
//!          ingest_run       schedule     outliers              layout
//!                           emit_fast (slots to frame, for the common case)
//! ```
//!
//! Ownership:
//! - [`NormalizeStage`] owns all series, the [`Schedule`], the pending [`RowRun`]s and the
//!   counters.
//! - [`Series`] is the state of one key: its grid, its open slots, and where its current run
//!   stands.
//! - [`FieldSeries`] is the state of one field of a series: buffered samples and known points.
//! - [`Schedule`] holds the watermark at which each series has work next.
//! - [`WatermarkHolds`] holds how far each series keeps the output watermark back.
//! - [`Emitter`] writes pending rows to the output frame.
//!
//! A run is a sequence of known points without a gap that is too long to fill; see
//! `Series::in_run`.
//!
//! A call of [`Stage::process`]:
//! 1. `emit` writes rows that are pending from an earlier call.
//! 2. `ingest` takes samples until a watermark, a slot that was closed early or a limit stops it.
//! 3. `advance` closes the slots that the watermark has passed and queues the certain rows.
//! 4. `emit` writes them, ordered by time and then by key.
//!
//! A batch is ingested as a whole before the schedule is followed. Each sample is still judged by
//! its own input watermark, and a closed slot takes no sample. The result therefore does not depend
//! on batch boundaries.

mod advance;
mod auto;
mod buffer;
mod check;
mod emit;
mod emit_fast;
mod fill;
mod grid;
mod ingest;
mod ingest_run;
mod interval_divider;
mod layout;
mod limits;
mod outliers;
mod schedule;
mod series;
mod snapshot;
mod watermark_hold;

use self::emit::Emitter;
use self::grid::Grid;
use self::ingest::IngestStop;
use self::layout::{RowRun, RowRunSorter};
use self::schedule::Schedule;
use self::series::{FieldSeries, Series};
use self::watermark_hold::WatermarkHolds;
use super::keyed::memory_budget::MemoryBudget;
use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::NormalizePlan;
use crate::snapshot::{StateReader, StateWriter};
use crate::util::lru::LruList;

/// State of one `normalize` stage. See the module documentation for the order of a call.
pub(crate) struct NormalizeStage {
    index: u32,
    plan: NormalizePlan,
    /// The grid of all keys; `None` if each key has its own (`interval = "auto"`).
    grid: Option<Grid>,
    series: Vec<Series>,
    /// The fields of all series: `plan.fields.len()` entries a series, in the order of `series`.
    field_series: Vec<FieldSeries>,
    free: Vec<u32>,
    /// Index of the series of each key, by key id.
    series_of_key: Vec<u32>,
    schedule: Schedule,
    watermark_holds: WatermarkHolds,
    /// Certain rows in output order. They are emitted before anything else happens.
    pending: Vec<RowRun>,
    /// Number of entries of `pending` that have been emitted.
    emitted: usize,
    sorter: RowRunSorter,
    /// Series that have changed since `pending` was empty.
    touched: Vec<u32>,
    emitter: Emitter,
    /// Watermark up to which the schedule has been followed.
    advanced: i64,
    /// Watermark passed to the next stage.
    output_watermark: i64,
    /// Number of series whose interval is not known yet.
    without_interval: u32,
    /// Present if the limit policy may evict keys.
    lru: Option<LruList>,
    /// Present if bytes are limited: the bytes of each series.
    budget: Option<MemoryBudget>,
    /// True if rows of this plan can skip `pending`; `row_ends` is scratch space for that.
    can_emit_fast: bool,
    row_ends: Vec<u32>,
    scratch: ingest_run::Scratch,
    stats: StageStats,
}

impl NormalizeStage {
    #[inline]
    pub(crate) fn new(index: u32, plan: NormalizePlan) -> Self {
        let grid = plan
            .interval_us
            .map(|interval| Grid::new(interval, plan.offset_us, plan.align, plan.basis));
        Self {
            index,
            grid,
            series: Vec::new(),
            field_series: Vec::new(),
            free: Vec::new(),
            series_of_key: Vec::new(),
            schedule: Schedule::default(),
            watermark_holds: WatermarkHolds::default(),
            pending: Vec::new(),
            emitted: 0,
            sorter: RowRunSorter::default(),
            touched: Vec::new(),
            emitter: Emitter::new(&plan.layout),
            advanced: NO_WATERMARK,
            output_watermark: NO_WATERMARK,
            without_interval: 0,
            lru: plan.caps.evicts_keys().then(LruList::default),
            budget: plan.caps.limits_bytes().then(MemoryBudget::default),
            can_emit_fast: emit_fast::is_possible(&plan),
            row_ends: Vec::new(),
            scratch: ingest_run::Scratch::default(),
            stats: StageStats { r#type: "normalize", ..StageStats::default() },
            plan,
        }
    }

    /// Returns the number of series in use.
    fn live_series(&self) -> usize {
        self.series.len() - self.free.len()
    }

    /// Returns the range of series `series_id` in `field_series`.
    fn field_range(&self, series_id: u32) -> core::ops::Range<usize> {
        let fields = self.plan.fields.len();
        let first = (series_id as usize).saturating_mul(fields);
        first..first.saturating_add(fields)
    }

    /// Opens a series for `key` and retains the key. Returns the index of the series.
    fn open_series(&mut self, key: u32, keys: &mut Keys) -> u32 {
        let series_id = self.free.pop().unwrap_or_else(|| {
            self.series.push(Series::new(NONE, None));
            self.field_series.extend(self.plan.fields.iter().map(|_| FieldSeries::new()));
            u32::try_from(self.series.len() - 1).unwrap_or(NONE)
        });
        if let Some(series) = self.series.get_mut(series_id as usize) {
            let in_watermark_holds = series.in_watermark_holds;
            *series = Series { in_watermark_holds, ..Series::new(key, self.grid) };
        }
        self.without_interval += u32::from(self.grid.is_none());
        keys.retain(key);
        let index = key as usize;
        if self.series_of_key.len() <= index {
            self.series_of_key.resize(keys.id_bound().max(index + 1), NONE);
        }
        if let Some(entry) = self.series_of_key.get_mut(index) {
            *entry = series_id;
        }
        series_id
    }

    /// Drops the points of series `series_id` that emitted rows no longer need, and closes the
    /// series if it is empty.
    fn finish_series(&mut self, series_id: u32, keys: &mut Keys) {
        let field_range = self.field_range(series_id);
        let Self { plan, series, field_series, .. } = self;
        let field_series = field_series.get_mut(field_range).unwrap_or_default();
        let found = series.get_mut(series_id as usize).filter(|series| series.key != NONE);
        let Some(series) = found else { return };
        for (field, state) in plan.fields.iter().zip(field_series.iter_mut()) {
            state.drop_unneeded(field, series.next_row);
        }
        if series.in_run || !series.slots.is_empty() {
            if !plan.is_last && !series.in_watermark_holds {
                self.watermark_holds.add(series_id, series, plan, field_series);
            }
            self.update_bytes(series_id, keys);
            return;
        }
        self.close_series(series_id, keys);
    }

    /// Closes series `series_id`, releases its key and recycles its index.
    fn close_series(&mut self, series_id: u32, keys: &mut Keys) {
        let field_range = self.field_range(series_id);
        self.field_series
            .get_mut(field_range)
            .unwrap_or_default()
            .iter_mut()
            .for_each(FieldSeries::reset);
        let Some(series) = self.series.get_mut(series_id as usize) else { return };
        if let Some(entry) = self.series_of_key.get_mut(series.key as usize) {
            *entry = NONE;
        }
        if let Some(lru) = &mut self.lru {
            lru.remove(series.key);
        }
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(series_id, 0);
        }
        keys.release(series.key);
        let in_watermark_holds = series.in_watermark_holds;
        *series = Series { in_watermark_holds, ..Series::new(NONE, None) };
        self.free.push(series_id);
    }

    /// Drops the sample at `cursor`, counts it and reports it.
    #[cold]
    fn drop_event(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        reason: RejectReason,
        window_end: Option<i64>,
        context: &mut Context<'_>,
    ) {
        self.stats.events += 1;
        self.stats.count_dropped(reason, 1);
        context.report_drop(self.index, events, *cursor, reason, window_end);
        *cursor += 1;
    }

    /// Raises the output watermark after the schedule has been followed up to `watermark`.
    ///
    /// The output watermark stays before every row that may still come from an open slot or an open
    /// run.
    fn raise_output_watermark(&mut self, watermark: i64) {
        let held = match self.grid {
            _ if self.plan.is_last || watermark == END_OF_TIME || watermark == NO_WATERMARK => {
                watermark
            }
            Some(grid) => {
                let Self { plan, series, field_series, watermark_holds, .. } = self;
                let lowest_hold =
                    watermark_holds.lowest(series, plan, field_series).unwrap_or(i64::MAX);
                grid.before_open(watermark).min(lowest_hold)
            }
            // Without a common grid this is the last stage, so no stage reads the watermark.
            None => watermark,
        };
        self.output_watermark = self.output_watermark.max(held);
    }
}

impl Stage for NormalizeStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        loop {
            if !self.emit(context.keys, out) {
                return false;
            }
            match self.ingest(events, cursor, context) {
                IngestStop::EndOfBatch => break,
                IngestStop::Advance(watermark) => {
                    if !self.advance(watermark, context, out) {
                        return false;
                    }
                }
                IngestStop::RowsPending => {}
                IngestStop::AtLimit => return false,
            }
        }
        let done = self.advance(events.watermark, context, out);
        if done {
            self.raise_output_watermark(events.watermark);
            out.watermark = self.output_watermark;
        }
        done
    }

    /// Each value is compared with those before it, where outliers are looked for.
    fn event_work(&self) -> u64 {
        let windows = self.plan.fields.iter().filter_map(|field| field.outliers);
        1 + windows.map(|rule| u64::from(rule.window) / 4).sum::<u64>()
    }

    #[inline]
    fn stats(&self, keys: &Keys) -> StageStats {
        let state_bytes = self.state_bytes(keys);
        StageStats { keys: self.live_series() as u64, state_bytes, ..self.stats.clone() }
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
        self.check_all()
    }
}
