//! Stages that add statistics: from fields and options to columns and weights.

use super::window::{aggregated_column, check_options};
use super::{Caps, Columns};
use crate::schema::{OutputColumn, OutputKind};
use crate::spec::{Aggregation, Duration, Ema, HalfLife, Operation, PercentileEngine};
use crate::spec::{PipelineSpec, Rolling, SpecError, ZScore, ZScoreMethod};
use crate::statistics::{
    ExponentialMovingAverage, Kept, LEAST_WARMUP, Rule, TimeAwareMovingAverage,
};

/// A stage that adds columns to the events of each key.
#[derive(Debug, Clone)]
pub(crate) struct KeyedPlan {
    pub(crate) operator: OperatorPlan,
    /// The columns of its input that it reads; `None` counts events.
    pub(crate) fields: Vec<Option<usize>>,
    /// The columns of its input, and then those that it adds.
    pub(crate) columns: Vec<OutputColumn>,
    /// How many of them it adds.
    pub(crate) added: usize,
    pub(crate) caps: Caps,
    /// Event time, microseconds, after which a key without events begins anew.
    pub(crate) state_ttl: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) enum OperatorPlan {
    Ema { alpha: f64 },
    TimedEma { half_life_us: f64 },
    Rolling(RollingPlan),
    ZScore(ZScorePlan),
}

