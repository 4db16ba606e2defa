//! Analytics stages: `ema`, `rolling` and `zscore` add columns to events, from state by key.
//!
//! Every event passes, late ones included, with its time, watermark and position unchanged.
//!
//! ```text
//! AnalyticsStage
//!   +- Lifetimes            which keys have state, ttl, LRU list, memory budget
//!   +- fields: FieldStates  one entry a field: a Vec<KeyState> by key id
//!        average   Average, TimedAverage               (ema)
//!        rolling   LastNValues, AllValues              (rolling)
//!        zscore    OnlineVariance, LastMoments, LastMedian
//! ```
//!
//! A call of [`Stage::process`] repeats these steps until the batch is used up:
//! 1. `admit` starts the lifetimes of new keys. It stops where a key may expire or
//!    a limit is reached.
//! 2. `emit` copies the admitted events to the output and appends the new columns, field by field.
//! 3. The budget and the LRU list are updated, and a limit that was reached is applied.

mod average;
mod field;
mod limits;
mod rolling;
mod snapshot;
mod zscore;

use core::ops::Range;

use self::field::FieldStates;
use super::keyed::lifetime::{AdmitStop, Lifetimes};
use super::keyed::limits::Limited;
use super::{Context, Stage};
use crate::data::frame::{Events, Frame, FrameColumn};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::{AnalyticsPlan, OperatorPlan};
use crate::snapshot::{Codec, StateReader, StateWriter};

/// State of one field of one key.
trait KeyState: Send + Sized + 'static {
    /// Options of the stage.
    type Options: Send + Clone;

    /// Bytes that a state counts for, without the values it keeps.
    const BYTES: u64;
    /// True if the state keeps values.
    const KEEPS_VALUES: bool = false;

    /// Returns the bytes of the values that the state keeps.
    fn variable_bytes(&self) -> u64 {
        0
    }

    /// Returns the state before the first value.
    fn empty(options: &Self::Options) -> Self;

    /// Adds the values of `input` to the states of their keys, and appends the results to those of
    /// `columns` that the options name.
    fn take(
        states: &mut [Self],
        options: &Self::Options,
        input: &Input<'_>,
        columns: &mut [FrameColumn],
    );

    /// Writes the state, or reads it into an empty one.
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError>;
}

/// Consecutive events of one field, in parallel columns.
struct Input<'a> {
    timestamps: &'a [i64],
    keys: &'a [u32],
    /// NaN is a missing value.
    values: &'a [f64],
}

/// A stage with one state per field and key.
struct AnalyticsStage {
    index: u32,
    plan: AnalyticsPlan,
    fields: Vec<Box<dyn FieldStates>>,
    lifetimes: Lifetimes,
    /// Values of a field that counts events instead of reading a column.
    ones: Vec<f64>,
    stats: StageStats,
}

