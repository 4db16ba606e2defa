//! Maps: resolves the names in expressions to columns.

use super::Columns;
use crate::data::schema::OutputColumn;
use crate::expression::{self, Step};
use crate::spec::{Map, SpecError};

/// The plan of a `map` stage.
#[derive(Debug, Clone)]
pub(crate) struct MapPlan {
    /// The assignments in order: the index of an existing or new column, and its expression.
    pub(crate) set: Vec<(usize, Vec<Step>)>,
    /// The columns of its input, followed by the new ones.
    pub(crate) columns: Vec<OutputColumn>,
}

impl MapPlan {
    pub(super) fn new(
        path: &str,
        map: &Map,
        mut columns: Columns,
    ) -> Result<(Self, Columns), SpecError> {
        if map.set.is_empty() {
            let message = "empty: name at least one column, such as { name = \"mb\", expression = \"bytes / 1048576\" }";
            return Err(SpecError::new(format!("{path}.set"), message));
        }
        let mut set = Vec::with_capacity(map.set.len());
        for (index, assignment) in map.set.iter().enumerate() {
            let path = format!("{path}.set[{index}]");
            let expression_path = format!("{path}.expression");
            let mut column = |name: &str| match columns.resolve("", Some(name)) {
                Ok(column) => Ok(column.unwrap_or_default()),
                Err(error) => Err(error.message().to_owned()),
            };
            let steps = expression::parse(&assignment.expression, &mut column)
                .map_err(|error| SpecError::new(expression_path, error.to_string()))?;
            let place = columns.set(&format!("{path}.name"), &assignment.name)?;
            set.push((place, steps));
        }
        let plan = Self { set, columns: columns.list().to_vec() };
        Ok((plan, columns))
    }
}
