//! Planning: turns a [`PipelineSpec`] into a checked [`Plan`] that the engine executes.
//!
//! ```text
//! PipelineSpec                 names, durations, options
//!    |  Columns::of_source     the columns that the reader must deliver
//!    v
//! for each stage: PlanStage::plan(options, site, input columns) -> (planned stage, its columns)
//!    |
//!    v
//! Plan                         column indices, microseconds, limits per stage
//! ```
//!
//! Each kind of stage has a file with its plan: [`PlanStage`] checks the options and resolves names,
//! and [`PlannedStage`] answers what the rest of the engine asks about the stage, and builds it.
//! Errors are [`SpecError`]s with the path of the option. Shared parts: `columns` resolves names,
//! `grid` and `emission` describe windows and their rows, `analytics` is shared by `ema`, `rolling`
//! and `zscore`, and `caps` holds limits. `event_time` holds watermark rules, `sharding` decides
//! whether a stream may be split by key, and `identity` whether state fits a pipeline.

mod analytics;
mod calendar;
mod caps;
mod check;
mod columns;
mod count;
mod dedup;
mod ema;
mod emission;
mod event_time;
mod filter;
mod grid;
mod group;
mod identity;
mod key_by;
mod map;
mod normalize;
mod rolling;
mod session;
mod sharding;
mod stage;
mod window;
mod zscore;

use crate::data::row_layout::RowLayout;
use crate::data::schema::{InputSchema, OutputSchema};
use crate::spec::{Limits, PipelineSpec, Require, SpecError, Stage, StageOutput};
pub(crate) use analytics::{AnalyticsPlan, OperatorPlan};
pub(crate) use calendar::{Calendar, CalendarPlan, Period};
pub(crate) use caps::{Caps, Limit};
use columns::Columns;
pub(crate) use columns::OutputSource;
pub(crate) use count::CountPlan;
pub(crate) use dedup::{DedupPlan, ENTRY_BYTES, MemoryPlan};
use dedup::{IdentityColumn, identity_columns};
pub(crate) use ema::{EmaPlan, EmaWeight};
pub(crate) use emission::{Early, Emission};
pub(crate) use event_time::{AdvanceOn, TimePlan, WatermarkRule};
pub(crate) use filter::{Condition, FilterPlan, Operand};
pub(crate) use grid::{Grid, within};
pub(crate) use group::group_outputs;
pub(crate) use key_by::KeyByPlan;
pub(crate) use map::MapPlan;
pub(crate) use normalize::{FieldColumns, FieldPlan, FillRule, NormalizePlan};
pub(crate) use rolling::{RollingOutput, RollingPlan};
pub(crate) use session::SessionPlan;
pub use sharding::OneShard;
use stage::StageSite;
pub(crate) use stage::{PartialSupport, PlanStage, StagePlan};
pub(crate) use window::{Aggregates, WindowOutput, WindowPlan};
pub(crate) use zscore::ZScorePlan;

