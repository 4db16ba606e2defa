//! How event time moves where it takes more than the greatest event time of the stream: several partitions, other kinds of
//! watermark, and the host's time.

mod least;
mod partition;
mod partitions;
mod state;
pub mod watermark;

use crate::data::reject::RejectReason;
use crate::event_time::watermark::{END_OF_TIME, Generator, NO_WATERMARK};
use crate::keys::NONE;
use crate::plan::{Moves, TimePlan};
use crate::time::MIN_TIME;
use partitions::Partitions;

/// The time of one stream: its watermark, and what moves it.
#[derive(Clone)]
pub(crate) struct EventTime {
    plan: TimePlan,
    is_simple: bool,
    /// The watermark of the stream. Where time is simple, events move it at once; otherwise the partitions do.
    pub(crate) stream: Generator,
    partitions: Partitions,
    /// The host's time as of the last tick, microseconds, over snapshots too: it never goes back.
    now: i64,
    /// Whether a tick came since the engine was opened or restored: what it says is of today.
    is_ticked: bool,
    /// Whether events came since everything was last closed for want of them.
    is_open: bool,
    /// The host's time at the last event; `None`: no tick has told since.
    seen_at: Option<i64>,
    /// Events too far ahead of the host's time.
    pub(crate) future: u64,
}

/// What a chunk of events says about time.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) timestamps: &'a [i64],
    /// Ids of [`EventTime::partition_names`]; `None`: all came by the same one.
    pub(crate) partitions: Option<&'a [u32]>,
    /// The column that marks the events that move the watermark, where one does.
    pub(crate) marks: Option<&'a [f64]>,
    /// The stream's watermark at each event, where a splitter has judged it.
    pub(crate) given: Option<&'a [i64]>,
}

impl EventTime {
    pub(crate) fn new(plan: &TimePlan, seed: u64) -> Self {
        let mut partitions = Partitions::new(seed, plan.max_partitions);
        if !plan.partitioned {
            partitions.names.define(UNNAMED, &[]);
        }
        Self {
            plan: plan.clone(),
            is_simple: plan.is_simple(),
            stream: Generator::with_bound(plan.rule.out_of_orderness),
            partitions,
            now: NO_WATERMARK,
            is_ticked: false,
            is_open: false,
            seen_at: None,
            future: 0,
        }
    }

    /// Whether [`EventTime::stream`] alone judges events.
    pub(crate) fn is_simple(&self) -> bool {
        self.is_simple
    }

    pub(crate) fn watermark(&self) -> i64 {
        self.stream.watermark()
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// The column that marks events, where the pipeline names one.
    pub(crate) fn mark_column(&self) -> Option<usize> {
        match self.plan.rule.moves {
            Moves::Marked(column) => Some(column),
            _ => None,
        }
    }

    /// Judges events one by one: appends to `met` the watermark that each meets, and to `refused` those that are not taken,
    /// for their own sake as `refusal` says, or for their time or partition.
    pub(crate) fn judge_each(
        &mut self,
        chunk: &Chunk<'_>,
        refusal: impl Fn(usize) -> Option<RejectReason>,
        met: &mut Vec<i64>,
        refused: &mut Vec<(usize, RejectReason)>,
    ) {
        met.clear();
        met.reserve(chunk.timestamps.len());
        refused.clear();
        for (event, time) in chunk.timestamps.iter().enumerate() {
            let given = chunk.given.and_then(|given| given.get(event));
            if let Some(given) = given {
                self.stream.advance((*given).min(END_OF_TIME - 1));
            }
            met.push(self.stream.watermark());
            let reason = refusal(event).or_else(|| match given {
                Some(_) => None,
                None => self.take(*time, chunk.partition(event), chunk.is_marked(event)),
            });
            if let Some(reason) = reason {
                refused.push((event, reason));
            }
        }
    }

    /// Takes note of an event, or says why it is not taken.
    #[inline]
    fn take(&mut self, time: i64, partition: u32, marked: bool) -> Option<RejectReason> {
        if self.is_simple {
            self.stream.observe(time);
            return None;
        }
        if self.is_future(time) {
            self.future += 1;
            return (!self.plan.keeps_future).then_some(RejectReason::Future);
        }
        let now = self.is_ticked.then_some(self.now);
        let Some(place) = self.partitions.known(partition, now) else {
            return Some(RejectReason::PartitionLimit);
        };
        self.partitions.observe(place, self.plan.rule, time, marked, now);
        self.stream.advance(self.partitions.watermark());
        self.is_open = true;
        self.seen_at = now;
        None
    }

    /// Whether `time` is too far ahead of the host's time, as far as that is known.
    #[inline]
    fn is_future(&self, time: i64) -> bool {
        let skew = self.plan.max_future_skew_us.filter(|_| self.is_ticked);
        skew.is_some_and(|skew| time > self.now.saturating_add(skew))
    }

    /// Moves the stream's watermark, if that is forward.
    pub(crate) fn advance(&mut self, watermark: i64) {
        self.stream.advance(watermark);
    }

    /// The host's time is `now`. `closed_at` gives the watermark at which everything up to an event time has fired.
    pub(crate) fn tick(&mut self, now: i64, closed_at: impl FnOnce(i64) -> i64) {
        self.now = self.now.max(now);
        self.is_ticked = true;
        if self.is_simple {
            return;
        }
        self.partitions.tick(self.now, self.plan.idle_timeout_us);
        self.stream.advance(self.partitions.watermark());
        let Some(timeout_us) = self.plan.close_after_idle_us.filter(|_| self.is_open) else {
            return;
        };
        let seen_at = *self.seen_at.get_or_insert(self.now);
        if self.now.saturating_sub(seen_at) >= timeout_us {
            self.is_open = false;
            if let Some(greatest) = self.partitions.greatest() {
                self.stream.advance(closed_at(greatest).min(END_OF_TIME - 1));
            }
        }
    }

    /// The host's time from which [`EventTime::tick`] has something to do; [`MIN_TIME`]: any will do.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        if self.is_simple || self.watermark() == END_OF_TIME {
            return None;
        }
        let after = |seen_at: Option<i64>, timeout_us: i64| {
            seen_at.map_or(MIN_TIME, |seen_at| seen_at.saturating_add(timeout_us))
        };
        let waited_for = self.partitions.list().iter().filter(|partition| !partition.idle);
        let idle = self.plan.idle_timeout_us.and_then(|timeout_us| {
            waited_for.map(|partition| after(partition.seen_at, timeout_us)).min()
        });
        let close = self.plan.close_after_idle_us.filter(|_| self.is_open);
        let close = close.map(|timeout_us| after(self.seen_at, timeout_us));
        let guard = self.plan.max_future_skew_us.filter(|_| !self.is_ticked).map(|_| MIN_TIME);
        [idle, close, guard].into_iter().flatten().min()
    }
}

/// The caller's id of the only partition of a source that has none.
const UNNAMED: u32 = 0;

impl Chunk<'_> {
    fn partition(&self, event: usize) -> u32 {
        self.partitions.map_or(UNNAMED, |ids| ids.get(event).copied().unwrap_or(NONE))
    }

    fn is_marked(&self, event: usize) -> bool {
        let mark = self.marks.and_then(|marks| marks.get(event)).copied();
        mark.is_some_and(|mark| mark != 0.0 && !mark.is_nan())
    }
}
