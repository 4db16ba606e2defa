//! The `map` stage: columns computed from others.

use serde::{Deserialize, Serialize};

use super::stages::{ReadAs, StageOptions, StageOutput, StageState};
use crate::expression;
use crate::util::names::NameTable;

/// `type = "map"`: computes columns from other columns, for each event.
/// ```
/// use stream_processor_core::spec::{Map};
/// let options: Map = serde_json::from_str(r#"{"set": [{"name": "total", "expression": "price * count"}]}"#)?;
/// assert_eq!(options.set[0].name, "total");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The assignments in order; each may use the columns before it.
    pub set: Vec<Assignment>,
}

impl Map {
    /// Returns the input fields that the stage reads or overwrites.
    #[inline]
    fn read_fields(&self) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        let mut assigned = NameTable::default();
        for assignment in &self.set {
            let is_of_input = |name: &String| !assigned.contains(name);
            let read = expression::fields(&assignment.expression);
            fields.extend(read.into_iter().filter(is_of_input));
            assigned.add(&assignment.name);
        }
        fields
    }
}

impl StageOptions for Map {
    #[inline]
    fn output(&self) -> StageOutput {
        StageOutput::ChangedEvents
    }

    #[inline]
    fn state(&self) -> StageState {
        StageState::None
    }

    #[inline]
    fn fields(&self, _: &[String]) -> Vec<(String, ReadAs)> {
        ReadAs::numbers(self.read_fields())
    }

    #[inline]
    fn added_columns(&self, _: Option<&str>) -> Vec<String> {
        self.set.iter().map(|assignment| assignment.name.clone()).collect()
    }
}

/// A column and the expression that computes it.
/// ```
/// use stream_processor_core::spec::{Assignment};
/// let options: Assignment = serde_json::from_str(r#"{"name": "total", "expression": "price * count"}"#)?;
/// assert_eq!(options.expression, "price * count");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The name of the column: a new one, or an existing one that is overwritten.
    pub name: String,
    /// An arithmetic expression, such as `"bytes / 1048576"`.
    pub expression: String,
}
