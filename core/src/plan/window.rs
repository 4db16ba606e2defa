//! Tumbling, sliding and cumulating windows: resolves their description to slices, fields and
//! columns.

use super::{Caps, Columns, Emission, Grid};
use crate::data::schema::{OutputColumn, OutputKind};
use crate::spec::{Aggregation, Operation, PercentileEngine, PipelineSpec, SpecError, Window};

/// The plan of tumbling, sliding or cumulating windows.
#[derive(Debug, Clone)]
pub(crate) struct WindowPlan {
    pub(crate) grid: Grid,
    pub(crate) emission: Emission,
    /// The aggregated columns of the stage's input, without duplicates.
    pub(crate) fields: Vec<usize>,
    /// The output columns: start and end, one for each of `outputs`, then those that distinguish
    /// several rows of a window.
    pub(crate) columns: Vec<OutputColumn>,
    pub(crate) outputs: Vec<WindowOutput>,
    pub(crate) caps: Caps,
    pub(crate) max_values: u32,
}

/// One aggregation of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowOutput {
    pub(crate) op: Operation,
    /// Index into [`WindowPlan::fields`]; `None` counts events.
    pub(crate) field: Option<usize>,
    /// For variance and standard deviation: true if the values are the whole population.
    pub(crate) population: bool,
    /// For percentiles: how they are computed.
    pub(crate) engine: PercentileEngine,
}

/// The aggregations of a window, and the columns of its rows.
#[derive(Debug, Clone)]
pub(crate) struct Aggregates {
    /// The aggregated columns of the stage's input, without duplicates.
    pub(crate) fields: Vec<usize>,
    /// The output columns: start and end, one for each of `outputs`, then those that distinguish
    /// several rows of a window.
    pub(crate) columns: Vec<OutputColumn>,
    pub(crate) outputs: Vec<WindowOutput>,
    pub(crate) max_values: u32,
}

/// Plans the windows of `window`, the stage at `path`, and returns their output columns.
pub(super) fn window_plan(
    path: &str,
    window: &Window,
    is_last: bool,
    input: &Columns,
    spec: &PipelineSpec,
) -> Result<(WindowPlan, Columns), SpecError> {
    let mut grid = Grid::of(path, window, &spec.limits)?;
    let emission = Emission::of(path, window, is_last, &mut grid, &spec.limits)?;
    let (aggregates, columns) = aggregates(path, window, emission.columns(), input, spec)?;
    let plan = WindowPlan {
        grid,
        emission,
        fields: aggregates.fields,
        columns: aggregates.columns,
        outputs: aggregates.outputs,
        caps: Caps::of(spec),
        max_values: aggregates.max_values,
    };
    Ok((plan, columns))
}

/// Plans the aggregations of `window`; `status_columns` are the last columns of its rows.
pub(super) fn aggregates(
    path: &str,
    window: &Window,
    status_columns: impl Iterator<Item = (&'static str, OutputKind)>,
    input: &Columns,
    spec: &PipelineSpec,
) -> Result<(Aggregates, Columns), SpecError> {
    if window.aggregations.is_empty() {
        let names = Operation::NAMES.join(", ");
        let message = format!("empty: name at least one of {names}");
        return Err(SpecError::new(format!("{path}.aggregations"), message));
    }
    let mut fields = Vec::new();
    let mut outputs = Vec::with_capacity(window.aggregations.len());
    let mut columns = input.of_rows(vec![1, 0]);
    for name in ["window_start", "window_end"] {
        columns.add(path, name, OutputKind::Time)?;
    }
    for (index, aggregation) in window.aggregations.iter().enumerate() {
        let path = format!("{path}.aggregations[{index}]");
        let column = aggregated_column(&path, aggregation, window.field.as_deref(), input)?;
        let field = column.map(|column| match fields.iter().position(|known| *known == column) {
            Some(place) => place,
            None => {
                fields.push(column);
                fields.len() - 1
            }
        });
        check_options(&path, aggregation)?;
        outputs.push(WindowOutput {
            op: aggregation.op,
            field,
            population: aggregation.population,
            engine: aggregation.engine.unwrap_or_default(),
        });
        let name = column_name(
            aggregation,
            window.field.as_deref(),
            column == input.default(),
            input,
            column,
        );
        columns.add(&path, &name, OutputKind::Number)?;
    }
    columns.set_default((outputs.len() == 1).then_some(2));
    for (name, kind) in status_columns {
        columns.add(&format!("{path}.aggregations"), name, kind)?;
    }
    let list = columns.list().to_vec();
    let max_values = spec.limits.max_values;
    Ok((Aggregates { fields, columns: list, outputs, max_values }, columns))
}

/// Checks that the options of `aggregation` apply to its operation.
pub(super) fn check_options(path: &str, aggregation: &Aggregation) -> Result<(), SpecError> {
    let op = aggregation.op;
    if aggregation.population && !matches!(op, Operation::Variance | Operation::Stddev) {
        let message = format!("`{op}` has no population: only `variance` and `stddev` have");
        return Err(SpecError::new(format!("{path}.population"), message));
    }
    if aggregation.engine.is_some() && !matches!(op, Operation::Percentile(_)) {
        let message = format!("`{op}` has no engine: only percentiles have, such as `p95`");
        return Err(SpecError::new(format!("{path}.engine"), message));
    }
    Ok(())
}

/// Returns the column that `aggregation` reads; `None`: it counts events.
pub(super) fn aggregated_column(
    path: &str,
    aggregation: &Aggregation,
    stage_field: Option<&str>,
    input: &Columns,
) -> Result<Option<usize>, SpecError> {
    let field = aggregation.field.as_deref().or(stage_field);
    let column = match (aggregation.op, input.text(field)) {
        (Operation::Distinct | Operation::Count | Operation::Rate, Some(text)) => Some(text),
        _ => input.resolve(path, field)?,
    };
    if column.is_none() && !matches!(aggregation.op, Operation::Count | Operation::Rate) {
        let message = format!(
            "{} of which field? name it: {{ op = \"{}\", field = ... }}, or set {}",
            aggregation.op,
            aggregation.op,
            if input.is_of_source() { "source.value" } else { "the stage's `field`" }
        );
        return Err(SpecError::new(path, message));
    }
    Ok(column)
}

/// Returns the column name: `avg` for the default field, `avg_bytes` for another, or the given
/// name.
fn column_name(
    aggregation: &Aggregation,
    stage_field: Option<&str>,
    is_default: bool,
    input: &Columns,
    column: Option<usize>,
) -> String {
    if let Some(name) = &aggregation.name {
        return name.clone();
    }
    let own = aggregation.field.as_deref().filter(|field| Some(*field) != stage_field);
    match (own, column) {
        (Some(_), Some(column)) if !is_default => {
            format!("{}_{}", aggregation.op, input.name(column))
        }
        _ => aggregation.op.to_string(),
    }
}
