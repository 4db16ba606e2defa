//! Normalization: resolves the options of the stage for each field.

use std::sync::Arc;

use super::Caps;
use super::columns::Columns;
use super::sharding::Hold;
use super::stage::{PlanStage, Planned, PlannedStage, StageSite};
use crate::data::row_layout::RowLayout;
use crate::data::schema::ColumnRole;
use crate::spec::{
    Align, Basis, Fill, FillNeeds, Interval, MAX_DEGREE, Normalize, NormalizeField, OutlierAction,
    Outliers, Reduce, SpecError,
};
use crate::stages::{NormalizeStage, Stage};
use crate::util::names::first_repeated;

/// The plan of a `normalize` stage.
#[derive(Debug, Clone)]
pub(crate) struct NormalizePlan {
    /// Grid interval in microseconds; `None`: each key has its own, the median step of its first
    /// samples.
    pub(crate) interval_us: Option<i64>,
    pub(crate) offset_us: i64,
    pub(crate) align: Align,
    pub(crate) basis: Basis,
    pub(crate) fields: Vec<FieldPlan>,
    /// The columns of rows: the fields, then a fill flag for each, then the outlier flags that were
    /// asked for.
    pub(crate) layout: RowLayout,
    pub(crate) max_buffered: usize,
    pub(crate) max_fill_points: u32,
    pub(crate) caps: Caps,
    /// True if the rows go to the sink, which also receives rows without values.
    pub(crate) is_last: bool,
}

/// The plan of one normalized field.
#[derive(Debug, Clone)]
pub(crate) struct FieldPlan {
    /// The column of the stage's input.
    pub(crate) column: usize,
    pub(crate) reduce: Reduce,
    pub(crate) rule: FillRule,
    /// Longest gap to fill, microseconds; unlimited if not set.
    pub(crate) max_gap_us: i64,
    pub(crate) outliers: Option<Outliers>,
    /// The columns of rows that the field is written to.
    pub(crate) columns: FieldColumns,
}

/// Positions of the columns of one normalized field.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FieldColumns {
    pub(crate) value: usize,
    pub(crate) filled: usize,
    pub(crate) outlier: Option<usize>,
}

/// The method that computes points between two known samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FillRule {
    pub(crate) fill: Fill,
    pub(crate) needs: FillNeeds,
    /// Degree of a polynomial, from 1 to [`MAX_DEGREE`]; 1 for other fills.
    pub(crate) degree: usize,
}

impl FillRule {
    /// Returns true if gaps are filled at all.
    #[inline]
    pub(crate) fn fills_gaps(self) -> bool {
        self.needs != FillNeeds::Nothing
    }

    /// Returns true if the rows between two points depend on these points alone.
    #[inline]
    pub(crate) fn is_local(self) -> bool {
        matches!(self.needs, FillNeeds::Nothing | FillNeeds::GapEnds)
    }

    /// Returns true if the rows of a gap depend on at most one point after it.
    #[inline]
    pub(crate) fn needs_at_most_one_point_after(self) -> bool {
        self.is_local() || self.needs == FillNeeds::OneMorePoint
    }

    /// Returns how many emitted known points the following values may still depend on.
    #[inline]
    pub(crate) fn lookback_points(self) -> usize {
        match self.needs {
            FillNeeds::Nothing | FillNeeds::GapEnds => 1,
            FillNeeds::OneMorePoint => 2,
            FillNeeds::DegreePoints => self.degree,
        }
    }
}

impl PlanStage for Normalize {
    #[inline]
    fn plan(&self, site: &StageSite<'_>, input: Columns) -> Planned {
        let (plan, columns) = NormalizePlan::new(self, site, &input)?;
        Ok((Arc::new(plan), columns))
    }
}

