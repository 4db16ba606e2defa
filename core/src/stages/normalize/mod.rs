//! Normalization: samples at any time become values on a regular grid, each key for itself.

mod absorb;
mod advance;
mod auto;
mod cells;
mod emit;
mod fill;
mod grid;
mod holds;
mod layout;
mod limits;
mod ordinary;
mod outliers;
mod queue;
mod schedule;
mod series;
mod state;
mod steady;
mod steps;

use self::absorb::Stop;
use self::emit::Emitter;
use self::grid::Grid;
use self::holds::Holds;
use self::layout::{Order, Piece};
use self::schedule::Schedule;
use self::series::{Lane, Series};
use super::memory_budget::MemoryBudget;
use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::{Keys, NONE};
use crate::plan::NormalizePlan;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::util::lru::LruList;

/// A normalization.
///
/// Samples wait at their places, which are grid points or their own times, until the watermark has passed the last
/// microsecond of the place. Then the place is over, what is there is a known point, and the rows up to it can be
/// computed as soon as the fill has its neighbours. What is due at which watermark stands in a schedule, so a batch is taken
/// as a whole first and only then is the schedule followed: each sample is judged by its own watermark, and a place that
/// is over takes none.
pub(super) struct NormalizeStage {
    index: u32,
    plan: NormalizePlan,
    /// The grid of all keys; `None` where each has its own.
    grid: Option<Grid>,
    series: Vec<Series>,
    /// The fields of each series, one series after another.
    lanes: Vec<Lane>,
    free: Vec<u32>,
    /// The series of each key.
    by_key: Vec<u32>,
    schedule: Schedule,
    holds: Holds,
    /// Rows that are certain, in their order; they are emitted before anything else happens.
    pending: Vec<Piece>,
    /// How many of those are out.
    emitted: usize,
    order: Order,
    /// Series that have changed since rows were pending last.
    touched: Vec<u32>,
    emitter: Emitter,
    /// The watermark up to which the schedule has been followed.
    advanced: i64,
    /// The watermark that was passed on.
    passed: i64,
    /// Series whose interval is not known.
    undecided: u32,
    /// Where keys may be evicted.
    lru: Option<LruList>,
    /// Where bytes are limited: what each series counts for.
    budget: Option<MemoryBudget>,
    /// Whether rows can go straight to the output; the rows up to each point are kept for it.
    is_steady: bool,
    ends: Vec<u32>,
    scratch: ordinary::Scratch,
    stats: StageStats,
}