#[derive(Debug, Clone)]
pub(crate) struct RollingPlan {
    /// `None`: all so far.
    pub(crate) size: Option<usize>,
    /// What the results need.
    pub(crate) kept: Kept,
    /// The results of each field.
    pub(crate) outputs: Vec<Vec<RollingOutput>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RollingOutput {
    /// Which of the added columns it is.
    pub(crate) place: usize,
    pub(crate) op: Operation,
    pub(crate) population: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ZScorePlan {
    pub(crate) rule: Rule,
    pub(crate) method: ZScoreMethod,
    /// `None`: all so far.
    pub(crate) window: Option<usize>,
}

/// Values that `mad` compares with where no window is named.
const MAD_WINDOW: u32 = 100;

pub(super) fn ema_plan(
    path: &str,
    ema: &Ema,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<KeyedPlan, SpecError> {
    let fields = fields(path, ema.field.as_deref(), &ema.fields, input)?;
    let operator = weight(path, ema)?;
    let added: Vec<_> = ema.columns().into_iter().map(|name| (name, OutputKind::Number)).collect();
    keyed_plan(path, operator, (fields, added), ema.state_ttl, input, spec)
}

pub(super) fn zscore_plan(
    path: &str,
    zscore: &ZScore,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<KeyedPlan, SpecError> {
    let fields = fields(path, zscore.field.as_deref(), &zscore.fields, input)?;
    if !zscore.threshold.is_finite() || zscore.threshold < 0.0 {
        let message = "must be 0 or more: how many deviations away a value becomes an anomaly";
        return Err(SpecError::new(format!("{path}.threshold"), message));
    }
    if u64::from(zscore.warmup) < LEAST_WARMUP {
        let message = "must be at least 2: one value has no deviation";
        return Err(SpecError::new(format!("{path}.warmup"), message));
    }
    let window = zscore.window.or((zscore.method == ZScoreMethod::Mad).then_some(MAD_WINDOW));
    if let Some(window) = window {
        let path = format!("{path}.window");
        if window < zscore.warmup {
            let message = format!(
                "{window} is less than `warmup` = {}: no value would ever be judged",
                zscore.warmup
            );
            return Err(SpecError::new(path, message));
        }
        check_size(&path, window, spec)?;
    }
    let operator = OperatorPlan::ZScore(ZScorePlan {
        rule: Rule {
            threshold: zscore.threshold,
            warmup: zscore.warmup.into(),
            learn_anomalies: zscore.learn_anomalies,
        },
        method: zscore.method,
        window: window.map(|window| window as usize),
    });
    let kinds = [OutputKind::Number, OutputKind::Bool].into_iter().cycle();
    let added: Vec<_> = zscore.columns().into_iter().zip(kinds).collect();
    keyed_plan(path, operator, (fields, added), zscore.state_ttl, input, spec)
}

pub(super) fn rolling_plan(
    path: &str,
    rolling: &Rolling,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<KeyedPlan, SpecError> {
    if rolling.aggregations.is_empty() {
        let message = "empty: name at least one, such as avg";
        return Err(SpecError::new(format!("{path}.aggregations"), message));
    }
    if let Some(size) = rolling.size {
        check_size(&format!("{path}.size"), size, spec)?;
    }
    for (index, aggregation) in rolling.aggregations.iter().enumerate() {
        let path = format!("{path}.aggregations[{index}]");
        check_options(&path, aggregation)?;
        check_rolling(&path, aggregation, rolling)?;
    }
    let read = match rolling.fields.as_slice() {
        [] => None,
        several => Some(fields(path, rolling.field.as_deref(), several, input)?),
    };
    let mut plan = RollingPlan {
        size: rolling.size.map(|size| size as usize),
        kept: Kept::default(),
        outputs: Vec::new(),
    };
    let mut columns: Vec<Option<usize>> = Vec::new();
    let mut place = 0;
    for field in read.map_or(vec![None], |read| read.into_iter().map(Some).collect()) {
        for (index, aggregation) in rolling.aggregations.iter().enumerate() {
            let path = format!("{path}.aggregations[{index}]");
            let column = match field {
                Some(field) => Some(field),
                None => aggregated_column(&path, aggregation, rolling.field.as_deref(), input)?,
            };
            let known = columns.iter().position(|known| *known == column);
            let known = known.unwrap_or_else(|| {
                columns.push(column);
                plan.outputs.push(Vec::new());
                columns.len() - 1
            });
            keep_for(aggregation.op, &mut plan.kept);
            if let Some(outputs) = plan.outputs.get_mut(known) {
                let (op, population) = (aggregation.op, aggregation.population);
                outputs.push(RollingOutput { place, op, population });
            }
            place += 1;
        }
    }
    let names = rolling.columns(input.default().map(|column| input.name(column)));
    let added = names.into_iter().map(|name| (name, OutputKind::Number)).collect();
    let operator = OperatorPlan::Rolling(plan);
    keyed_plan(path, operator, (columns, added), rolling.state_ttl, input, spec)
}

/// What all of them have in common; `input` gets the added columns.
fn keyed_plan(
    path: &str,
    operator: OperatorPlan,
    (fields, added): (Vec<impl Into<Option<usize>>>, Vec<(String, OutputKind)>),
    state_ttl: Option<Duration>,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<KeyedPlan, SpecError> {
    if state_ttl.is_some_and(|ttl| ttl.as_micros() <= 0) {
        return Err(SpecError::new(format!("{path}.state_ttl"), "must be longer than 0s"));
    }
    for (name, kind) in &added {
        input.add(path, name, *kind)?;
    }
    Ok(KeyedPlan {
        operator,
        fields: fields.into_iter().map(Into::into).collect(),
        columns: input.list().to_vec(),
        added: added.len(),
        caps: Caps::of(spec),
        state_ttl: state_ttl.map(Duration::as_micros),
    })
}

/// The columns that a stage reads: those of `fields`, of `field`, or the default one.
fn fields(
    path: &str,
    field: Option<&str>,
    fields: &[String],
    input: &Columns,
) -> Result<Vec<usize>, SpecError> {
    if field.is_some() && !fields.is_empty() {
        let message = "there is a `field` too: name all of them here, or one there";
        return Err(SpecError::new(format!("{path}.fields"), message));
    }
    if fields.is_empty() {
        let path = format!("{path}.field");
        let column = input.resolve(&path, field)?;
        return column.map(|column| vec![column]).ok_or_else(|| {
            let message = if input.is_of_source() {
                "missing: which field? name it here, or set source.value".to_owned()
            } else {
                let numbers = input.list().iter().filter(|one| one.kind == OutputKind::Number);
                let names: Vec<&str> = numbers.map(|one| one.name.as_str()).collect();
                format!("missing: the stage before gives several, name one of {}", names.join(", "))
            };
            SpecError::new(path, message)
        });
    }
    let mut columns = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let path = format!("{path}.fields[{index}]");
        if fields.iter().take(index).any(|earlier| earlier == field) {
            return Err(SpecError::new(path, format!("`{field}` is named twice")));
        }
        columns.extend(input.resolve(&path, Some(field))?);
    }
    Ok(columns)
}

fn weight(path: &str, ema: &Ema) -> Result<OperatorPlan, SpecError> {
    let plain = |name: &str, average: Result<ExponentialMovingAverage, _>| match average {
        Ok(average) => Ok(OperatorPlan::Ema { alpha: average.alpha() }),
        Err(error) => Err(SpecError::new(format!("{path}.{name}"), format!("{error}"))),
    };
    match (ema.span, ema.alpha, ema.half_life) {
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
            Ok(OperatorPlan::TimedEma { half_life_us: average.half_life_us() })
        }
        (None, None, None) => {
            let message = "missing: how fast it moves, as one of span, alpha and half_life";
            Err(SpecError::new(format!("{path}.span"), message))
        }
        _ => Err(SpecError::new(path, "give one of span, alpha and half_life, not several")),
    }
}

fn check_size(path: &str, size: u32, spec: &PipelineSpec) -> Result<(), SpecError> {
    let limit = spec.limits.max_values;
    let message = match size {
        0 => "0: must be at least 1".to_owned(),
        size if size > limit => {
            format!("{size} is more than limits.max_values = {limit}: raise that, or ask for fewer")
        }
        _ => return Ok(()),
    };
    Err(SpecError::new(path, message))
}

/// That a rolling aggregation can be computed.
fn check_rolling(
    path: &str,
    aggregation: &Aggregation,
    rolling: &Rolling,
) -> Result<(), SpecError> {
    let op = aggregation.op;
    let message = match op {
        _ if aggregation.field.is_some() && !rolling.fields.is_empty() => {
            "it has a field of its own beside the stage's `fields`: leave one of them out"
                .to_owned()
        }
        Operation::First | Operation::Last => format!(
            "`{op}` goes by event time, rolling aggregations by arrival: they have count, sum, avg, min, max, range, variance, stddev and percentiles"
        ),
        Operation::Distinct | Operation::Rate => format!(
            "`{op}` is one of windows: rolling aggregations are count, sum, avg, min, max, range, variance, stddev and percentiles"
        ),
        Operation::Percentile(_) if rolling.size.is_none() => {
            format!("`{op}` of all values so far would need all of them: give the stage a `size`")
        }
        Operation::Percentile(_)
            if aggregation.engine.is_some_and(|engine| engine != PercentileEngine::Exact) =>
        {
            "the percentiles of a rolling stage are exact: leave `engine` out".to_owned()
        }
        _ => return Ok(()),
    };
    Err(SpecError::new(path, message))
}

/// Takes note of what `op` needs.
fn keep_for(op: Operation, kept: &mut Kept) {
    match op {
        Operation::Sum | Operation::Avg => kept.sums = true,
        Operation::Variance | Operation::Stddev => kept.moments = true,
        Operation::Min | Operation::Max | Operation::Range => kept.extremes = true,
        Operation::Percentile(_) => kept.order = true,
        Operation::Count
        | Operation::First
        | Operation::Last
        | Operation::Distinct
        | Operation::Rate => {}
    }
}
