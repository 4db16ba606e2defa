//! The `filter` stage: passes the events that satisfy a condition, unchanged.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::key;
use crate::keys::Keys;
use crate::plan::{Condition, FilterPlan, Operand};
use crate::snapshot::{Codec, StateReader, StateWriter};
use crate::spec::Comparison;

/// The comparisons that take one unit of work.
const COMPARISONS_PER_UNIT: u64 = 8;

/// State of one `filter` stage.
pub(crate) struct FilterStage {
    plan: FilterPlan,
    /// For each event of the batch: true if it satisfies the condition.
    passes: Vec<bool>,
    /// Indices of the events that pass.
    passing: Vec<u32>,
    key_comparisons: KeyComparisons,
    stats: StageStats,
}

/// Cached results of key comparisons by key id, so that each key is compared once per batch. Key
/// ids change their meaning between batches.
#[derive(Default)]
struct KeyComparisons {
    /// Number of the current comparison; entries of other comparisons are stale.
    comparison: u64,
    found: Vec<(u64, bool)>,
}

impl FilterStage {
    pub(crate) fn new(plan: FilterPlan) -> Self {
        let stats = StageStats { r#type: "filter", ..StageStats::default() };
        Self {
            plan,
            passes: Vec::new(),
            passing: Vec::new(),
            key_comparisons: KeyComparisons::default(),
            stats,
        }
    }

    /// Writes or reads the fields of its section.
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.counters([&mut self.stats.events, &mut self.stats.rows])
    }
}

impl Stage for FilterStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let end = events.timestamps.len();
        self.passes.clear();
        self.passes.resize(end - *cursor, true);
        let Self { plan, passes, key_comparisons, .. } = self;
        clear_failing(&plan.condition, events, *cursor, (context.keys, key_comparisons), passes);
        self.passing.clear();
        let places = (*cursor..).zip(&self.passes).filter(|(_, passes)| **passes);
        self.passing.extend(places.filter_map(|(place, _)| u32::try_from(place).ok()));
        let room = out.room();
        let processed_end = match self.passing.get(room) {
            Some(first_left) => *first_left as usize,
            None => end,
        };
        self.passing.truncate(room);
        if self.passing.len() == processed_end - *cursor {
            out.push_run(events, *cursor..processed_end, context.keys);
        } else {
            out.push_events(events, &self.passing, context.keys);
        }
        self.stats.events += (processed_end - *cursor) as u64;
        self.stats.rows += self.passing.len() as u64;
        *cursor = processed_end;
        let done = processed_end == end;
        if done {
            out.watermark = events.watermark;
        }
        done
    }

    fn event_work(&self) -> u64 {
        1 + self.plan.condition.comparisons() / COMPARISONS_PER_UNIT
    }

    #[inline]
    fn stats(&self, _keys: &Keys) -> StageStats {
        self.stats.clone()
    }

    #[inline]
    fn save(
        &mut self,
        _: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        self.fields(writer)?;
        Ok(None)
    }

    #[inline]
    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        reader.expect_first()?;
        self.fields(reader)
    }
}

/// Clears the entries in `passes` of events, from `first` on, that do not satisfy `condition`.
fn clear_failing(
    condition: &Condition,
    events: &Events<'_>,
    first: usize,
    (keys, key_comparisons): (&Keys, &mut KeyComparisons),
    passes: &mut [bool],
) {
    match condition {
        Condition::All(all) => {
            all.iter()
                .for_each(|one| clear_failing(one, events, first, (keys, key_comparisons), passes));
        }
        Condition::Any(any) => {
            let mut some = vec![false; passes.len()];
            for one in any {
                let mut this = vec![true; passes.len()];
                clear_failing(one, events, first, (keys, key_comparisons), &mut this);
                some.iter_mut().zip(this).for_each(|(some, this)| *some |= this);
            }
            passes.iter_mut().zip(some).for_each(|(passes, some)| *passes &= some);
        }
        Condition::Not(not) => {
            let mut this = vec![true; passes.len()];
            clear_failing(not, events, first, (keys, key_comparisons), &mut this);
            passes.iter_mut().zip(this).for_each(|(passes, this)| *passes &= !this);
        }
        Condition::Number { column, op, values } => {
            let numbers = events.numbers(*column).get(first..).unwrap_or_default();
            compare_numbers(*op, numbers, values, passes);
        }
        Condition::Bool { column, values } => {
            let bools = events.bools(*column).get(first..).unwrap_or_default();
            let (if_false, if_true) = (values.contains(&false), values.contains(&true));
            for (passes, bool) in passes.iter_mut().zip(bools) {
                *passes &= if *bool == 0 { if_false } else { if_true };
            }
        }
        Condition::Key { field, op, values } => {
            let event_keys = events.keys.get(first..).unwrap_or_default();
            key_comparisons.start(keys);
            for (passes, id) in passes.iter_mut().zip(event_keys) {
                *passes &= key_comparisons.get(*id, || {
                    compare_key(*op, key::field_bytes(keys.bytes(*id), *field), values)
                });
            }
        }
    }
}

