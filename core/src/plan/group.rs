//! The aggregations of a single group of values, outside a pipeline.

use super::WindowOutput;
use super::window::check_options;
use crate::spec::{Aggregation, Operation, SpecError};
use crate::util::names::NameTable;

/// Resolves `aggregations` of one field: returns their outputs and their names.
#[inline]
pub(crate) fn group_outputs(
    aggregations: &[Aggregation],
) -> Result<(Vec<WindowOutput>, Vec<String>), SpecError> {
    let mut names: Vec<String> = Vec::with_capacity(aggregations.len());
    let mut known = NameTable::default();
    let mut outputs = Vec::with_capacity(aggregations.len());
    for (index, aggregation) in aggregations.iter().enumerate() {
        let path = format!("aggregations[{index}]");
        check_options(&path, aggregation)?;
        if let Some(field) = &aggregation.field {
            let message = format!("`{field}`: a group has values of one field: name none");
            return Err(SpecError::new(format!("{path}.field"), message));
        }
        if aggregation.op == Operation::Rate {
            let message = "`rate` needs a window, whose length it divides by";
            return Err(SpecError::new(path, message));
        }
        let name = aggregation.name.clone().unwrap_or_else(|| aggregation.op.to_string());
        if known.add(&name) < index {
            let message = format!("a second `{name}`: give one of them another `name`");
            return Err(SpecError::new(path, message));
        }
        names.push(name);
        outputs.push(WindowOutput {
            op: aggregation.op,
            field: Some(0),
            population: aggregation.population,
            engine: aggregation.engine.unwrap_or_default(),
            hash_key: None,
        });
    }
    Ok((outputs, names))
}
