//! Analytics stages, which add columns to events from state by key: the plan that `ema`, `rolling`
//! and `zscore` share.

use std::sync::Arc;

use super::Caps;
use super::columns::Columns;
use super::ema::EmaPlan;
use super::rolling::RollingPlan;
use super::stage::{Planned, PlannedStage, StageSite};
use super::zscore::ZScorePlan;
use crate::data::schema::{ColumnRole, OutputKind};
use crate::spec::{Duration, Field, Named, PipelineSpec, SpecError};
use crate::stages::{Stage, analytics_stage};
use crate::util::names::first_repeated;

/// A stage that adds columns to the events of each key.
#[derive(Debug, Clone)]
pub(crate) struct AnalyticsPlan {
    /// The operator for each of `fields`.
    pub(crate) operators: Vec<OperatorPlan>,
    /// The input columns that the stage reads; `None` counts events.
    pub(crate) fields: Vec<Option<usize>>,
    pub(crate) caps: Caps,
    /// Event time in microseconds after which the state of a key without events is discarded.
    pub(crate) state_ttl: Option<i64>,
}

/// The operator of an analytics stage for one field. It knows the columns that it writes.
#[derive(Debug, Clone)]
pub(crate) enum OperatorPlan {
    Ema(EmaPlan),
    Rolling(RollingPlan),
    ZScore(ZScorePlan),
}

impl AnalyticsPlan {
    /// Plans the stage at `site`, which runs `operators` over `fields`, and adds the columns `added`
    /// behind those of its input.
    #[inline]
    pub(super) fn planned(
        site: &StageSite<'_>,
        mut columns: Columns,
        (operators, fields): (Vec<OperatorPlan>, Vec<Option<usize>>),
        added: impl IntoIterator<Item = (String, ColumnRole)>,
        state_ttl: Option<Duration>,
    ) -> Planned {
        let StageSite { path, spec, .. } = *site;
        if state_ttl.is_some_and(|ttl| ttl.as_micros() <= 0) {
            return Err(SpecError::new(format!("{path}.state_ttl"), "must be longer than 0s"));
        }
        for (name, role) in added {
            columns.add(path, &name, role)?;
        }
        let plan = Self {
            operators,
            fields,
            caps: Caps::of(spec),
            state_ttl: state_ttl.map(Duration::as_micros),
        };
        Ok((Arc::new(plan), columns))
    }
}

impl PlannedStage for AnalyticsPlan {
    #[inline]
    fn build(&self, index: u32, _: u64) -> Box<dyn Stage> {
        analytics_stage(index, self.clone())
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        self.state_ttl.is_some()
    }
}

/// Returns the columns that a stage reads: those of `fields`, that of `field`, or the default
/// column.
#[inline]
pub(super) fn fields_read<T: Named>(
    path: &str,
    field: Option<&str>,
    fields: &[Field<T>],
    input: &Columns,
) -> Result<Vec<Option<usize>>, SpecError> {
    if field.is_some() && !fields.is_empty() {
        let message = "`field` is set as well: set one of the two";
        return Err(SpecError::new(format!("{path}.fields"), message));
    }
    if fields.is_empty() {
        let path = format!("{path}.field");
        let column = input.resolve(&path, field)?;
        return column.map(|column| vec![Some(column)]).ok_or_else(|| {
            let message = if input.is_of_source() {
                "missing: name a field, or set source.value".to_owned()
            } else {
                let numbers = input.list().iter().filter(|one| one.kind == OutputKind::Number);
                let names: Vec<&str> = numbers.map(|one| one.name.as_str()).collect();
                format!(
                    "missing: the stage before has several fields, name one of {}",
                    names.join(", ")
                )
            };
            SpecError::new(path, message)
        });
    }
    let mut columns = Vec::with_capacity(fields.len());
    let repeated = first_repeated(fields.iter().map(Field::name));
    for (index, field) in fields.iter().enumerate() {
        let name = field.name();
        let path = format!("{path}.fields[{index}]");
        if repeated == Some(index) {
            return Err(SpecError::new(path, format!("`{name}` is named twice")));
        }
        columns.push(input.resolve(&path, Some(name))?);
    }
    Ok(columns)
}

/// Checks that `size`, a number of values, is positive and within `limits.max_values`.
#[inline]
pub(super) fn check_size(path: &str, size: u32, spec: &PipelineSpec) -> Result<(), SpecError> {
    let limit = spec.limits.max_values;
    let message = match size {
        0 => "0: must be at least 1".to_owned(),
        size if size > limit => {
            format!(
                "{size} is more than limits.max_values = {limit}: raise the limit, or set a smaller number"
            )
        }
        _ => return Ok(()),
    };
    Err(SpecError::new(path, message))
}