/// The values of one event, for a condition that is not evaluated by a stage.
pub(crate) trait ConditionValues {
    /// Returns the number of a column; NaN if it is missing.
    fn number(&mut self, column: usize) -> f64;

    /// Returns a field of the key in key encoding; nothing if it is missing.
    fn key_field(&mut self, field: usize) -> Vec<u8>;
}

/// Returns whether an event of the source satisfies `condition`.
pub(crate) fn holds(condition: &Condition, values: &mut dyn ConditionValues) -> bool {
    match condition {
        Condition::All(all) => all.iter().all(|one| holds(one, values)),
        Condition::Any(any) => any.iter().any(|one| holds(one, values)),
        Condition::Not(not) => !holds(not, values),
        Condition::Number { column, op, values: with } => {
            let mut passes = [true];
            compare_numbers(*op, &[values.number(*column)], with, &mut passes);
            passes == [true]
        }
        // Events of the source have no columns of true and false.
        Condition::Bool { .. } => true,
        Condition::Key { field, op, values: with } => match values.key_field(*field).as_slice() {
            [] => *op == Comparison::Missing,
            bytes => compare_key(*op, bytes, with),
        },
    }
}

/// One loop per operator, so that no loop has a branch per event.
fn compare_numbers(op: Comparison, numbers: &[f64], values: &[f64], passes: &mut [bool]) {
    let value = values.first().copied().unwrap_or(f64::NAN);
    let all = passes.iter_mut().zip(numbers);
    match op {
        Comparison::Equal => all.for_each(|(passes, number)| *passes &= *number == value),
        // A missing number (NaN) satisfies neither `==` nor `!=`.
        Comparison::NotEqual => {
            all.for_each(|(passes, number)| *passes &= (*number < value) | (*number > value));
        }
        Comparison::Less => all.for_each(|(passes, number)| *passes &= *number < value),
        Comparison::LessOrEqual => all.for_each(|(passes, number)| *passes &= *number <= value),
        Comparison::Greater => all.for_each(|(passes, number)| *passes &= *number > value),
        Comparison::GreaterOrEqual => all.for_each(|(passes, number)| *passes &= *number >= value),
        Comparison::In => all.for_each(|(passes, number)| *passes &= values.contains(number)),
        Comparison::Missing => all.for_each(|(passes, number)| *passes &= number.is_nan()),
    }
}

impl KeyComparisons {
    /// Starts the next comparison.
    fn start(&mut self, keys: &Keys) {
        self.comparison += 1;
        if self.found.len() < keys.id_bound() {
            self.found.resize(keys.id_bound(), (0, false));
        }
    }

    /// Returns the cached result for key `id`, or compares it now.
    fn get(&mut self, id: u32, compare: impl FnOnce() -> bool) -> bool {
        match self.found.get_mut(id as usize) {
            Some((comparison, found)) => {
                if *comparison != self.comparison {
                    (*comparison, *found) = (self.comparison, compare());
                }
                *found
            }
            None => compare(),
        }
    }
}

/// Compares a key field. Values of different types are not equal and have no order. Null satisfies
/// only [`Comparison::Missing`].
fn compare_key(op: Comparison, field: &[u8], values: &[Operand]) -> bool {
    let any_value = |accepts: fn(core::cmp::Ordering) -> bool| {
        values.iter().any(|Operand(value)| {
            key::is_same_type(field, value) && accepts(field.cmp(value.as_slice()))
        })
    };
    if key::is_null(field) {
        return op == Comparison::Missing;
    }
    match op {
        Comparison::Equal | Comparison::In => any_value(|order| order.is_eq()),
        Comparison::NotEqual => !any_value(|order| order.is_eq()),
        Comparison::Less => any_value(|order| order.is_lt()),
        Comparison::LessOrEqual => any_value(|order| order.is_le()),
        Comparison::Greater => any_value(|order| order.is_gt()),
        Comparison::GreaterOrEqual => any_value(|order| order.is_ge()),
        Comparison::Missing => false,
    }
}
