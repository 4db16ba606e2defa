//! From a pipeline description to what the engine runs: names resolved to columns, units to microseconds.

mod columns;
mod dedup;
mod filter;
mod grid;
mod window;

use crate::schema::{InputSchema, OutputColumn, OutputSchema};
use crate::spec::{Aggregation, Limits, OutOfOrderness, PercentileEngine, PipelineSpec};
use crate::spec::{SpecError, Stage};
use columns::Columns;
pub(crate) use columns::Shown;
pub(crate) use dedup::{DedupPlan, MemoryPlan};
use dedup::{Way, keeps_keys_apart, ways};
pub(crate) use filter::{Condition, FilterPlan, Operand};
pub(crate) use grid::Grid;
use window::window_plan;
pub(crate) use window::{WindowOutput, WindowPlan};

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
    /// The ways to tell identities, in the order of [`InputSchema::identities`].
    ways: Vec<Way>,
    /// Where each column of the output comes from.
    pub(crate) shown: Vec<Shown>,
    /// What a snapshot must agree with, as canonical JSON.
    pub(crate) identity: String,
}

#[derive(Debug, Clone)]
pub(crate) enum StagePlan {
    Window(WindowPlan),
    Filter(FilterPlan),
    Dedup(DedupPlan),
}

impl StagePlan {
    /// The columns that the stage gives on.
    pub(crate) fn columns(&self) -> &[OutputColumn] {
        match self {
            Self::Window(plan) => &plan.columns,
            Self::Filter(plan) => &plan.columns,
            Self::Dedup(plan) => &plan.columns,
        }
    }
}

impl StagePlan {
    /// Has a stage that passes events give on nothing but their order: the caller has the events.
    fn drop_columns(&mut self) {
        match self {
            Self::Filter(plan) => plan.columns.clear(),
            Self::Dedup(plan) => plan.columns.clear(),
            Self::Window(_) => {}
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
        let ways = ways(spec);
        let source = Columns::of_source(spec);
        let mut columns = source.clone();
        let mut stages = Vec::with_capacity(spec.stages.len());
        for (index, stage) in spec.stages.iter().enumerate() {
            let path = format!("stages[{index}]");
            let plan;
            (plan, columns) = match stage {
                Stage::Window(window) => {
                    let (plan, rows) = window_plan(&path, window, &columns, spec)?;
                    (StagePlan::Window(plan), rows)
                }
                Stage::Dedup(dedup) => {
                    let ways = if columns.is_of_source() { ways.as_slice() } else { &[] };
                    let plan = DedupPlan::new(&path, dedup, columns.list(), ways)?;
                    (StagePlan::Dedup(plan), columns)
                }
                Stage::Filter(filter) => {
                    (StagePlan::Filter(FilterPlan::new(&path, filter, &columns)?), columns)
                }
            };
            stages.push(plan);
        }
        let passes_events = spec.stages.iter().all(Stage::passes_events);
        if let (true, Some(last)) = (passes_events, stages.last_mut()) {
            last.drop_columns();
        }
        let key = spec.source.key.0.clone();
        let keeps_keys_apart = spec.stages.iter().all(|stage| match stage {
            Stage::Dedup(dedup) => keeps_keys_apart(&dedup.strategies, &key),
            _ => true,
        });
        let (output, shown) = if passes_events {
            (OutputSchema { key: key.clone(), passes_events, ..OutputSchema::default() }, vec![])
        } else {
            columns.into_output()?
        };
        Ok(Self {
            input: InputSchema {
                timestamp: spec.source.timestamp.clone(),
                key,
                columns: source.into_input(&spec.source.value.0),
                identities: ways.iter().map(|way| way.strategies.clone()).collect(),
            },
            output,
            partitioned_by_key: !spec.source.key.0.is_empty() && keeps_keys_apart,
            limits: spec.limits.clone(),
            out_of_orderness: spec.time.max_out_of_orderness,
            stages,
            ways,
            shown,
            identity: identity(spec),
        })
    }
}

impl Plan {
    /// How many ways to tell identities are used behind stage number `stage`.
    pub(crate) fn ways_behind(&self, stage: usize) -> usize {
        self.ways.iter().filter(|way| way.last_use > stage).count()
    }
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
    let keeps_values = |stage: &Stage| match stage {
        Stage::Window(window) => window.aggregations.iter().any(exact),
        _ => false,
    };
    if let (true, Some(identity)) = (spec.stages.iter().any(keeps_values), identity.as_object_mut())
    {
        identity.insert("max_values".to_owned(), spec.limits.max_values.into());
    }
    identity.to_string()
}