/// A checked pipeline, ready for execution.
/// ```
/// use stream_processor_core::{PipelineSpec, Plan};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let plan = Plan::new(&spec)?;
/// assert!(plan.partitioned_by_key && !plan.goes_by_host_time);
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
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
    pub refuses: bool,
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
    #[inline]
    pub fn new(spec: &PipelineSpec) -> Result<Self, SpecError> {
        Self::resolve(spec, Vec::new())
    }

    /// Does the same for a pipeline whose first stage with windows also has `own_outputs`, the
    /// outputs of the program's own aggregators.
    #[cfg(feature = "custom-aggregators")]
    #[inline]
    pub(crate) fn with_own_outputs(
        spec: &PipelineSpec,
        own_outputs: Vec<String>,
    ) -> Result<Self, SpecError> {
        if own_outputs.is_empty() {
            let message = "the aggregator has no results: name at least one";
            return Err(SpecError::new("stages", message));
        }
        Self::resolve(spec, own_outputs)
    }

    #[inline]
    fn resolve(spec: &PipelineSpec, own_outputs: Vec<String>) -> Result<Self, SpecError> {
        check::source(spec)?;
        check::limits(&spec.limits)?;
        caps::check_state_bytes(spec)?;
        let identity = identity::of(spec);
        check::size(spec, &identity)?;
        for (index, stage) in spec.stages.iter().enumerate() {
            stage.options().check(&format!("stages[{index}]"))?;
        }
        let identity_columns = identity_columns(spec);
        let source = Columns::of_source(spec)?;
        let time = TimePlan::of(spec, &source)?;
        let mut columns = source.clone();
        columns.own_outputs = own_outputs;
        let mut stages = Vec::with_capacity(spec.stages.len());
        for (index, options) in spec.stages.iter().map(Stage::options).enumerate() {
            let path = format!("stages[{index}]");
            let is_last = index + 1 == spec.stages.len();
            let identity_columns = &identity_columns;
            let site = StageSite { path: &path, spec, is_last, identity_columns };
            let stage;
            (stage, columns) = options.plan(&site, columns)?;
            stages.push(StagePlan { layout: columns.layout().clone(), stage });
        }
        let passes_events =
            spec.stages.iter().all(|stage| stage.options().output() == StageOutput::SameEvents);
        if let (true, Some(last)) = (passes_events, stages.last_mut()) {
            // Only the order of the events is emitted, since the caller has the events.
            last.layout = RowLayout::default();
        }
        let key = spec.source.key.0.clone();
        let (values, require) = (&spec.source.value.0, spec.source.require);
        let requires_any = require == Require::Any && values.len() > 1;
        let required: &[String] =
            if requires_any || require == Require::None { &[] } else { values };
        let deduplicates = spec.stages.iter().any(|stage| stage.options().strategies().is_some());
        let time_is_optional = passes_events
            && deduplicates
            && time.is_simple()
            && !spec.stages.iter().any(|stage| stage.options().uses_event_time());
        let one_shard = OneShard::of(spec, &time, &stages);
        let (output, output_sources) = if passes_events {
            (OutputSchema { key: key.clone(), passes_events, ..OutputSchema::default() }, vec![])
        } else {
            columns.into_output()?
        };
        Ok(Self {
            input: InputSchema {
                timestamp: spec.source.timestamp.clone(),
                time_is_optional,
                key: source.key().to_vec(),
                on_null_key: spec.source.on_null_key,
                partition: spec.source.partition.clone(),
                columns: source.into_input(required),
                require_any_of: if requires_any { values.len() } else { 0 },
                identities: identity_columns
                    .iter()
                    .map(|column| column.strategies.clone())
                    .collect(),
            },
            output,
            partitioned_by_key: one_shard.is_none(),
            one_shard,
            limits: spec.limits.clone(),
            refuses: Caps::of(spec).refuses(),
            goes_by_host_time: time.goes_by_host_time()
                || spec.stages.iter().any(|stage| stage.options().uses_host_clock()),
            time,
            stages,
            identity_columns,
            output_sources,
            identity,
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
        let new_keys = self.stages.iter().filter_map(|plan| plan.stage.new_key_fields());
        core::iter::once(self.input.key.len()).chain(new_keys).any(has)
    }

    /// Returns true if state of the pipeline with this `identity` may be loaded into an engine of
    /// this one.
    #[inline]
    pub(crate) fn agrees_with(&self, identity: &[u8]) -> bool {
        identity::agree(&self.identity, identity)
    }

    /// Returns the conditions of the filters before all other stages.
    pub(crate) fn front_conditions(&self) -> impl Iterator<Item = &Condition> {
        self.stages.iter().map_while(|plan| plan.stage.condition())
    }

    /// Returns the number of identity columns that are read after stage number `stage`.
    pub(crate) fn identity_columns_after(&self, stage: usize) -> usize {
        self.identity_columns.iter().filter(|column| column.last_use > stage).count()
    }
}
