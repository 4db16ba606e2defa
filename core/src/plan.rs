//! From a pipeline description to what the engine runs: names resolved to columns, units to microseconds.

mod grid;

use crate::schema::{InputColumn, InputKind, InputSchema, OutputColumn, OutputKind, OutputSchema};
use crate::spec::{Aggregation, Limits, Operation, OutOfOrderness, PercentileEngine, PipelineSpec};
use crate::spec::{SpecError, Stage, Window};

pub(crate) use grid::Grid;

/// A pipeline that has been checked as a whole.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The columns that batches must have.
    pub input: InputSchema,
    /// The columns that rows have.
    pub output: OutputSchema,
    /// Whether every stage keeps the keys of the source apart, so that the stream may be split by key.
    pub partitioned_by_key: bool,
    /// The bounds of one engine instance.
    pub limits: Limits,
    pub(crate) out_of_orderness: OutOfOrderness,
    pub(crate) stages: Vec<StagePlan>,
    /// What a snapshot must agree with, as canonical JSON.
    pub(crate) identity: String,
}

#[derive(Debug, Clone)]
pub(crate) enum StagePlan {
    Window(WindowPlan),
}

#[derive(Debug, Clone)]
pub(crate) struct WindowPlan {
    pub(crate) grid: Grid,
    /// The columns of the stage's input that are aggregated, each once.
    pub(crate) fields: Vec<usize>,
    /// The columns of its rows: start and end, and then one for each of `outputs`.
    pub(crate) columns: Vec<OutputColumn>,
    pub(crate) outputs: Vec<WindowOutput>,
    pub(crate) max_keys: u32,
    pub(crate) max_windows_per_key: u32,
    pub(crate) max_values: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowOutput {
    pub(crate) op: Operation,
    /// The place in [`WindowPlan::fields`]; `None` counts events.
    pub(crate) field: Option<usize>,
    /// For the moments: whether the values are all there are.
    pub(crate) population: bool,
    /// For percentiles.
    pub(crate) engine: PercentileEngine,
}

impl StagePlan {
    /// The columns that the stage gives on.
    pub(crate) fn columns(&self) -> &[OutputColumn] {
        match self {
            Self::Window(plan) => &plan.columns,
        }
    }
}

impl Plan {
    /// Checks `spec` as a whole and resolves its names.
    ///
    /// # Errors
    /// Whatever does not fit together: an aggregation of a field that no event carries, two columns of one name, a
    /// size of zero, ...
    /// ```
    /// use stream_processor_core::{PipelineSpec, Plan};
    /// let spec = PipelineSpec::from_json(r#"{"stages": [{"type": "window", "window": "tumbling", "size": "1m",
    ///     "aggregations": ["sum"]}]}"#)?;
    /// assert_eq!(Plan::new(&spec).unwrap_err().path(), "stages[0].aggregations[0]");
    /// # Ok::<(), stream_processor_core::spec::SpecError>(())
    /// ```
    pub fn new(spec: &PipelineSpec) -> Result<Self, SpecError> {
        check_source(spec)?;
        check_limits(&spec.limits)?;
        if spec.stages.is_empty() {
            return Err(SpecError::new(
                "stages",
                "missing: a pipeline needs at least one [[stages]]",
            ));
        }
        let mut columns = Columns::of_source(spec);
        let mut input = None;
        let mut stages = Vec::with_capacity(spec.stages.len());
        for (index, stage) in spec.stages.iter().enumerate() {
            let path = format!("stages[{index}]");
            match stage {
                Stage::Window(window) => {
                    let (plan, output) = window_plan(&path, window, &mut columns, spec)?;
                    stages.push(StagePlan::Window(plan));
                    let read = core::mem::replace(&mut columns, output);
                    input.get_or_insert(read);
                }
            }
        }
        let key = spec.source.key.0.clone();
        Ok(Self {
            input: InputSchema {
                timestamp: spec.source.timestamp.clone(),
                key: key.clone(),
                columns: input
                    .map(|read| read.into_input(&spec.source.value.0))
                    .unwrap_or_default(),
            },
            output: OutputSchema { key, columns: columns.columns, order: vec![1, 0] },
            partitioned_by_key: !spec.source.key.0.is_empty(),
            limits: spec.limits.clone(),
            out_of_orderness: spec.time.max_out_of_orderness,
            stages,
            identity: identity(spec),
        })
    }
}

/// The columns that travel between two stages.
struct Columns {
    columns: Vec<OutputColumn>,
    /// The column that a stage means when it names none.
    default: Option<usize>,
    /// Whether a name that is not among them is one more field of the source's events.
    open: bool,
}

impl Columns {
    fn of_source(spec: &PipelineSpec) -> Self {
        let columns: Vec<OutputColumn> =
            spec.source.value.0.iter().map(|name| number(name)).collect();
        Self { default: (!columns.is_empty()).then_some(0), columns, open: true }
    }

    /// The column of `field`, or the default one; `Ok(None)` where there is no default.
    fn resolve(&mut self, path: &str, field: Option<&str>) -> Result<Option<usize>, SpecError> {
        let Some(field) = field else { return Ok(self.default) };
        if let Some(place) = self.columns.iter().position(|column| column.name == field) {
            if self.columns.get(place).is_some_and(|column| column.kind != OutputKind::Number) {
                return Err(SpecError::new(
                    path,
                    format!("`{field}` is a time and cannot be aggregated"),
                ));
            }
            return Ok(Some(place));
        }
        if !self.open {
            let numbers = self.columns.iter().filter(|column| column.kind == OutputKind::Number);
            let known: Vec<&str> = numbers.map(|column| column.name.as_str()).collect();
            let expected = crate::spec::expected(field, &known);
            return Err(SpecError::new(
                path,
                format!("no earlier stage gives a field `{field}`, {expected}"),
            ));
        }
        self.columns.push(number(field));
        Ok(Some(self.columns.len() - 1))
    }

