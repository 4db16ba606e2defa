//! Columns that are computed from others.

use serde::{Deserialize, Serialize};

use crate::expression;

/// `type = "map"`: computes columns from others, event by event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The columns, in order: each may use those before it.
    pub set: Vec<Assignment>,
}

impl Map {
    /// The fields of its input that it reads, or gives other values.
    pub(crate) fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        for (index, assignment) in self.set.iter().enumerate() {
            let before = self.set.get(..index).unwrap_or_default();
            let is_new = |name: &String| !before.iter().any(|earlier| earlier.name == *name);
            fields.extend(expression::fields(&assignment.expression).into_iter().filter(is_new));
        }
        fields
    }
}

/// A column and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The name of the column: a new one, or one that gets other values.
    pub name: String,
    /// An arithmetic expression, such as `"bytes / 1048576"`.
    pub expression: String,
}
