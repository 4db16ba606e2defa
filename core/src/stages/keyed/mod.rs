//! Stages that add columns to events, from what they keep of each key: moving averages, rolling aggregations, z-scores.
//!
//! Events are taken as they come, late ones too, and all pass on, with their times, watermarks and places.

mod average;
mod field;
mod lifetime;
mod limits;
mod rolling;
mod snapshot;
mod zscore;

use core::ops::Range;

use self::field::FieldStates;
use self::lifetime::{Lifetimes, Stop};
use super::{Context, Stage};
use crate::data::frame::{Events, Frame, FrameColumn};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::Keys;
use crate::plan::{KeyedPlan, OperatorPlan};
use crate::snapshot::{SectionReader, SectionWriter};

/// What is kept of a field of one key.
trait State: Send + Sized + 'static {
    /// The options of the stage.
    type Options: Send + Clone;

    /// What it counts for in the bytes of the stage, but for the values that it keeps.
    const BYTES: u64;
    /// Whether it keeps values.
    const KEEPS_VALUES: bool = false;

    /// What the values that it keeps count for.
    fn variable_bytes(&self) -> u64 {
        0
    }

    /// Of no values.
    fn empty(options: &Self::Options) -> Self;

    /// Takes the values of `input`, each by the state of its key in `states`, and appends to `added` what the stage adds for its `field`th field.
    fn take(
        states: &mut [Self],
        options: &Self::Options,
        field: usize,
        input: &Input<'_>,
        added: &mut [FrameColumn],
    );

    fn save(&self, writer: &mut SectionWriter<'_>);

    /// What [`State::save`] wrote.
    fn load(options: &Self::Options, reader: &mut SectionReader<'_>)
    -> Result<Self, SnapshotError>;
}

/// A run of events, as a [`State`] sees them. All lists are of one length.
struct Input<'a> {
    timestamps: &'a [i64],
    keys: &'a [u32],
    /// NaN is missing.
    values: &'a [f64],
}

/// A stage that keeps a state of each field and key.
struct KeyedStage {
    index: u32,
    plan: KeyedPlan,
    fields: Vec<Box<dyn FieldStates>>,
    lifetimes: Lifetimes,
    /// What a field that counts events has for values.
    ones: Vec<f64>,
    stats: StageStats,
}

/// The stage that `plan` describes.
pub(super) fn build(index: u32, plan: KeyedPlan) -> Box<dyn Stage> {
    let name = match plan.operators.first() {
        Some(OperatorPlan::Rolling(_)) => "rolling",
        Some(OperatorPlan::ZScore(_)) => "zscore",
        _ => "ema",
    };
    let fields: Vec<_> = plan.operators.iter().map(field::of).collect();
    let bytes = fields.iter().map(|field| field.bytes()).sum();
    Box::new(KeyedStage {
        index,
        fields,
        lifetimes: Lifetimes::new(plan.caps, plan.state_ttl, bytes),
        plan,
        ones: Vec::new(),
        stats: StageStats { r#type: name, ..StageStats::default() },
    })
}

impl KeyedStage {
    /// Lets `key` begin anew in every field.
    fn reset(&mut self, key: u32, keys: &Keys) {
        for field in &mut self.fields {
            field.reset(key, keys.id_bound());
        }
    }

    /// Makes sure that the keys of the events from `from` to before `end` are alive, as far as nothing interferes.
    ///
    /// Returns the event before which it stopped, and why.
    fn admit(
        &mut self,
        events: &Events<'_>,
        range: Range<usize>,
        keys: &mut Keys,
    ) -> (usize, Stop) {
        let run = events.keys.get(range.clone()).unwrap_or_default();
        let first = match self.lifetimes.are_endless() {
            true => range.start + self.lifetimes.count_alive(run),
            false => range.start,
        };
        for at in first..range.end {
            let key = events.keys.get(at).copied().unwrap_or_default();
            let timestamp = events.timestamps.get(at).copied().unwrap_or_default();
            let watermark = events.watermarks.get(at).copied().unwrap_or(NO_WATERMARK);
            if self.lifetimes.ends(key, timestamp, watermark) {
                if at > range.start {
                    return (at, Stop::Ending);
                }
                self.end_lives(watermark, keys);
                if self.lifetimes.is_over(key, timestamp) {
                    self.lifetimes.end(key, keys);
                }
            }
            if !self.lifetimes.is_alive(key) {
                if !self.has_value(events, at) {
                    continue;
                }
                // What those before it hold is not measured yet.
                if at > range.start && self.measures_values() {
                    return (at, Stop::Ending);
                }
                if let Some(limit) = self.lifetimes.limit(key, keys) {
                    return (at, Stop::Limit(limit));
                }
                self.lifetimes.begin(key, timestamp, keys);
                self.reset(key, keys);
            }
            self.lifetimes.touch(key, timestamp);
        }
        (range.end, Stop::End)
    }

    /// Whether the event at `at` has a value that a state would take.
    fn has_value(&self, events: &Events<'_>, at: usize) -> bool {
        self.plan.fields.iter().any(|field| match field {
            Some(column) => events.numbers(*column).get(at).is_some_and(|value| !value.is_nan()),
            None => true,
        })
    }

    /// Ends the lives that are over at `watermark`.
    fn end_lives(&mut self, watermark: i64, keys: &mut Keys) {
        while let Some(key) = self.lifetimes.end_next(watermark, keys) {
            // What it kept is let go of.
            self.reset(key, keys);
        }
    }

    /// Passes the events of `range` on, with the columns that are added.
    fn pass(
        &mut self,
        events: &Events<'_>,
        range: Range<usize>,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) {
        out.push_run(events, range.clone(), context.keys);
        let inputs = out.columns.len().saturating_sub(self.plan.added);
        let added = out.columns.get_mut(inputs..).unwrap_or_default();
        if self.ones.len() < range.len() {
            self.ones.resize(range.len(), 1.0);
        }
        for (field, column) in self.plan.fields.iter().enumerate() {
            let values = match column {
                Some(column) => events.numbers(*column).get(range.clone()),
                None => self.ones.get(..range.len()),
            };
            let input = Input {
                timestamps: events.timestamps.get(range.clone()).unwrap_or_default(),
                keys: events.keys.get(range.clone()).unwrap_or_default(),
                values: values.unwrap_or_default(),
            };
            if let Some(states) = self.fields.get_mut(field) {
                states.take(field, &input, added);
            }
        }
        self.stats.events += range.len() as u64;
        self.stats.rows += range.len() as u64;
    }
}

impl Stage for KeyedStage {
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
            self.pass(events, *cursor..at, context, out);
            let taken = events.keys.get(*cursor..at).unwrap_or_default();
            self.measure(taken);
            self.lifetimes.note(taken);
            *cursor = at;
            if let Stop::Limit(limit) = stop
                && !self.at_limit(limit, events, cursor, context)
            {
                return false;
            }
        }
        self.end_lives(events.watermark, context.keys);
        out.watermark = events.watermark;
        true
    }

    fn stats(&self, keys: &Keys) -> StageStats {
        let state_bytes = self.state_bytes(keys);
        StageStats { keys: self.lifetimes.alive(), state_bytes, ..self.stats.clone() }
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

/// Appends `count` entries to a column of numbers and returns them, all missing.
fn more(column: &mut Vec<f64>, count: usize) -> &mut [f64] {
    let before = column.len();
    column.resize(before + count, f64::NAN);
    column.get_mut(before..).unwrap_or_default()
}
