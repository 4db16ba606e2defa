//! Filters: the events that meet a condition pass, unchanged.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::key;
use crate::keys::Keys;
use crate::plan::{Condition, FilterPlan, Operand};
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Comparison;

/// A filter.
pub(super) struct FilterStage {
    plan: FilterPlan,
    /// Whether each event of the batch meets the condition.
    met: Vec<bool>,
    /// The places of those that do.
    passing: Vec<u32>,
    known: Known,
    stats: StageStats,
}

/// What comparisons of keys have found, by key id, so that each key is compared once in a batch. Ids get new meanings between batches.
#[derive(Default)]
struct Known {
    /// The comparison that an entry is of.
    comparison: u64,
    found: Vec<(u64, bool)>,
}

impl FilterStage {
    pub(super) fn new(plan: FilterPlan) -> Self {
        let stats = StageStats { r#type: "filter", ..StageStats::default() };
        Self { plan, met: Vec::new(), passing: Vec::new(), known: Known::default(), stats }
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
        self.met.clear();
        self.met.resize(end - *cursor, true);
        let Self { plan, met, known, .. } = self;
        meet(&plan.condition, events, *cursor, (context.keys, known), met);
        self.passing.clear();
        let places = (*cursor..).zip(&self.met).filter(|(_, met)| **met);
        self.passing.extend(places.filter_map(|(place, _)| u32::try_from(place).ok()));
        let room = out.room();
        let behind = match self.passing.get(room) {
            Some(first_left) => *first_left as usize,
            None => end,
        };
        self.passing.truncate(room);
        if self.passing.len() == behind - *cursor {
            out.push_run(events, *cursor..behind, context.keys);
        } else {
            out.push_events(events, &self.passing, context.keys);
        }
        self.stats.events += (behind - *cursor) as u64;
        self.stats.rows += self.passing.len() as u64;
        *cursor = behind;
        let done = behind == end;
        if done {
            out.watermark = events.watermark;
        }
        done
    }

    fn stats(&self, _keys: &Keys) -> StageStats {
        self.stats.clone()
    }

    fn save(
        &self,
        _from: Option<i64>,
        _positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        writer.u64s([self.stats.events, self.stats.rows].into_iter());
        None
    }

    fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        _ids: &[u32],
        _keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.stats.events = reader.u64()?;
        self.stats.rows = reader.u64()?;
        Ok(())
    }
}

/// Clears the entries in `met` of the events from `first` on that do not meet `condition`.
fn meet(
    condition: &Condition,
    events: &Events<'_>,
    first: usize,
    (keys, known): (&Keys, &mut Known),
    met: &mut [bool],
) {
    match condition {
        Condition::All(all) => {
            all.iter().for_each(|one| meet(one, events, first, (keys, known), met));
        }
        Condition::Any(any) => {
            let mut some = vec![false; met.len()];
            for one in any {
                let mut this = vec![true; met.len()];
                meet(one, events, first, (keys, known), &mut this);
                some.iter_mut().zip(this).for_each(|(some, this)| *some |= this);
            }
            met.iter_mut().zip(some).for_each(|(met, some)| *met &= some);
        }
        Condition::Not(not) => {
            let mut this = vec![true; met.len()];
            meet(not, events, first, (keys, known), &mut this);
            met.iter_mut().zip(this).for_each(|(met, this)| *met &= !this);
        }
        Condition::Number { column, op, values } => {
            let numbers = events.numbers(*column).get(first..).unwrap_or_default();
            compare_numbers(*op, numbers, values, met);
        }
        Condition::Key { field, op, values } => {
            let of_events = events.keys.get(first..).unwrap_or_default();
            known.begin(keys);
            for (met, id) in met.iter_mut().zip(of_events) {
                *met &= known.get(*id, || {
                    compare_key(*op, key::field_bytes(keys.bytes(*id), *field), values)
                });
            }
        }
    }
}

/// One loop for each comparison, so that none has a branch an event.
fn compare_numbers(op: Comparison, numbers: &[f64], values: &[f64], met: &mut [bool]) {
    let value = values.first().copied().unwrap_or(f64::NAN);
    let all = met.iter_mut().zip(numbers);
    match op {
        Comparison::Equal => all.for_each(|(met, number)| *met &= *number == value),
        // NaN, a missing number, is not equal to anything, but does not meet this either.
        Comparison::NotEqual => {
            all.for_each(|(met, number)| *met &= (*number < value) | (*number > value));
        }
        Comparison::Less => all.for_each(|(met, number)| *met &= *number < value),
        Comparison::LessOrEqual => all.for_each(|(met, number)| *met &= *number <= value),
        Comparison::Greater => all.for_each(|(met, number)| *met &= *number > value),
        Comparison::GreaterOrEqual => all.for_each(|(met, number)| *met &= *number >= value),
        Comparison::In => all.for_each(|(met, number)| *met &= values.contains(number)),
        Comparison::Missing => all.for_each(|(met, number)| *met &= number.is_nan()),
    }
}

impl Known {
    /// Begins another comparison.
    fn begin(&mut self, keys: &Keys) {
        self.comparison += 1;
        if self.found.len() < keys.id_bound() {
            self.found.resize(keys.id_bound(), (0, false));
        }
    }

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

/// Values of different types are not equal and in no order.
fn compare_key(op: Comparison, field: &[u8], values: &[Operand]) -> bool {
    let is = |holds: fn(core::cmp::Ordering) -> bool| {
        values.iter().any(|Operand(value)| {
            key::is_same_type(field, value) && holds(field.cmp(value.as_slice()))
        })
    };
    match op {
        Comparison::Equal | Comparison::In => is(|order| order.is_eq()),
        Comparison::NotEqual => !is(|order| order.is_eq()),
        Comparison::Less => is(|order| order.is_lt()),
        Comparison::LessOrEqual => is(|order| order.is_le()),
        Comparison::Greater => is(|order| order.is_gt()),
        Comparison::GreaterOrEqual => is(|order| order.is_ge()),
        // An event without a field of its key is rejected before any stage.
        Comparison::Missing => false,
    }
}
