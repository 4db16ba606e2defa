//! Planning: turns a [`PipelineSpec`] into a checked [`Plan`] that the engine executes.
//!
//! ```text
//! PipelineSpec                 names, durations, options
//!    |  Columns::of_source     the columns that the reader must deliver
//!    v
//! for each stage: XPlan::new(path, options, input columns) -> (plan, output columns)
//!    |
//!    v
//! Plan                         column indices, microseconds, limits per stage
//! ```
//!
//! Each kind of stage has a file with its plan, and its options are checked there. Errors are
//! [`SpecError`]s with the path of the option. Shared parts: `columns` resolves names, `grid` and
//! `emission` describe windows and their rows, and `caps` holds limits. `event_time` holds
//! watermark rules, `sharding` decides whether a stream may be split by key, and `identity` whether
//! state fits a pipeline.

mod calendar;
mod caps;
mod columns;
mod count;
mod dedup;
mod emission;
mod event_time;
mod filter;
mod grid;
mod identity;
mod key_by;
mod map;
mod normalize;
mod rolling;
mod session;
mod sharding;
mod statistics;
mod window;

use crate::data::schema::{InputSchema, OutputColumn, OutputSchema};
use crate::spec::{Aggregation, Clock, Limits, PercentileEngine, PipelineSpec};
use crate::spec::{SpecError, Stage, Window, WindowKind, check_options};
pub(crate) use calendar::{Calendar, CalendarPlan, Period};
pub(crate) use caps::{Caps, Limit};
use columns::Columns;
pub(crate) use columns::OutputSource;
pub(crate) use count::CountPlan;
pub(crate) use dedup::{DedupPlan, ENTRY_BYTES, MemoryPlan};
use dedup::{IdentityColumn, identity_columns};
pub(crate) use emission::{Early, Emission};
pub(crate) use event_time::{AdvanceOn, TimePlan, WatermarkRule};
pub(crate) use filter::{Condition, FilterPlan, Operand};
pub(crate) use grid::{Grid, within};
pub(crate) use key_by::KeyByPlan;
pub(crate) use map::MapPlan;
pub(crate) use normalize::{FieldPlan, FillRule, NormalizePlan};
use rolling::rolling_plan;
pub(crate) use rolling::{RollingOutput, RollingPlan};
pub(crate) use session::SessionPlan;
pub use sharding::OneShard;
pub(crate) use statistics::{AnalyticsPlan, OperatorPlan, ZScorePlan};
use statistics::{ema_plan, zscore_plan};
use window::window_plan;
pub(crate) use window::{Aggregates, WindowOutput, WindowPlan};

/// A checked pipeline, ready for execution.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The columns that batches must have.
    pub input: InputSchema,
    /// The columns that rows have.
    pub output: OutputSchema,
    /// True if the stream may be split by key over several engines; their merged rows are those of
    /// one engine. Each engine needs the watermark of the whole stream with every event (see
    /// [`crate::event_time::watermark::Generator`]).
    pub partitioned_by_key: bool,
    /// The reason why the stream must not be split, if so.
    pub one_shard: Option<OneShard>,
    /// The limits of one engine.
    pub limits: Limits,
    /// True if a call may end with [`crate::Error::LimitReached`].
    pub(crate) refuses: bool,
    /// True if results depend on the host's time, which the host then passes to
    /// [`crate::Engine::tick`].
    pub goes_by_host_time: bool,
    pub(crate) time: TimePlan,
    pub(crate) stages: Vec<StagePlan>,
    /// The identity columns, in the order of [`InputSchema::identities`].
    identity_columns: Vec<IdentityColumn>,
    /// The source of each output column.
    pub(crate) output_sources: Vec<OutputSource>,
    /// The identity that a snapshot must agree with, as canonical JSON.
    pub(crate) identity: String,
}

/// The plan of a stage. `ema`, `rolling` and `zscore` are all [`AnalyticsPlan`]s.
#[derive(Debug, Clone)]
pub(crate) enum StagePlan {
    Window(WindowPlan),
    Session(SessionPlan),
    Count(CountPlan),
    Calendar(CalendarPlan),
    Filter(FilterPlan),
    KeyBy(KeyByPlan),
    Dedup(DedupPlan),
    Normalize(NormalizePlan),
    Analytics(AnalyticsPlan),
    Map(MapPlan),
}

