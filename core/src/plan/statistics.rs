//! Stages that add statistics: resolves fields and options to columns and weights.

use super::rolling::RollingPlan;
use super::{Caps, Columns};
use crate::data::schema::{OutputColumn, OutputKind};
use crate::spec::{Duration, Ema, EmaField, Field, HalfLife, Named, PipelineSpec, SpecError};
use crate::spec::{ZScore, ZScoreField, ZScoreMethod};
use crate::statistics::{ExponentialMovingAverage, MIN_WARMUP, TimeAwareMovingAverage, ZScoreRule};

/// A stage that adds columns to the events of each key.
#[derive(Debug, Clone)]
pub(crate) struct AnalyticsPlan {
    /// The operator for each of `fields`.
    pub(crate) operators: Vec<OperatorPlan>,
    /// The input columns that the stage reads; `None` counts events.
    pub(crate) fields: Vec<Option<usize>>,
    /// The columns of its input, followed by those that it adds.
    pub(crate) columns: Vec<OutputColumn>,
    /// Number of added columns.
    pub(crate) added: usize,
    pub(crate) caps: Caps,
    /// Event time in microseconds after which the state of a key without events is discarded.
    pub(crate) state_ttl: Option<i64>,
}

/// The operator of an analytics stage for one field.
#[derive(Debug, Clone)]
pub(crate) enum OperatorPlan {
    Ema { alpha: f64 },
    TimedEma { half_life_us: f64 },
    Rolling(RollingPlan),
    ZScore(ZScorePlan),
}

/// The z-score of one field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ZScorePlan {
    pub(crate) rule: ZScoreRule,
    pub(crate) method: ZScoreMethod,
    /// Number of values in the window; `None`: all values so far.
    pub(crate) window: Option<usize>,
}

/// Default number of values that `mad` compares with.
const MAD_WINDOW: u32 = 100;

