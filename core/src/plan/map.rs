//! Maps: resolves the names in expressions to columns.

use std::sync::Arc;

use super::columns::Columns;
use super::stage::{PlanStage, Planned, PlannedStage, StageSite};
use crate::expression::{self, Step};
use crate::spec::{Map, SpecError};
use crate::stages::{MapStage, Stage};

/// The plan of a `map` stage.
#[derive(Debug, Clone)]
pub(crate) struct MapPlan {
    /// The assignments in order: the index of an existing or new column, and its expression.
    pub(crate) set: Vec<(usize, Vec<Step>)>,
}

impl PlanStage for Map {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, mut columns: Columns) -> Planned {
        let path = site.path;
        if self.set.is_empty() {
            let message = "empty: name at least one column, such as { name = \"mb\", expression = \"bytes / 1048576\" }";
            return Err(SpecError::new(format!("{path}.set"), message));
        }
        let mut set = Vec::with_capacity(self.set.len());
        for (index, assignment) in self.set.iter().enumerate() {
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
        Ok((Arc::new(MapPlan { set }), columns))
    }
}

impl PlannedStage for MapPlan {
    #[inline]
    fn build(&self, _: u32, _: u64) -> Box<dyn Stage> {
        Box::new(MapStage::new(self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        false
    }
}