    fn into_input(self, required: &[String]) -> Vec<InputColumn> {
        let columns = self.columns.into_iter();
        columns
            .map(|OutputColumn { name, .. }| InputColumn {
                required: required.contains(&name),
                name,
                kind: InputKind::F64,
            })
            .collect()
    }
}

fn number(name: &str) -> OutputColumn {
    OutputColumn { name: name.to_owned(), kind: OutputKind::Number }
}

fn check_source(spec: &PipelineSpec) -> Result<(), SpecError> {
    let source = &spec.source;
    if source.timestamp.is_empty() {
        return Err(SpecError::new(
            "source.timestamp",
            "empty: name the field that holds the event time",
        ));
    }
    for (path, names) in [("source.key", &source.key.0), ("source.value", &source.value.0)] {
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(SpecError::new(path, "empty: name a field of the events"));
            }
            if names.iter().take(index).any(|earlier| earlier == name) {
                return Err(SpecError::new(path, format!("`{name}` is named twice")));
            }
        }
    }
    Ok(())
}

fn check_limits(limits: &Limits) -> Result<(), SpecError> {
    let positive = [
        ("max_keys", limits.max_keys),
        ("max_windows_per_key", limits.max_windows_per_key),
        ("max_values", limits.max_values),
        ("max_windows_per_event", limits.max_windows_per_event),
        ("max_result_rows", limits.max_result_rows),
        ("max_dropped_events", limits.max_dropped_events),
        ("max_line_bytes", limits.max_line_bytes),
        ("max_dictionary_keys", limits.max_dictionary_keys),
        ("max_batch_events", limits.max_batch_events),
    ];
    match positive.into_iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(SpecError::new(format!("limits.{name}"), "0: must be at least 1")),
        None => Ok(()),
    }
}

fn window_plan(
    path: &str,
    window: &Window,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<(WindowPlan, Columns), SpecError> {
    let grid = Grid::of(path, window, &spec.limits)?;
    if window.aggregations.is_empty() {
        let names = Operation::NAMES.join(", ");
        let message = format!("empty: name at least one of {names}");
        return Err(SpecError::new(format!("{path}.aggregations"), message));
    }
    let mut fields = Vec::new();
    let mut outputs = Vec::with_capacity(window.aggregations.len());
    let mut columns = vec![
        OutputColumn { name: "window_start".to_owned(), kind: OutputKind::Time },
        OutputColumn { name: "window_end".to_owned(), kind: OutputKind::Time },
    ];
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
            column == input.default,
            input,
            column,
        );
        let taken =
            columns.iter().any(|known| known.name == name) || spec.source.key.0.contains(&name);
        if taken {
            let message = format!("a second column `{name}`: give one of them another `name`");
            return Err(SpecError::new(path, message));
        }
        columns.push(number(&name));
    }
    if let Some(name) =
        spec.source.key.0.iter().find(|name| columns.iter().any(|c| c.name == **name))
    {
        let message = format!("the key field `{name}` has the name of an output column");
        return Err(SpecError::new("source.key", message));
    }
    let plan = WindowPlan {
        grid,
        fields,
        columns: columns.clone(),
        outputs,
        max_keys: spec.limits.max_keys,
        max_windows_per_key: spec.limits.max_windows_per_key,
        max_values: spec.limits.max_values,
    };
    let default = (columns.len() == 3).then_some(2);
    Ok((plan, Columns { columns, default, open: false }))
}

/// That the options of `aggregation` mean something to its operation.
fn check_options(path: &str, aggregation: &Aggregation) -> Result<(), SpecError> {
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

/// The column that `aggregation` reads; `None`: it counts events.
fn aggregated_column(
    path: &str,
    aggregation: &Aggregation,
    stage_field: Option<&str>,
    input: &mut Columns,
) -> Result<Option<usize>, SpecError> {
    let field = aggregation.field.as_deref().or(stage_field);
    let column = input.resolve(path, field)?;
    if column.is_none() && !matches!(aggregation.op, Operation::Count | Operation::Rate) {
        let message = format!(
            "{} of which field? name it: {{ op = \"{}\", field = ... }}, or set {}",
            aggregation.op,
            aggregation.op,
            if input.open { "source.value" } else { "the stage's `field`" }
        );
        return Err(SpecError::new(path, message));
    }
    Ok(column)
}

/// `avg` for the default field, `avg_bytes` for another, or the name that was given.
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
    match (own, column.and_then(|column| input.columns.get(column))) {
        (Some(_), Some(column)) if !is_default => format!("{}_{}", aggregation.op, column.name),
        _ => aggregation.op.to_string(),
    }
}

/// What two engines must agree on to exchange state.
fn identity(spec: &PipelineSpec) -> String {
    let mut identity = serde_json::json!({
        "key": spec.source.key,
        "value": spec.source.value,
        "time": spec.time,
        "stages": spec.stages,
        "max_keys": spec.limits.max_keys,
        "max_windows_per_key": spec.limits.max_windows_per_key,
    });
    // Only where it decides anything: snapshots of other pipelines go on as they are.
    let exact = |aggregation: &Aggregation| aggregation.engine == Some(PercentileEngine::Exact);
    let keeps_values = |Stage::Window(window): &Stage| window.aggregations.iter().any(exact);
    if let (true, Some(identity)) = (spec.stages.iter().any(keeps_values), identity.as_object_mut())
    {
        identity.insert("max_values".to_owned(), spec.limits.max_values.into());
    }
    identity.to_string()
}