/// Builds the stage that `plan` describes.
#[inline]
pub(crate) fn build(index: u32, plan: AnalyticsPlan) -> Box<dyn Stage> {
    let name = match plan.operators.first() {
        Some(OperatorPlan::Rolling(_)) => "rolling",
        Some(OperatorPlan::ZScore(_)) => "zscore",
        _ => "ema",
    };
    let fields: Vec<_> = plan.operators.iter().map(field::of).collect();
    let bytes = fields.iter().map(|field| field.bytes()).sum();
    Box::new(AnalyticsStage {
        index,
        fields,
        lifetimes: Lifetimes::new(&plan.caps, plan.state_ttl, bytes),
        plan,
        ones: Vec::new(),
        stats: StageStats { r#type: name, ..StageStats::default() },
    })
}

impl AnalyticsStage {
    /// Resets the state of `key` in every field.
    fn reset(&mut self, key: u32, keys: &Keys) {
        for field in &mut self.fields {
            field.reset(key, keys.id_bound());
        }
    }

    /// Starts the lifetimes of the keys of the events in `range`, up to the first event that needs
    /// something else first.
    ///
    /// Returns the index of that event and the reason, or the end of the range.
    fn admit(
        &mut self,
        events: &Events<'_>,
        range: Range<usize>,
        keys: &mut Keys,
    ) -> (usize, AdmitStop) {
        let run = events.keys.get(range.clone()).unwrap_or_default();
        let first = match self.lifetimes.never_expire() {
            true => range.start + self.lifetimes.count_alive(run),
            false => range.start,
        };
        for at in first..range.end {
            let key = events.keys.get(at).copied().unwrap_or_default();
            let timestamp = events.timestamps.get(at).copied().unwrap_or_default();
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            if self.lifetimes.may_expire(key, timestamp, watermark) {
                if at > range.start {
                    return (at, AdmitStop::MayExpire);
                }
                self.expire_keys(watermark, keys);
                if self.lifetimes.is_expired(key, timestamp) {
                    self.lifetimes.expire(key, keys);
                }
            }
            if !self.lifetimes.is_alive(key) {
                if !self.has_value(events, at) {
                    continue;
                }
                // The bytes of the preceding events are not in the budget yet.
                if at > range.start && self.tracks_value_bytes() {
                    return (at, AdmitStop::MayExpire);
                }
                if let Some(limit) = self.lifetimes.state.limit(key, keys) {
                    return (at, AdmitStop::Limit(limit));
                }
                self.lifetimes.begin(key, timestamp, keys);
                self.reset(key, keys);
            }
            self.lifetimes.touch(key, timestamp);
        }
        (range.end, AdmitStop::EndOfRange)
    }

    /// Returns true if the event at `at` has a value that a state would take.
    fn has_value(&self, events: &Events<'_>, at: usize) -> bool {
        self.plan.fields.iter().any(|field| match field {
            Some(column) => events.numbers(*column).get(at).is_some_and(|value| !value.is_nan()),
            None => true,
        })
    }

    /// Ends the lifetimes that have expired at `watermark`.
    fn expire_keys(&mut self, watermark: i64, keys: &mut Keys) {
        while let Some(key) = self.lifetimes.expire_next(watermark, keys) {
            // Releases the memory of its state.
            self.reset(key, keys);
        }
    }

    /// Copies the events of `range` to `out` and appends the computed columns.
    fn emit(
        &mut self,
        events: &Events<'_>,
        range: Range<usize>,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) {
        out.push_run(events, range.clone(), context.keys);
        if self.ones.len() < range.len() {
            self.ones.resize(range.len(), 1.0);
        }
        for (states, column) in self.fields.iter_mut().zip(&self.plan.fields) {
            let values = match column {
                Some(column) => events.numbers(*column).get(range.clone()),
                None => self.ones.get(..range.len()),
            };
            let input = Input {
                timestamps: events.timestamps.get(range.clone()).unwrap_or_default(),
                keys: events.keys.get(range.clone()).unwrap_or_default(),
                values: values.unwrap_or_default(),
            };
            states.take(&input, &mut out.columns);
        }
        self.stats.events += range.len() as u64;
        self.stats.rows += range.len() as u64;
    }
}

impl Stage for AnalyticsStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let end = events.timestamps.len();
        while *cursor < end {
            let room = out.room();
            if room == 0 {
                return false;
            }
            let range = *cursor..end.min(*cursor + room);
            let (at, stop) = self.admit(events, range, context.keys);
            self.emit(events, *cursor..at, context, out);
            let taken = events.keys.get(*cursor..at).unwrap_or_default();
            self.update_bytes(taken);
            self.lifetimes.state.touch_all(taken);
            *cursor = at;
            if let AdmitStop::Limit(limit) = stop
                && !self.at_limit(limit, events, cursor, context)
            {
                return false;
            }
        }
        self.expire_keys(events.watermark, context.keys);
        out.watermark = events.watermark;
        true
    }

    #[inline]
    fn stats(&self, keys: &Keys) -> StageStats {
        let state_bytes = self.state_bytes(keys);
        StageStats {
            keys: self.lifetimes.state.open_keys().into(),
            state_bytes,
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
        self.lifetimes.state.check_order()
    }
}

/// Appends `count` missing values to a column and returns them as a slice.
fn append_missing(column: &mut Vec<f64>, count: usize) -> &mut [f64] {
    let before = column.len();
    column.resize(before + count, f64::NAN);
    column.get_mut(before..).unwrap_or_default()
}
