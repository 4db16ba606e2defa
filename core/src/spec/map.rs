//! The `map` stage: columns computed from others.

use serde::{Deserialize, Serialize};

use crate::expression;

/// `type = "map"`: computes columns from other columns, for each event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The assignments in order; each may use the columns before it.
    pub set: Vec<Assignment>,
}

impl Map {
    /// Returns the input fields that the stage reads or overwrites.
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

/// A column and the expression that computes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The name of the column: a new one, or an existing one that is overwritten.
    pub name: String,
    /// An arithmetic expression, such as `"bytes / 1048576"`.
    pub expression: String,
}
