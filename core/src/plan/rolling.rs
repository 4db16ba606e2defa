//! Rolling aggregations: resolves fields and options, and derives the state that they need.

use super::analytics::{AnalyticsPlan, OperatorPlan, check_size, fields_read};
use super::columns::Columns;
use super::stage::{PlanStage, Planned, StageSite};
use super::window::{aggregated_column, check_options};
use crate::aggregates::{self, RollingSupport, State, definition};
use crate::data::schema::ColumnRole;
use crate::spec::{Aggregation, Field, Operation, PercentileEngine, PipelineSpec};
use crate::spec::{Rolling, RollingField, SpecError};
use crate::statistics::TrackedStatistics;

/// The rolling aggregations of one field.
#[derive(Debug, Clone)]
pub(crate) struct RollingPlan {
    /// Number of values in the window; `None`: all values so far.
    pub(crate) size: Option<usize>,
    /// The state that the results need.
    pub(crate) kept: TrackedStatistics,
    /// The results of the field.
    pub(crate) outputs: Vec<RollingOutput>,
}

/// One aggregation and its column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollingOutput {
    /// The column of the results.
    pub(crate) column: usize,
    pub(crate) op: Operation,
    /// The state that `op` is computed from.
    pub(crate) state: State,
    pub(crate) population: bool,
}

impl PlanStage for Rolling {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned {
        let StageSite { path, spec, .. } = *site;
        let columns = match self.fields.as_slice() {
            [] => vec![None],
            _ => fields_read(path, self.field.as_deref(), &self.fields, &input)?,
        };
        let mut plans: Vec<(Option<usize>, RollingPlan)> = Vec::new();
        let mut kept = TrackedStatistics::default();
        let mut output_column = input.list().len();
        for (index, field) in columns.into_iter().enumerate() {
            let options = EffectiveOptions::new(path, self, index);
            let size = options.size(spec)?;
            for (index, aggregation) in options.aggregations()?.iter().enumerate() {
                let path = format!("{}.aggregations[{index}]", options.aggregations_path);
                check_options(&path, aggregation)?;
                check_rolling(&path, aggregation, size, !self.fields.is_empty())?;
                let column = match field {
                    Some(field) => Some(field),
                    None => aggregated_column(&path, aggregation, self.field.as_deref(), &input)?,
                };
                let known = plans.iter().position(|(known, _)| *known == column);
                let known = known.unwrap_or_else(|| {
                    let size = size.map(|size| size as usize);
                    plans.push((column, RollingPlan { size, kept, outputs: Vec::new() }));
                    plans.len() - 1
                });
                let definition = definition(aggregation.op);
                kept = kept.and(definition.rolling.tracked());
                if let Some((_, plan)) = plans.get_mut(known) {
                    let (op, population) = (aggregation.op, aggregation.population);
                    let (state, column) = (definition.state, output_column);
                    plan.outputs.push(RollingOutput { column, op, state, population });
                }
                output_column += 1;
            }
        }
        let (columns, plans): (Vec<_>, Vec<_>) = plans.into_iter().unzip();
        // All fields keep the state that any of them needs, since snapshots have one layout for all.
        let operators =
            plans.into_iter().map(|plan| OperatorPlan::Rolling(RollingPlan { kept, ..plan }));
        let names = self.columns(input.default().map(|column| input.name(column)));
        let added = names.into_iter().map(|name| (name, ColumnRole::Value));
        AnalyticsPlan::planned(site, input, (operators.collect(), columns), added, self.state_ttl)
    }
}

/// Effective options of a field of a rolling stage: its own, else those of the stage.
struct EffectiveOptions<'a> {
    stage: &'a Rolling,
    own: Option<&'a RollingField>,
    size_path: String,
    aggregations_path: String,
}

impl<'a> EffectiveOptions<'a> {
    #[inline]
    fn new(path: &str, stage: &'a Rolling, index: usize) -> Self {
        let own = stage.fields.get(index).and_then(Field::options);
        let at = |is_own: bool| match is_own {
            true => format!("{path}.fields[{index}]"),
            false => path.to_owned(),
        };
        let size_path = at(own.is_some_and(|own| own.size.is_some()));
        let aggregations_path = at(own.is_some_and(|own| own.aggregations.is_some()));
        Self { stage, own, size_path, aggregations_path }
    }

    #[inline]
    fn size(&self, spec: &PipelineSpec) -> Result<Option<u32>, SpecError> {
        let size = self.own.and_then(|own| own.size).or(self.stage.size);
        if let Some(size) = size {
            check_size(&format!("{}.size", self.size_path), size, spec)?;
        }
        Ok(size)
    }

    #[inline]
    fn aggregations(&self) -> Result<&'a [Aggregation], SpecError> {
        let own = self.own.and_then(|own| own.aggregations.as_deref());
        match own.unwrap_or(&self.stage.aggregations) {
            [] => {
                let message = "empty: name at least one, such as avg";
                Err(SpecError::new(format!("{}.aggregations", self.aggregations_path), message))
            }
            aggregations => Ok(aggregations),
        }
    }
}

/// Checks that a rolling aggregation can be computed.
#[inline]
fn check_rolling(
    path: &str,
    aggregation: &Aggregation,
    size: Option<u32>,
    has_fields: bool,
) -> Result<(), SpecError> {
    let op = aggregation.op;
    let message = match definition(op).rolling {
        _ if aggregation.field.is_some() && has_fields => {
            "has a field of its own, but the stage has `fields`: remove one of the two".to_owned()
        }
        RollingSupport::ByEventTime | RollingSupport::WindowsOnly => {
            format!("`{op}` is for windows only, expected one of: {}", rolling_names())
        }
        RollingSupport::TracksLast(_) if size.is_none() => {
            format!("`{op}` needs a `size`: percentiles are computed from that many stored values")
        }
        RollingSupport::TracksLast(_)
            if aggregation.engine.is_some_and(|engine| engine != PercentileEngine::Exact) =>
        {
            "percentiles of a rolling stage are always exact: remove `engine`".to_owned()
        }
        _ => return Ok(()),
    };
    Err(SpecError::new(path, message))
}

/// Returns the names of the aggregations that a rolling stage computes, for messages.
#[inline]
fn rolling_names() -> String {
    let named = aggregates::NAMED.iter();
    let rolling = named.filter(|(_, known)| matches!(known.rolling, RollingSupport::Tracks(_)));
    let names: Vec<&str> = rolling.map(|(_, known)| known.name).collect();
    format!("{} and percentiles", names.join(", "))
}