/// Plans the `ema` stage at `path`, and adds its columns to `input`.
pub(super) fn ema_plan(
    path: &str,
    ema: &Ema,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<AnalyticsPlan, SpecError> {
    let columns = columns(path, ema.field.as_deref(), &ema.fields, input)?;
    let weights = (ema.span, ema.alpha, ema.half_life);
    let of_stage = match weights {
        (None, None, None) if !ema.fields.is_empty() => None,
        weights => Some(weight(path, weights)?),
    };
    let of_field = |(index, field): (usize, &Field<EmaField>)| {
        let own = field.options().map(|one| (one.span, one.alpha, one.half_life));
        match (own.filter(|own| *own != (None, None, None)), &of_stage) {
            (None, Some(of_stage)) => Ok(of_stage.clone()),
            (own, _) => weight(&format!("{path}.fields[{index}]"), own.unwrap_or_default()),
        }
    };
    let operators = match ema.fields.as_slice() {
        [] => of_stage.into_iter().collect(),
        fields => fields.iter().enumerate().map(of_field).collect::<Result<_, _>>()?,
    };
    let added: Vec<_> = ema.columns().into_iter().map(|name| (name, OutputKind::Number)).collect();
    keyed_plan(path, (operators, columns, added), ema.state_ttl, input, spec)
}

/// Plans the `zscore` stage at `path`, and adds its columns to `input`.
pub(super) fn zscore_plan(
    path: &str,
    zscore: &ZScore,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<AnalyticsPlan, SpecError> {
    let columns = columns(path, zscore.field.as_deref(), &zscore.fields, input)?;
    let stage = ZScoreField {
        name: String::new(),
        threshold: Some(zscore.threshold),
        warmup: Some(zscore.warmup),
        learn_anomalies: Some(zscore.learn_anomalies),
        method: Some(zscore.method),
        window: zscore.window,
    };
    let of_stage = zscore_operator(path, &ZScoreField::default(), &stage, spec)?;
    let of_field = |(index, field): (usize, &Field<ZScoreField>)| match field.options() {
        Some(own) => zscore_operator(&format!("{path}.fields[{index}]"), own, &stage, spec),
        None => Ok(of_stage.clone()),
    };
    let operators = match zscore.fields.as_slice() {
        [] => vec![of_stage.clone()],
        fields => fields.iter().enumerate().map(of_field).collect::<Result<_, _>>()?,
    };
    let kinds = [OutputKind::Number, OutputKind::Bool].into_iter().cycle();
    let added: Vec<_> = zscore.columns().into_iter().zip(kinds).collect();
    keyed_plan(path, (operators, columns, added), zscore.state_ttl, input, spec)
}

/// Plans the scoring of a field: its own options, else those of the stage.
fn zscore_operator(
    path: &str,
    own: &ZScoreField,
    stage: &ZScoreField,
    spec: &PipelineSpec,
) -> Result<OperatorPlan, SpecError> {
    let threshold = own.threshold.or(stage.threshold).unwrap_or_default();
    if !threshold.is_finite() || threshold < 0.0 {
        let message = "must be 0 or more: how many deviations away a value becomes an anomaly";
        return Err(SpecError::new(format!("{path}.threshold"), message));
    }
    let warmup = own.warmup.or(stage.warmup).unwrap_or_default();
    if u64::from(warmup) < MIN_WARMUP {
        let message = "must be at least 2: one value has no deviation";
        return Err(SpecError::new(format!("{path}.warmup"), message));
    }
    let method = own.method.or(stage.method).unwrap_or_default();
    let window = own.window.or(stage.window);
    let window = window.or((method == ZScoreMethod::Mad).then_some(MAD_WINDOW));
    if let Some(window) = window {
        let path = format!("{path}.window");
        if window < warmup {
            let message =
                format!("{window} is less than `warmup` = {warmup}: no value would ever be judged");
            return Err(SpecError::new(path, message));
        }
        check_size(&path, window, spec)?;
    }
    Ok(OperatorPlan::ZScore(ZScorePlan {
        rule: ZScoreRule {
            threshold,
            warmup: warmup.into(),
            learn_anomalies: own.learn_anomalies.or(stage.learn_anomalies).unwrap_or_default(),
        },
        method,
        window: window.map(|window| window as usize),
    }))
}

/// The operators of a stage, the columns that they read, and the columns that they add.
type KeyedParts = (Vec<OperatorPlan>, Vec<Option<usize>>, Vec<(String, OutputKind)>);

/// Builds the plan of a keyed stage from its operators, and adds its columns to `input`.
pub(super) fn keyed_plan(
    path: &str,
    (operators, fields, added): KeyedParts,
    state_ttl: Option<Duration>,
    input: &mut Columns,
    spec: &PipelineSpec,
) -> Result<AnalyticsPlan, SpecError> {
    if state_ttl.is_some_and(|ttl| ttl.as_micros() <= 0) {
        return Err(SpecError::new(format!("{path}.state_ttl"), "must be longer than 0s"));
    }
    for (name, kind) in &added {
        input.add(path, name, *kind)?;
    }
    Ok(AnalyticsPlan {
        operators,
        fields,
        columns: input.list().to_vec(),
        added: added.len(),
        caps: Caps::of(spec),
        state_ttl: state_ttl.map(Duration::as_micros),
    })
}

/// Returns the columns that a stage reads: those of `fields`, that of `field`, or the default
/// column.
pub(super) fn columns<T: Named>(
    path: &str,
    field: Option<&str>,
    fields: &[Field<T>],
    input: &Columns,
) -> Result<Vec<Option<usize>>, SpecError> {
    if field.is_some() && !fields.is_empty() {
        let message = "there is a `field` too: name all of them here, or one there";
        return Err(SpecError::new(format!("{path}.fields"), message));
    }
    if fields.is_empty() {
        let path = format!("{path}.field");
        let column = input.resolve(&path, field)?;
        return column.map(|column| vec![Some(column)]).ok_or_else(|| {
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
        let name = field.name();
        let path = format!("{path}.fields[{index}]");
        if fields.iter().take(index).any(|earlier| earlier.name() == name) {
            return Err(SpecError::new(path, format!("`{name}` is named twice")));
        }
        columns.push(input.resolve(&path, Some(name))?);
    }
    Ok(columns)
}

/// The options span, alpha and half-life, of which one must be set.
type Weights = (Option<f64>, Option<f64>, Option<HalfLife>);

fn weight(path: &str, weights: Weights) -> Result<OperatorPlan, SpecError> {
    let plain = |name: &str, average: Result<ExponentialMovingAverage, _>| match average {
        Ok(average) => Ok(OperatorPlan::Ema { alpha: average.alpha() }),
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
            Ok(OperatorPlan::TimedEma { half_life_us: average.half_life_us() })
        }
        (None, None, None) => {
            let message = "missing: how fast it moves, as one of span, alpha and half_life";
            Err(SpecError::new(format!("{path}.span"), message))
        }
        _ => Err(SpecError::new(path, "give one of span, alpha and half_life, not several")),
    }
}

/// Checks that `size`, a number of values, is positive and within `limits.max_values`.
pub(super) fn check_size(path: &str, size: u32, spec: &PipelineSpec) -> Result<(), SpecError> {
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