impl StagePlan {
    /// Returns the columns that the stage emits.
    pub(crate) fn columns(&self) -> &[OutputColumn] {
        match self {
            Self::Window(plan) => &plan.columns,
            Self::Session(plan) => &plan.aggregates.columns,
            Self::Count(plan) => &plan.aggregates.columns,
            Self::Calendar(plan) => &plan.windows.columns,
            Self::Filter(plan) => &plan.columns,
            Self::KeyBy(plan) => &plan.columns,
            Self::Dedup(plan) => &plan.columns,
            Self::Normalize(plan) => &plan.columns,
            Self::Analytics(plan) => &plan.columns,
            Self::Map(plan) => &plan.columns,
        }
    }
}

impl StagePlan {
    /// Removes the columns of a final stage that passes events: only their order is emitted, since
    /// the caller has the events.
    fn drop_columns(&mut self) {
        match self {
            Self::Filter(plan) => plan.columns.clear(),
            Self::Dedup(plan) => plan.columns.clear(),
            _ => {}
        }
    }

    /// Returns true if the stage emits window rows.
    pub(crate) fn has_windows(&self) -> bool {
        matches!(self, Self::Window(_) | Self::Session(_) | Self::Count(_) | Self::Calendar(_))
    }
}

impl Plan {
    /// Checks `spec` as a whole and resolves its names.
    ///
    /// # Errors
    /// Returns an error for parts that do not fit together: an aggregation of a field that no event
    /// carries, two columns of one name, a size of zero, ...
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
        caps::check_state_bytes(spec)?;
        if spec.stages.is_empty() {
            return Err(SpecError::new(
                "stages",
                "missing: a pipeline needs at least one [[stages]]",
            ));
        }
        let identity_columns = identity_columns(spec);
        let source = Columns::of_source(spec);
        let time = TimePlan::of(spec, &source)?;
        let mut columns = source.clone();
        let mut stages = Vec::with_capacity(spec.stages.len());
        let limits = (&spec.limits, Caps::of(spec));
        for (index, stage) in spec.stages.iter().enumerate() {
            let path = format!("stages[{index}]");
            let plan;
            (plan, columns) = match stage {
                Stage::Window(window) => {
                    let is_last = index + 1 == spec.stages.len();
                    windows(&path, window, is_last, &columns, spec)?
                }
                Stage::KeyBy(key_by) => {
                    let (plan, columns) = KeyByPlan::new(&path, key_by, columns)?;
                    (StagePlan::KeyBy(plan), columns)
                }
                Stage::Dedup(dedup) => {
                    let identity_columns =
                        if columns.is_of_source() { identity_columns.as_slice() } else { &[] };
                    let plan = DedupPlan::new(
                        &path,
                        dedup,
                        columns.list(),
                        identity_columns,
                        limits.1.max_memory,
                    )?;
                    (StagePlan::Dedup(plan), columns)
                }
                Stage::Filter(filter) => {
                    (StagePlan::Filter(FilterPlan::new(&path, filter, &columns)?), columns)
                }
                Stage::Normalize(normalize) => {
                    let is_last = index + 1 == spec.stages.len();
                    let (plan, rows) =
                        NormalizePlan::new(&path, normalize, &columns, limits, is_last)?;
                    (StagePlan::Normalize(plan), rows)
                }
                Stage::Ema(ema) => {
                    (StagePlan::Analytics(ema_plan(&path, ema, &mut columns, spec)?), columns)
                }
                Stage::Rolling(rolling) => (
                    StagePlan::Analytics(rolling_plan(&path, rolling, &mut columns, spec)?),
                    columns,
                ),
                Stage::ZScore(zscore) => {
                    (StagePlan::Analytics(zscore_plan(&path, zscore, &mut columns, spec)?), columns)
                }
                Stage::Map(map) => {
                    let (plan, columns) = MapPlan::new(&path, map, columns)?;
                    (StagePlan::Map(plan), columns)
                }
            };
            stages.push(plan);
        }
        let passes_events = spec.stages.iter().all(Stage::passes_events);
        if let (true, Some(last)) = (passes_events, stages.last_mut()) {
            last.drop_columns();
        }
        let key = spec.source.key.0.clone();
        let one_shard = OneShard::of(spec, &time, &stages);
        let (output, output_sources) = if passes_events {
            (OutputSchema { key: key.clone(), passes_events, ..OutputSchema::default() }, vec![])
        } else {
            columns.into_output()?
        };
        Ok(Self {
            input: InputSchema {
                timestamp: spec.source.timestamp.clone(),
                key: source.key().to_vec(),
                partition: spec.source.partition.clone(),
                columns: source.into_input(&spec.source.value.0),
                identities: identity_columns
                    .iter()
                    .map(|column| column.strategies.clone())
                    .collect(),
            },
            output,
            partitioned_by_key: one_shard.is_none(),
            one_shard,
            limits: spec.limits.clone(),
            refuses: limits.1.refuses(),
            goes_by_host_time: time.goes_by_host_time() || spec.stages.iter().any(uses_host_clock),
            time,
            stages,
            identity_columns,
            output_sources,
            identity: identity(spec),
        })
    }
}

