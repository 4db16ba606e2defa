//! Filters: resolves the names in conditions to columns and key fields.

use std::sync::Arc;

use serde_json::Value;

use super::columns::Columns;
use super::stage::{PlanStage, Planned, PlannedStage, StageSite};
use crate::key;
use crate::spec::{self, Comparison, Filter, SpecError};
use crate::stages::{FilterStage, Stage};

/// The plan of a `filter` stage.
#[derive(Debug, Clone)]
pub(crate) struct FilterPlan {
    pub(crate) condition: Condition,
}

/// A condition on an event.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// A comparison of a column with numbers; `in` has several. Texts are compared by their
    /// fingerprints.
    Number {
        column: usize,
        op: Comparison,
        values: Vec<f64>,
    },
    /// A comparison of a column of true and false; it holds where the column has one of `values`.
    Bool {
        column: usize,
        values: Vec<bool>,
    },
    /// A comparison of a field of the key.
    Key {
        field: usize,
        op: Comparison,
        values: Vec<Operand>,
    },
}

/// A value in key encoding: encoded values of one type compare bytewise in the order of the values.
#[derive(Debug, Clone)]
pub(crate) struct Operand(pub(crate) Vec<u8>);

impl Condition {
    /// Returns the number of comparisons for one event, at most.
    pub(crate) fn comparisons(&self) -> u64 {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::comparisons).sum(),
            Self::Not(part) => part.comparisons(),
            Self::Number { values, .. } => values.len() as u64,
            Self::Bool { values, .. } => values.len() as u64,
            Self::Key { values, .. } => values.len() as u64,
        }
    }
}

