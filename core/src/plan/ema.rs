//! Exponential moving averages: resolves fields and weights.

use super::analytics::{AnalyticsPlan, OperatorPlan, fields_read};
use super::columns::Columns;
use super::stage::{PlanStage, Planned, StageSite};
use crate::data::schema::ColumnRole;
use crate::spec::{Ema, EmaField, Field, HalfLife, SpecError};
use crate::statistics::{ExponentialMovingAverage, TimeAwareMovingAverage};

/// The moving average of one field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EmaPlan {
    pub(crate) weight: EmaWeight,
    /// The column of the average.
    pub(crate) column: usize,
}

/// The rule for the weight of a new value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EmaWeight {
    /// Every value has this weight.
    Constant(f64),
    /// The weight grows with the time since the previous value: this half-life, microseconds.
    HalfLife(f64),
}

impl PlanStage for Ema {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned {
        let path = site.path;
        let fields = fields_read(path, self.field.as_deref(), &self.fields, &input)?;
        let weights = (self.span, self.alpha, self.half_life);
        let of_stage = match weights {
            (None, None, None) if !self.fields.is_empty() => None,
            weights => Some(weight(path, weights)?),
        };
        let of_field = |(index, field): (usize, &Field<EmaField>)| {
            let own = field.options().map(|one| (one.span, one.alpha, one.half_life));
            match (own.filter(|own| *own != (None, None, None)), &of_stage) {
                (None, Some(of_stage)) => Ok(*of_stage),
                (own, _) => weight(&format!("{path}.fields[{index}]"), own.unwrap_or_default()),
            }
        };
        let weights: Vec<EmaWeight> = match self.fields.as_slice() {
            [] => of_stage.into_iter().collect(),
            fields => fields.iter().enumerate().map(of_field).collect::<Result<_, _>>()?,
        };
        let operator = |(column, weight)| OperatorPlan::Ema(EmaPlan { weight, column });
        let operators = (input.list().len()..).zip(weights).map(operator).collect();
        let added = self.columns().into_iter().map(|name| (name, ColumnRole::Value));
        AnalyticsPlan::planned(site, input, (operators, fields), added, self.state_ttl)
    }
}

/// The options span, alpha and half-life, of which one must be set.
type Weights = (Option<f64>, Option<f64>, Option<HalfLife>);

#[inline]
fn weight(path: &str, weights: Weights) -> Result<EmaWeight, SpecError> {
    let plain = |name: &str, average: Result<ExponentialMovingAverage, _>| match average {
        Ok(average) => Ok(EmaWeight::Constant(average.alpha())),
        Err(error) => Err(SpecError::new(format!("{path}.{name}"), format!("{error}"))),
    };
    match weights {
        (Some(span), None, None) => plain("span", ExponentialMovingAverage::with_span(span)),
        (None, Some(alpha), None) => plain("alpha", ExponentialMovingAverage::with_alpha(alpha)),
        (None, None, Some(HalfLife::Values(values))) => {
            plain("half_life", ExponentialMovingAverage::with_half_life(values))
        }
        (None, None, Some(HalfLife::Time(time))) => {
            let average = TimeAwareMovingAverage::with_half_life(time.as_micros());
            let average = average.map_err(|_| {
                SpecError::new(format!("{path}.half_life"), "must be longer than 0s")
            })?;
            Ok(EmaWeight::HalfLife(average.half_life_us()))
        }
        (None, None, None) => {
            let message =
                "missing: set one of span, alpha and half_life, the weight of a new value";
            Err(SpecError::new(format!("{path}.span"), message))
        }
        _ => Err(SpecError::new(path, "set one of span, alpha and half_life, not several")),
    }
}
