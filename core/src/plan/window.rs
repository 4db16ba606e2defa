//! Window stages: chooses the plan by the kind of windows, and resolves tumbling, sliding and
//! cumulating windows to slices, fields and columns.

use std::sync::Arc;

use super::columns::Columns;
use super::stage::{PartialSupport, PlanStage, Planned, PlannedStage, StageSite};
use super::{CalendarPlan, Caps, CountPlan, Emission, Grid, SessionPlan};
use crate::aggregates::{self, Input, OwnOption, definition};
use crate::data::row_layout::RowLayout;
use crate::data::schema::ColumnRole;
use crate::spec::{Aggregation, Operation, PercentileEngine, PipelineSpec, SpecError};
use crate::spec::{Window, WindowKind};
use crate::stages::{Stage, WindowStage};
use crate::util::siphash::{self, SipKey};

/// The plan of tumbling, sliding or cumulating windows.
#[derive(Debug, Clone)]
pub(crate) struct WindowPlan {
    pub(crate) grid: Grid,
    pub(crate) emission: Emission,
    /// The aggregated columns of the stage's input, without duplicates.
    pub(crate) fields: Vec<usize>,
    /// The columns of rows.
    pub(crate) layout: RowLayout,
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
    /// For `distinct`: the key of the hash, if it has one.
    pub(crate) hash_key: Option<SipKey>,
}

/// The aggregations of a window, and the layout of its rows.
#[derive(Debug, Clone)]
pub(crate) struct Aggregates {
    /// The aggregated columns of the stage's input, without duplicates.
    pub(crate) fields: Vec<usize>,
    /// The columns of rows.
    pub(crate) layout: RowLayout,
    pub(crate) outputs: Vec<WindowOutput>,
    pub(crate) max_values: u32,
}

impl PlanStage for Window {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned {
        match self.window {
            WindowKind::Session => planned(SessionPlan::new(self, site, &input)?),
            WindowKind::Calendar => planned(CalendarPlan::new(self, site, &input)?),
            WindowKind::Count | WindowKind::Global => planned(CountPlan::new(self, site, &input)?),
            WindowKind::Tumbling | WindowKind::Sliding | WindowKind::Cumulate => {
                planned(WindowPlan::new(self, site, &input)?)
            }
        }
    }
}

#[inline]
fn planned<P: PlannedStage + 'static>((plan, columns): (P, Columns)) -> Planned {
    Ok((Arc::new(plan), columns))
}

impl WindowPlan {
    /// Plans the windows of `window`, the stage at `site`, and returns their output columns.
    #[inline]
    fn new(
        window: &Window,
        site: &StageSite<'_>,
        input: &Columns,
    ) -> Result<(Self, Columns), SpecError> {
        let StageSite { path, spec, is_last, .. } = *site;
        let mut grid = Grid::of(path, window, &spec.limits)?;
        let emission = Emission::of(path, window, is_last, &mut grid, &spec.limits)?;
        let (aggregates, columns) = aggregates(path, window, emission.columns(), input, spec)?;
        let plan = Self {
            grid,
            emission,
            fields: aggregates.fields,
            layout: aggregates.layout,
            outputs: aggregates.outputs,
            caps: Caps::of(spec),
            max_values: aggregates.max_values,
        };
        Ok((plan, columns))
    }
}