impl NormalizeStage {
    pub(super) fn new(index: u32, plan: NormalizePlan) -> Self {
        let grid = plan
            .interval_us
            .map(|interval| Grid::new(interval, plan.offset_us, plan.align, plan.basis));
        Self {
            index,
            grid,
            series: Vec::new(),
            lanes: Vec::new(),
            free: Vec::new(),
            by_key: Vec::new(),
            schedule: Schedule::default(),
            holds: Holds::default(),
            pending: Vec::new(),
            emitted: 0,
            order: Order::default(),
            touched: Vec::new(),
            emitter: Emitter::new(&plan.columns),
            advanced: NO_WATERMARK,
            passed: NO_WATERMARK,
            undecided: 0,
            lru: plan.caps.evicts_keys().then(LruList::default),
            budget: plan.caps.limits_bytes().then(MemoryBudget::default),
            is_steady: steady::is_possible(&plan),
            ends: Vec::new(),
            scratch: ordinary::Scratch::default(),
            stats: StageStats { r#type: "normalize", ..StageStats::default() },
            plan,
        }
    }

    /// Series in use.
    fn live(&self) -> usize {
        self.series.len() - self.free.len()
    }

    /// Where the fields of series `of` are among the lanes.
    fn span(&self, of: u32) -> core::ops::Range<usize> {
        let fields = self.plan.fields.len();
        let first = (of as usize).saturating_mul(fields);
        first..first.saturating_add(fields)
    }

    /// A series for `key`, which it retains.
    fn begin(&mut self, key: u32, keys: &mut Keys) -> u32 {
        let of = self.free.pop().unwrap_or_else(|| {
            self.series.push(Series::new(NONE, None));
            self.lanes.extend(self.plan.fields.iter().map(|_| Lane::new()));
            u32::try_from(self.series.len() - 1).unwrap_or(NONE)
        });
        if let Some(series) = self.series.get_mut(of as usize) {
            let holds = series.holds;
            *series = Series { holds, ..Series::new(key, self.grid) };
        }
        self.undecided += u32::from(self.grid.is_none());
        keys.retain(key);
        let place = key as usize;
        if self.by_key.len() <= place {
            self.by_key.resize(keys.id_bound().max(place + 1), NONE);
        }
        if let Some(entry) = self.by_key.get_mut(place) {
            *entry = of;
        }
        of
    }

    /// Takes note that the rows of series `of` which were certain are out; a series without anything is let go.
    fn settle_down(&mut self, of: u32, keys: &mut Keys) {
        let span = self.span(of);
        let Self { plan, series, lanes, .. } = self;
        let lanes = lanes.get_mut(span).unwrap_or_default();
        let found = series.get_mut(of as usize).filter(|series| series.key != NONE);
        let Some(series) = found else { return };
        for (field, lane) in plan.fields.iter().zip(lanes.iter_mut()) {
            lane.forget(field, series.next);
        }
        if series.goes_on || !series.places.is_empty() {
            if !plan.is_last && !series.holds {
                self.holds.add(of, series, plan, lanes);
            }
            self.measure(of, keys);
            return;
        }
        self.let_go(of, keys);
    }

    /// Lets go of series `of`.
    fn let_go(&mut self, of: u32, keys: &mut Keys) {
        let span = self.span(of);
        self.lanes.get_mut(span).unwrap_or_default().iter_mut().for_each(Lane::reset);
        let Some(series) = self.series.get_mut(of as usize) else { return };
        if let Some(entry) = self.by_key.get_mut(series.key as usize) {
            *entry = NONE;
        }
        if let Some(lru) = &mut self.lru {
            lru.remove(series.key);
        }
        if let Some(budget) = &mut self.budget {
            budget.set_variable_bytes(of, 0);
        }
        keys.release(series.key);
        let holds = series.holds;
        *series = Series { holds, ..Series::new(NONE, None) };
        self.free.push(of);
    }

    /// Drops the sample at `cursor`.
    #[cold]
    fn drop_next(
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

    /// Raises the watermark of the next stage, now that the schedule has been followed up to `watermark`.
    fn pass_on(&mut self, watermark: i64) {
        let held = match self.grid {
            _ if self.plan.is_last || watermark == END_OF_TIME || watermark == NO_WATERMARK => {
                watermark
            }
            Some(grid) => {
                let Self { plan, series, lanes, holds, .. } = self;
                let hold = holds.lowest(series, plan, lanes).unwrap_or(i64::MAX);
                grid.before_open(watermark).min(hold)
            }
            // Without one grid it is the last stage.
            None => watermark,
        };
        self.passed = self.passed.max(held);
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
            match self.absorb(events, cursor, context) {
                Stop::End => break,
                Stop::Advance(watermark) => {
                    if !self.advance(watermark, context.keys, out) {
                        return false;
                    }
                }
                Stop::Fired => {}
                Stop::Refused => return false,
            }
        }
        let done = self.advance(events.watermark, context.keys, out);
        if done {
            self.pass_on(events.watermark);
            out.watermark = self.passed;
        }
        done
    }

    fn stats(&self, keys: &Keys) -> StageStats {
        let state_bytes = self.state_bytes(keys);
        StageStats { keys: self.live() as u64, state_bytes, ..self.stats.clone() }
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
}