impl NormalizePlan {
    /// Plans the stage at `site` and returns its output columns.
    #[inline]
    fn new(
        stage: &Normalize,
        site: &StageSite<'_>,
        input: &Columns,
    ) -> Result<(Self, Columns), SpecError> {
        let StageSite { path, spec, is_last, .. } = *site;
        let interval_us = interval(path, stage, is_last)?;
        check_basis(path, stage)?;
        if stage.max_buffered == 0 {
            return Err(SpecError::new(format!("{path}.max_buffered"), "0: must be at least 1"));
        }
        let (mut fields, names) = fields(path, stage, input)?;
        let mut output = input.of_events();
        for (index, (field, name)) in fields.iter_mut().zip(&names).enumerate() {
            field.columns.value = output.add(path, name, ColumnRole::Field(index))?;
        }
        let added = |name: &str, what: &str| match names.len() {
            1 => what.to_owned(),
            _ => format!("{name}_{what}"),
        };
        for (index, (field, name)) in fields.iter_mut().zip(&names).enumerate() {
            let name = added(name, "filled");
            field.columns.filled = output.add(path, &name, ColumnRole::Filled(index))?;
        }
        for (index, (field, name)) in fields.iter_mut().zip(&names).enumerate() {
            let flags = |outliers: Outliers| outliers.action == OutlierAction::Flag;
            if field.outliers.is_some_and(flags) {
                let name = added(name, "outlier");
                field.columns.outlier =
                    Some(output.add(path, &name, ColumnRole::Outlier(index))?);
            }
        }
        output.set_default(output.layout().position(ColumnRole::Field(0)));
        let plan = Self {
            interval_us,
            offset_us: stage.offset.as_micros(),
            align: stage.align.unwrap_or_default(),
            basis: stage.basis,
            fields,
            layout: output.layout().clone(),
            max_buffered: stage.max_buffered as usize,
            max_fill_points: spec.limits.max_fill_points,
            caps: Caps::of(spec),
            is_last,
        };
        Ok((plan, output))
    }
}

impl PlannedStage for NormalizePlan {
    #[inline]
    fn build(&self, index: u32, _: u64) -> Box<dyn Stage> {
        Box::new(NormalizeStage::new(index, self.clone()))
    }

    #[inline]
    fn sees_watermark(&self) -> bool {
        true
    }

    #[inline]
    fn closed_at(&self, time: i64) -> i64 {
        let gaps = self.fields.iter().map(|field| field.max_gap_us);
        let gap = gaps.filter(|gap| *gap < i64::MAX).max().unwrap_or(0);
        time.saturating_add(self.interval_us.unwrap_or(0)).saturating_add(gap)
    }

    #[inline]
    fn hold(&self) -> Hold {
        Hold::UntilEveryKey
    }

    #[inline]
    fn emits_rows(&self) -> bool {
        true
    }

    #[inline]
    fn orders_by_input_position(&self) -> bool {
        self.interval_us.is_none()
    }

    #[inline]
    fn accepts_until(&self, end: i64) -> Option<i64> {
        Some(end.saturating_sub(1))
    }
}

#[inline]
fn interval(path: &str, stage: &Normalize, is_last: bool) -> Result<Option<i64>, SpecError> {
    let path = format!("{path}.interval");
    match stage.interval {
        Interval::Every(interval) if interval.as_micros() > 0 => Ok(Some(interval.as_micros())),
        Interval::Every(interval) => {
            let message =
                format!("{interval}: grid points must be more than 0s apart, such as \"1s\"");
            Err(SpecError::new(path, message))
        }
        Interval::Auto if is_last => Ok(None),
        Interval::Auto => {
            let message = "auto is for the last stage only: set an interval, such as \"1s\"";
            Err(SpecError::new(path, message))
        }
    }
}

/// Checks that no option for aligned samples is set if raw samples are emitted.
#[inline]
fn check_basis(path: &str, stage: &Normalize) -> Result<(), SpecError> {
    if stage.basis != Basis::Samples {
        return Ok(());
    }
    let error = |field: String| {
        let message = "is not for basis = \"samples\", where samples keep their times: remove it, or set basis = \"aligned\"";
        Err(SpecError::new(field, message))
    };
    if stage.align.is_some() {
        return error(format!("{path}.align"));
    }
    if stage.reduce.is_some() {
        return error(format!("{path}.reduce"));
    }
    match stage.fields.iter().position(|field| field.reduce.is_some()) {
        Some(place) => error(format!("{path}.fields[{place}].reduce")),
        None => Ok(()),
    }
}