impl PlannedStage for WindowPlan {
    #[inline]
    fn build(&self, index: u32, _: u64) -> Box<dyn Stage> {
        Box::new(WindowStage::new(index, self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        true
    }

    #[inline]
    fn closed_at(&self, time: i64) -> i64 {
        let end = self.grid.end_of(self.grid.last_window(self.grid.slice_of(time)));
        time.max(end.saturating_sub(1))
    }

    #[inline]
    fn delay_us(&self) -> i64 {
        self.grid.delay_us
    }

    #[inline]
    fn emits_rows(&self) -> bool {
        true
    }

    #[inline]
    fn partial_support(&self) -> PartialSupport {
        PartialSupport::Mergeable
    }

    #[inline]
    fn accepts_until(&self, end: i64) -> Option<i64> {
        Some(self.grid.expires_at(end.saturating_sub(self.grid.size_us)))
    }
}

/// Plans the aggregations of `window`; `status_columns` are the last columns of its rows.
#[inline]
pub(super) fn aggregates(
    path: &str,
    window: &Window,
    status_columns: impl Iterator<Item = ColumnRole>,
    input: &Columns,
    spec: &PipelineSpec,
) -> Result<(Aggregates, Columns), SpecError> {
    let own_outputs = &input.own_outputs;
    if window.aggregations.is_empty() && own_outputs.is_empty() {
        let names = Operation::NAMES.join(", ");
        let message = format!("empty: name at least one of {names}");
        return Err(SpecError::new(format!("{path}.aggregations"), message));
    }
    let mut fields = Vec::new();
    let mut outputs = Vec::with_capacity(window.aggregations.len());
    let hash_key = window.distinct_seed.as_deref().map(siphash::key_of);
    let mut columns = input.of_rows();
    columns.own_outputs.clear();
    if !own_outputs.is_empty() {
        fields.push(own_column(path, window, input)?);
    }
    for role in [ColumnRole::WindowStart, ColumnRole::WindowEnd] {
        columns.add(path, role.fixed_name(), role)?;
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
            hash_key,
        });
        let name = column_name(
            aggregation,
            window.field.as_deref(),
            column == input.default(),
            input,
            column,
        );
        columns.add(&path, &name, ColumnRole::Aggregation(index))?;
    }
    for (output, name) in (outputs.len()..).zip(own_outputs) {
        let path = format!("{path}.aggregations");
        columns.add(&path, name, ColumnRole::Aggregation(output))?;
    }
    let first = columns.layout().position(ColumnRole::Aggregation(0));
    columns.set_default(first.filter(|_| outputs.len() + own_outputs.len() == 1));
    for role in status_columns {
        columns.add(&format!("{path}.aggregations"), role.fixed_name(), role)?;
    }
    let layout = columns.layout().clone();
    let max_values = spec.limits.max_values;
    Ok((Aggregates { fields, layout, outputs, max_values }, columns))
}

/// Returns the column that the program's own aggregators read: the first of the plan's fields.
#[inline]
fn own_column(path: &str, window: &Window, input: &Columns) -> Result<usize, SpecError> {
    let path = format!("{path}.field");
    input.resolve(&path, window.field.as_deref())?.ok_or_else(|| {
        let message = "missing: name the field that the aggregators read, or set source.value";
        SpecError::new(path, message)
    })
}

/// Checks that the options of `aggregation` apply to its operation.
#[inline]
pub(super) fn check_options(path: &str, aggregation: &Aggregation) -> Result<(), SpecError> {
    let op = aggregation.op;
    let option = definition(op).option;
    if aggregation.population && option != OwnOption::Population {
        let having =
            aggregates::NAMED.iter().filter(|(_, known)| known.option == OwnOption::Population);
        let having: Vec<String> = having.map(|(known, _)| format!("`{known}`")).collect();
        let message = format!("`{op}` has no population: only {} have", having.join(" and "));
        return Err(SpecError::new(format!("{path}.population"), message));
    }
    if aggregation.engine.is_some() && option != OwnOption::Engine {
        let message = format!("`{op}` has no engine: only percentiles have, such as `p95`");
        return Err(SpecError::new(format!("{path}.engine"), message));
    }
    Ok(())
}

/// Returns the column that `aggregation` reads; `None`: it counts events.
#[inline]
pub(super) fn aggregated_column(
    path: &str,
    aggregation: &Aggregation,
    stage_field: Option<&str>,
    input: &Columns,
) -> Result<Option<usize>, SpecError> {
    let field = aggregation.field.as_deref().or(stage_field);
    let reads = definition(aggregation.op).input;
    let column = match (reads, input.text(field)) {
        (Input::Values | Input::ValuesOrEvents, Some(text)) => Some(text),
        _ => input.resolve(path, field)?,
    };
    if column.is_none() && reads != Input::ValuesOrEvents {
        let message = format!(
            "`{}` needs a field: name it in {{ op = \"{}\", field = ... }}, or set {}",
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
#[inline]
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
