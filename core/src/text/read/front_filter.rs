//! Filters in front of a pipeline, for lines that lack a key or a value: those that a filter removes
//! are skipped, not rejected.

use super::value::Value;
use crate::InputKind;
use crate::plan::{Condition, Plan};
use crate::stages::{ConditionValues, holds};

/// The conditions of the filters before all other stages.
#[derive(Debug, Default)]
pub(super) struct FrontFilter(Vec<Condition>);

/// The values of a line: where the needed fields are, and the kinds of the columns.
pub(super) struct LineValues<'a, F: Fn(usize) -> (&'a Value, InputKind)> {
    pub(super) text: &'a [u8],
    pub(super) slots: &'a [Value],
    pub(super) key_slots: &'a [usize],
    pub(super) column: F,
}

impl FrontFilter {
    pub(super) fn of(plan: &Plan) -> Self {
        Self(plan.front_conditions().cloned().collect())
    }

    /// Returns true if a filter removes the line with these values.
    pub(super) fn removes(&self, values: &mut dyn ConditionValues) -> bool {
        !self.0.iter().all(|condition| holds(condition, values))
    }
}

impl<'a, F: Fn(usize) -> (&'a Value, InputKind)> ConditionValues for LineValues<'a, F> {
    fn number(&mut self, column: usize) -> f64 {
        let (value, kind) = (self.column)(column);
        let number = match kind {
            InputKind::F64 => value.number(self.text, false),
            InputKind::Flag => value.flag(self.text, false),
            InputKind::Text => value.fingerprint(self.text, false, &mut Vec::new()),
        };
        number.unwrap_or(f64::NAN)
    }

    fn key_field(&mut self, field: usize) -> Vec<u8> {
        let slot = self.key_slots.get(field).and_then(|slot| self.slots.get(*slot));
        let mut bytes = Vec::new();
        match slot.unwrap_or(&Value::MISSING).push_key(self.text, &mut bytes) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }
}