impl Plan {
    /// Returns true if `key` has the form of a key that events have in some stage.
    pub(crate) fn is_key(&self, key: &[u8]) -> bool {
        let has = |fields: usize| match fields {
            0 => key.is_empty(),
            fields => crate::key::is_encoded(key, fields),
        };
        let behind = self.stages.iter().filter_map(|stage| match stage {
            StagePlan::KeyBy(plan) => Some(plan.places.len()),
            _ => None,
        });
        core::iter::once(self.input.key.len()).chain(behind).any(has)
    }

    /// Returns true if state of the pipeline with this `identity` may be loaded into an engine of
    /// this one.
    pub(crate) fn agrees_with(&self, identity: &[u8]) -> bool {
        identity::agree(&self.identity, identity)
    }

    /// Returns the number of identity columns that are read after stage number `stage`.
    pub(crate) fn identity_columns_after(&self, stage: usize) -> usize {
        self.identity_columns.iter().filter(|column| column.last_use > stage).count()
    }
}

/// Returns true if `stage` depends on the host's time.
fn uses_host_clock(stage: &Stage) -> bool {
    matches!(stage, Stage::Dedup(dedup) if dedup.clock == Clock::Arrival)
}

/// Plans the windows of `window`, the stage at `path`, and returns their output columns.
fn windows(
    path: &str,
    window: &Window,
    is_last: bool,
    input: &Columns,
    spec: &PipelineSpec,
) -> Result<(StagePlan, Columns), SpecError> {
    check_options(path, window)?;
    Ok(match window.window {
        WindowKind::Session => {
            let (plan, rows) = SessionPlan::new(path, window, is_last, input, spec)?;
            (StagePlan::Session(plan), rows)
        }
        WindowKind::Calendar => {
            let (plan, rows) = CalendarPlan::new(path, window, is_last, input, spec)?;
            (StagePlan::Calendar(plan), rows)
        }
        WindowKind::Count | WindowKind::Global => {
            let (plan, rows) = CountPlan::new(path, window, is_last, input, spec)?;
            (StagePlan::Count(plan), rows)
        }
        _ => {
            let (plan, rows) = window_plan(path, window, is_last, input, spec)?;
            (StagePlan::Window(plan), rows)
        }
    })
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
        ("max_partitions", limits.max_partitions),
        ("max_windows_per_event", limits.max_windows_per_event),
        ("max_fill_points", limits.max_fill_points),
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

/// Returns what two engines must agree on to exchange state, as canonical JSON.
fn identity(spec: &PipelineSpec) -> String {
    let mut identity = serde_json::json!({
        "key": spec.source.key,
        "value": spec.source.value,
        "time": spec.time,
        "stages": spec.stages,
    });
    if let Some(identity) = identity.as_object_mut() {
        Caps::identify(spec, identity);
    }
    // Added only if they affect results, so that snapshots of other pipelines stay valid.
    let exact = |aggregation: &Aggregation| aggregation.engine == Some(PercentileEngine::Exact);
    let keeps_values = |stage: &Stage| match stage {
        Stage::Window(window) => window.aggregations.iter().any(exact),
        _ => false,
    };
    let mut insert = |name: &str, value: serde_json::Value| {
        identity.as_object_mut().map(|identity| identity.insert(name.to_owned(), value))
    };
    if spec.stages.iter().any(keeps_values) {
        insert("max_values", spec.limits.max_values.into());
    }
    if let Some(partition) = &spec.source.partition {
        insert("partition", partition.as_str().into());
        insert("max_partitions", spec.limits.max_partitions.into());
    }
    if spec.stages.iter().any(|stage| matches!(stage, Stage::Normalize(_))) {
        insert("max_fill_points", spec.limits.max_fill_points.into());
    }
    identity::without_zone_rules(identity).to_string()
}
