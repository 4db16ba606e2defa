//! Event time: the watermark of a stream, and everything that moves it.
//!
//! [`EventTime`] owns the watermark of one engine. In the simple case it is a [`Generator`] alone:
//! the greatest event time less the allowed disorder. Otherwise each partition of the source has a
//! watermark, and the stream's watermark is the minimum over the active ones:
//!
//! ```text
//!  event ──> Partition ──> MinTracker ──> Generator (the stream's watermark, never moves back)
//!  tick  ──> marks partitions idle, or closes everything after silence ──┘
//! ```
//!
//! `watermark.rs` has the generator, `partition.rs` one partition, `partitions.rs` all of them with
//! `min_tracker.rs`, `state.rs` the definitions, statistics and snapshots.

mod min_tracker;
mod partition;
mod partitions;
mod state;
pub mod watermark;

use crate::data::reject::RejectReason;
use crate::event_time::watermark::{END_OF_TIME, Generator, NO_WATERMARK};
use crate::keys::NONE;
use crate::plan::{AdvanceOn, TimePlan};
use crate::time::MIN_TIME;
use partitions::Partitions;

/// The event time of one stream: its watermark, and the state that moves it.
#[derive(Clone)]
pub(crate) struct EventTime {
    plan: TimePlan,
    is_simple: bool,
    /// The stream's watermark. Events move it directly if time is simple; otherwise the partitions
    /// do.
    pub(crate) stream: Generator,
    partitions: Partitions,
    /// The host's time at the last tick, microseconds. It never moves back, across snapshots too.
    now: i64,
    /// True if the engine was ticked since it was opened or restored. If not, `now` may be out of
    /// date.
    is_ticked: bool,
    /// True if events arrived since everything was last closed by `time.close_after_idle`.
    is_open: bool,
    /// The host's time at the last event; `None` if there was no tick since.
    seen_at: Option<i64>,
    /// The number of events too far ahead of the host's time.
    pub(crate) future: u64,
}

/// The time-related columns of a chunk of events.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) timestamps: &'a [i64],
    /// Ids of [`EventTime::partition_names`]; `None` if the source has no partitions.
    pub(crate) partitions: Option<&'a [u32]>,
    /// The column that marks the events that move the watermark, if the pipeline names one.
    pub(crate) marks: Option<&'a [f64]>,
    /// The stream's watermark at each event, if the caller gives it.
    pub(crate) given: Option<&'a [i64]>,
}

impl EventTime {
    pub(crate) fn new(plan: &TimePlan, seed: u64) -> Self {
        let mut partitions = Partitions::new(seed, plan.max_partitions, plan.max_key_bytes);
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

    /// Returns whether [`EventTime::stream`] alone moves the watermark.
    pub(crate) fn is_simple(&self) -> bool {
        self.is_simple
    }

    pub(crate) fn watermark(&self) -> i64 {
        self.stream.watermark()
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Returns the index of the column that marks events, if the pipeline names one.
    pub(crate) fn mark_column(&self) -> Option<usize> {
        match self.plan.rule.advance_on {
            AdvanceOn::Marked(column) => Some(column),
            _ => None,
        }
    }

    /// Takes events one by one. Stores the watermark in effect at each event in `in_effect`. Stores
    /// in `rejected` the events that are rejected: as `rejection` says, or for their time or
    /// partition.
    pub(crate) fn observe_chunk(
        &mut self,
        chunk: &Chunk<'_>,
        rejection: impl Fn(usize) -> Option<RejectReason>,
        in_effect: &mut Vec<i64>,
        rejected: &mut Vec<(usize, RejectReason)>,
    ) {
        in_effect.clear();
        in_effect.reserve(chunk.timestamps.len());
        rejected.clear();
        for (event, time) in chunk.timestamps.iter().enumerate() {
            let given = chunk.given.and_then(|given| given.get(event));
            if let Some(given) = given {
                self.stream.advance((*given).min(END_OF_TIME - 1));
            }
            in_effect.push(self.stream.watermark());
            let reason = rejection(event).or_else(|| match given {
                Some(_) => None,
                None => self.observe(*time, chunk.partition(event), chunk.is_marked(event)),
            });
            if let Some(reason) = reason {
                rejected.push((event, reason));
            }
        }
    }

    /// Takes one event of a source without partitions. Returns the reason if it is rejected.
    pub(crate) fn observe_unpartitioned(
        &mut self,
        time: i64,
        marked: bool,
    ) -> Option<RejectReason> {
        self.observe(time, UNNAMED, marked)
    }

    /// Takes one event. Returns the reason if it is rejected.
    #[inline]
    fn observe(&mut self, time: i64, partition: u32, marked: bool) -> Option<RejectReason> {
        if self.is_simple {
            self.stream.observe(time);
            return None;
        }
        if self.is_future(time) {
            self.future += 1;
            return (!self.plan.keeps_future).then_some(RejectReason::Future);
        }
        let now = self.is_ticked.then_some(self.now);
        let Some(index) = self.partitions.get_or_add(partition, now) else {
            return Some(RejectReason::PartitionLimit);
        };
        self.partitions.observe(index, self.plan.rule, time, marked, now);
        self.stream.advance(self.partitions.watermark());
        self.is_open = true;
        self.seen_at = now;
        None
    }

    /// Returns whether `time` is too far ahead of the host's time, as far as that is known.
    #[inline]
    fn is_future(&self, time: i64) -> bool {
        let skew = self.plan.max_future_skew_us.filter(|_| self.is_ticked);
        skew.is_some_and(|skew| time > self.now.saturating_add(skew))
    }

    /// Moves the stream's watermark to `watermark`, if that is forward.
    pub(crate) fn advance(&mut self, watermark: i64) {
        self.stream.advance(watermark);
    }

    /// Sets the host's time. `closed_at` returns the watermark at which everything up to an event
    /// time has fired.
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

    /// Returns the earliest host time at which [`EventTime::tick`] has an effect; [`MIN_TIME`] if
    /// any time has.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        if self.is_simple || self.watermark() == END_OF_TIME {
            return None;
        }
        let after = |seen_at: Option<i64>, timeout_us: i64| {
            seen_at.map_or(MIN_TIME, |seen_at| seen_at.saturating_add(timeout_us))
        };
        let active = self.partitions.list().iter().filter(|partition| !partition.idle);
        let idle = self.plan.idle_timeout_us.and_then(|timeout_us| {
            active.map(|partition| after(partition.seen_at, timeout_us)).min()
        });
        let close = self.plan.close_after_idle_us.filter(|_| self.is_open);
        let close = close.map(|timeout_us| after(self.seen_at, timeout_us));
        let guard = self.plan.max_future_skew_us.filter(|_| !self.is_ticked).map(|_| MIN_TIME);
        [idle, close, guard].into_iter().flatten().min()
    }
}

/// The caller's id of the only partition of a source without partitions.
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