impl PlanStage for Filter {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned {
        let path = format!("{}.where", site.path);
        if self.r#where.is_empty() {
            let message = "empty: name at least one condition, such as { field = \"latency\", op = \">\", value = 100 }";
            return Err(SpecError::new(path, message));
        }
        let condition = Condition::All(list(&path, &self.r#where, &input)?);
        Ok((Arc::new(FilterPlan { condition }), input))
    }
}

impl PlannedStage for FilterPlan {
    #[inline]
    fn build(&self, _: u32, _: u64) -> Box<dyn Stage> {
        Box::new(FilterStage::new(self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        false
    }

    fn condition(&self) -> Option<&Condition> {
        Some(&self.condition)
    }
}

#[inline]
fn list(
    path: &str,
    conditions: &[spec::Condition],
    input: &Columns,
) -> Result<Vec<Condition>, SpecError> {
    let numbered = conditions.iter().enumerate();
    numbered.map(|(place, one)| condition(&format!("{path}[{place}]"), one, input)).collect()
}

#[inline]
fn condition(
    path: &str,
    condition: &spec::Condition,
    input: &Columns,
) -> Result<Condition, SpecError> {
    let spec::Condition { field, op, value, all, any, not } = condition;
    match (field, all, any, not) {
        (Some(field), None, None, None) => comparison(path, field, *op, value.as_ref(), input),
        (None, ..) if op.is_some() || value.is_some() => {
            Err(SpecError::new(format!("{path}.field"), "missing: name the field to compare"))
        }
        (None, Some(all), None, None) => {
            Ok(Condition::All(list(&format!("{path}.all"), all, input)?))
        }
        (None, None, Some(any), None) => {
            Ok(Condition::Any(list(&format!("{path}.any"), any, input)?))
        }
        (None, None, None, Some(not)) => {
            let not = self::condition(&format!("{path}.not"), not, input)?;
            Ok(Condition::Not(Box::new(not)))
        }
        _ => {
            let message = "expected one of `field` (with `op` and `value`), `all`, `any` and `not`";
            Err(SpecError::new(path, message))
        }
    }
}

#[inline]
fn comparison(
    path: &str,
    field: &str,
    op: Option<Comparison>,
    value: Option<&Value>,
    input: &Columns,
) -> Result<Condition, SpecError> {
    let Some(op) = op else {
        let message = "missing: one of ==, !=, <, <=, >, >=, in, missing";
        return Err(SpecError::new(format!("{path}.op"), message));
    };
    let value_path = format!("{path}.value");
    let values: &[Value] = match (op, value) {
        (Comparison::Missing, None) => &[],
        (Comparison::Missing, Some(_)) => {
            return Err(SpecError::new(value_path, "is not for `op = \"missing\"`: remove it"));
        }
        (_, None) => return Err(SpecError::new(value_path, "missing: the value to compare with")),
        (Comparison::In, Some(Value::Array(list))) => list,
        (Comparison::In, Some(_)) => {
            return Err(SpecError::new(value_path, "`in` needs a list of values"));
        }
        (_, Some(value)) => core::slice::from_ref(value),
    };
    if let Some(field) = input.key_field(field) {
        let encode = |value: &Value| operand(&value_path, value);
        let values = values.iter().map(encode).collect::<Result<_, _>>()?;
        return Ok(Condition::Key { field, op, values });
    }
    if let Some(column) = input.text(Some(field)) {
        let same = [Comparison::Equal, Comparison::NotEqual, Comparison::In, Comparison::Missing];
        if !same.contains(&op) {
            let message = format!(
                "`{field}` is a text, and only texts in the key have an order: name it in source.key, or use one of ==, !=, in, missing"
            );
            return Err(SpecError::new(format!("{path}.op"), message));
        }
        let number = |value: &Value| {
            operand(&value_path, value).map(|Operand(value)| key::fingerprint(&value))
        };
        let values = values.iter().map(number).collect::<Result<_, _>>()?;
        return Ok(Condition::Number { column, op, values });
    }
    if let Some(column) = input.bool(field) {
        let values = bools(&format!("{path}.op"), field, op, &value_path, values)?;
        return Ok(Condition::Bool { column, values });
    }
    let column = input.resolve(&format!("{path}.field"), Some(field))?.unwrap_or_default();
    let number = |value: &Value| {
        value.as_f64().ok_or_else(|| {
            let message = format!(
                "expected a number: source.value or another stage reads `{field}` as a number"
            );
            SpecError::new(&value_path, message)
        })
    };
    let values = values.iter().map(number).collect::<Result<_, _>>()?;
    Ok(Condition::Number { column, op, values })
}

/// Returns the values of a column of true and false for which a comparison holds. Such a column
/// has a value everywhere.
fn bools(
    op_path: &str,
    field: &str,
    op: Comparison,
    value_path: &str,
    values: &[Value],
) -> Result<Vec<bool>, SpecError> {
    let expected = |value: &Value| {
        let message = format!("expected true or false, which `{field}` is");
        value.as_bool().ok_or_else(|| SpecError::new(value_path, message))
    };
    let values = values.iter().map(expected).collect::<Result<Vec<bool>, _>>()?;
    match op {
        Comparison::Equal | Comparison::In => Ok(values),
        Comparison::NotEqual => Ok(values.iter().map(|value| !value).collect()),
        Comparison::Missing => Ok(Vec::new()),
        _ => {
            let message = format!("`{field}` is true or false: use one of ==, !=, in");
            Err(SpecError::new(op_path, message))
        }
    }
}

/// Encodes `value` as a field of a key.
#[inline]
fn operand(path: &str, value: &Value) -> Result<Operand, SpecError> {
    let mut bytes = Vec::new();
    let is_scalar = match value {
        Value::Bool(value) => {
            key::push_bool(&mut bytes, *value);
            true
        }
        Value::Number(number) => key::push_number_text(&mut bytes, number.to_string().as_bytes()),
        Value::String(text) => {
            key::push_str(&mut bytes, text);
            true
        }
        _ => false,
    };
    if is_scalar {
        Ok(Operand(bytes))
    } else {
        Err(SpecError::new(path, "expected a text, a number, true or false"))
    }
}
