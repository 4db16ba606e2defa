//! Z-scores: resolves fields and options.

use super::analytics::{AnalyticsPlan, OperatorPlan, check_size, fields_read};
use super::columns::Columns;
use super::stage::{PlanStage, Planned, StageSite};
use crate::data::schema::ColumnRole;
use crate::spec::{Field, PipelineSpec, SpecError, ZScore, ZScoreField, ZScoreMethod};
use crate::statistics::{MIN_WARMUP, ZScoreRule};

/// The z-score of one field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ZScorePlan {
    pub(crate) rule: ZScoreRule,
    pub(crate) method: ZScoreMethod,
    /// Number of values in the window; `None`: all values so far.
    pub(crate) window: Option<usize>,
    /// The columns of scores and of anomalies.
    pub(crate) columns: [usize; 2],
}

/// Default number of values that `mad` compares with.
const MAD_WINDOW: u32 = 100;

impl PlanStage for ZScore {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned {
        let StageSite { path, spec, .. } = *site;
        let fields = fields_read(path, self.field.as_deref(), &self.fields, &input)?;
        let stage = ZScoreField {
            name: String::new(),
            threshold: Some(self.threshold),
            warmup: Some(self.warmup),
            learn_anomalies: Some(self.learn_anomalies),
            method: Some(self.method),
            window: self.window,
        };
        let of_stage = zscore_plan(path, &ZScoreField::default(), &stage, spec)?;
        let of_field = |(index, field): (usize, &Field<ZScoreField>)| match field.options() {
            Some(own) => zscore_plan(&format!("{path}.fields[{index}]"), own, &stage, spec),
            None => Ok(of_stage),
        };
        let plans: Vec<ZScorePlan> = match self.fields.as_slice() {
            [] => vec![of_stage],
            fields => fields.iter().enumerate().map(of_field).collect::<Result<_, _>>()?,
        };
        let operator = |(score, plan)| {
            OperatorPlan::ZScore(ZScorePlan { columns: [score, score + 1], ..plan })
        };
        let operators = (input.list().len()..).step_by(2).zip(plans).map(operator).collect();
        let roles = [ColumnRole::Value, ColumnRole::Anomaly].into_iter().cycle();
        let added = self.columns().into_iter().zip(roles);
        AnalyticsPlan::planned(site, input, (operators, fields), added, self.state_ttl)
    }
}

/// Plans the scoring of a field: its own options, else those of the stage.
#[inline]
fn zscore_plan(
    path: &str,
    own: &ZScoreField,
    stage: &ZScoreField,
    spec: &PipelineSpec,
) -> Result<ZScorePlan, SpecError> {
    let threshold = own.threshold.or(stage.threshold).unwrap_or_default();
    if !threshold.is_finite() || threshold < 0.0 {
        let message =
            "must be 0 or more: the number of deviations beyond which a value is an anomaly";
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
    Ok(ZScorePlan {
        rule: ZScoreRule {
            threshold,
            warmup: warmup.into(),
            learn_anomalies: own.learn_anomalies.or(stage.learn_anomalies).unwrap_or_default(),
        },
        method,
        window: window.map(|window| window as usize),
        columns: [0, 0],
    })
}