/// Returns the plan of each field with its name.
#[inline]
fn fields(
    path: &str,
    stage: &Normalize,
    input: &Columns,
) -> Result<(Vec<FieldPlan>, Vec<String>), SpecError> {
    if stage.fields.is_empty() {
        let Some(column) = input.resolve(path, None)? else {
            let message = "missing: set source.value, or fields = [{ name = \"cpu\" }]";
            return Err(SpecError::new(format!("{path}.fields"), message));
        };
        return Ok((
            vec![field(path, path, stage, None, column)?],
            vec![input.name(column).to_owned()],
        ));
    }
    let mut plans = Vec::with_capacity(stage.fields.len());
    let mut names: Vec<String> = Vec::with_capacity(stage.fields.len());
    let repeated = first_repeated(stage.fields.iter().map(|field| field.name.as_str()));
    for (place, own) in stage.fields.iter().enumerate() {
        let at = format!("{path}.fields[{place}]");
        if repeated == Some(place) {
            let message = format!("`{}` is named twice", own.name);
            return Err(SpecError::new(format!("{at}.name"), message));
        }
        if let Some(column) = input.resolve(&format!("{at}.name"), Some(&own.name))? {
            plans.push(field(path, &at, stage, Some(own), column)?);
            names.push(own.name.clone());
        }
    }
    Ok((plans, names))
}

/// Merges the options of a field, `own`, with those of the `stage`, which apply to all others.
#[inline]
fn field(
    path: &str,
    own_path: &str,
    stage: &Normalize,
    own: Option<&NormalizeField>,
    column: usize,
) -> Result<FieldPlan, SpecError> {
    let own_fill = own.and_then(|own| own.fill);
    let fill = own_fill.or(stage.fill).unwrap_or_default();
    let degree = match own.and_then(|own| own.degree) {
        Some(degree) => Some((own_path, degree)),
        None => stage.degree.map(|degree| (path, degree)),
    };
    let needs = fill.needs();
    let degree = match (needs, degree) {
        (FillNeeds::DegreePoints, Some((path, degree))) => match usize::try_from(degree) {
            Ok(degree) if (1..=MAX_DEGREE).contains(&degree) => degree,
            _ => {
                let message = format!("{degree}: must be from 1 to {MAX_DEGREE}");
                return Err(SpecError::new(format!("{path}.degree"), message));
            }
        },
        (FillNeeds::DegreePoints, None) => {
            let message = format!("missing: the degree of the polynomial, from 1 to {MAX_DEGREE}");
            return Err(SpecError::new(format!("{own_path}.degree"), message));
        }
        // An option of the stage may be meant for other fields.
        (_, Some((at, _))) if at == own_path => {
            let message = "is for fill = \"polynomial\" only";
            return Err(SpecError::new(format!("{own_path}.degree"), message));
        }
        _ => 1,
    };
    let max_gap = own.and_then(|own| own.max_gap).or(stage.max_gap);
    if let Some(gap) = max_gap.filter(|gap| gap.as_micros() <= 0) {
        let message = format!("{gap}: must be longer than 0s, such as \"1m\"");
        return Err(SpecError::new(format!("{own_path}.max_gap"), message));
    }
    let outliers = own.and_then(|own| own.outliers).or(stage.outliers);
    if let Some(Outliers { zscore, window, .. }) = outliers {
        let path = format!("{own_path}.outliers");
        if !(zscore > 0.0 && zscore.is_finite()) {
            let message = format!("{zscore}: must be more than 0, such as 3.0");
            return Err(SpecError::new(format!("{path}.zscore"), message));
        }
        if !(2..=MAX_OUTLIER_WINDOW).contains(&window) {
            let message = format!("{window}: must be from 2 to {MAX_OUTLIER_WINDOW}");
            return Err(SpecError::new(format!("{path}.window"), message));
        }
    }
    let reduce = own.and_then(|own| own.reduce).or(stage.reduce).unwrap_or_default();
    Ok(FieldPlan {
        column,
        reduce,
        rule: FillRule { fill, needs, degree },
        max_gap_us: max_gap.map_or(i64::MAX, |gap| gap.as_micros()),
        outliers,
        columns: FieldColumns::default(),
    })
}

/// Maximum number of preceding values for outlier detection. Each of them is examined again for
/// every value.
const MAX_OUTLIER_WINDOW: u32 = 10_000;
