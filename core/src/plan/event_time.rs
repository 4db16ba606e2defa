//! Progress of event time: `[time]` and `source.partition`, checked together.

use super::Plan;
use super::columns::Columns;
use crate::spec::{Duration, Future, OutOfOrderness, PipelineSpec, SpecError, Time, Watermark};

/// The options of `[time]`, durations in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct TimePlan {
    pub(crate) rule: WatermarkRule,
    pub(crate) partitioned: bool,
    pub(crate) max_partitions: u32,
    pub(crate) max_key_bytes: u32,
    pub(crate) idle_timeout_us: Option<i64>,
    pub(crate) close_after_idle_us: Option<i64>,
    pub(crate) max_future_skew_us: Option<i64>,
    pub(crate) keeps_future: bool,
}

/// The rule by which events of a partition advance its watermark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatermarkRule {
    pub(crate) out_of_orderness: OutOfOrderness,
    pub(crate) advance_on: AdvanceOn,
}

/// The events that advance a watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdvanceOn {
    /// Every event that is later than all before it.
    Always,
    /// The first event that is this much later than the last one that advanced the watermark,
    /// microseconds.
    Every(i64),
    /// Events with a non-zero number in this column.
    Marked(usize),
    Never,
}

impl TimePlan {
    /// Returns true if the watermark depends only on the greatest event time of the stream. A
    /// [`crate::event_time::watermark::Generator`] then computes it.
    pub(crate) fn is_simple(&self) -> bool {
        // A single silent partition delays no other, so its timeout has no effect.
        self.rule.advance_on == AdvanceOn::Always
            && !self.partitioned
            && self.close_after_idle_us.is_none()
            && self.max_future_skew_us.is_none()
    }

    pub(super) fn goes_by_host_time(&self) -> bool {
        let options = [self.idle_timeout_us, self.close_after_idle_us, self.max_future_skew_us];
        !self.is_simple() && options.iter().any(Option::is_some)
    }

    #[inline]
    pub(super) fn of(spec: &PipelineSpec, columns: &Columns) -> Result<Self, SpecError> {
        let time = &spec.time;
        check_names(spec)?;
        check_together(time, spec.source.partition.is_some())?;
        let positive = |name: &str, value: Option<Duration>| match value {
            Some(value) if value.as_micros() <= 0 => {
                Err(error(name, format!("{value}: must be longer than 0s, such as \"30s\"")))
            }
            value => Ok(value.map(Duration::as_micros)),
        };
        let interval = positive("watermark_interval", time.watermark_interval)?;
        let advance_on = match (time.watermark, &time.watermark_field) {
            (Watermark::Periodic, _) => AdvanceOn::Every(interval.unwrap_or_default()),
            (Watermark::Punctuated, Some(field)) => {
                let column = columns.resolve("time.watermark_field", Some(field))?;
                AdvanceOn::Marked(column.unwrap_or_default())
            }
            (Watermark::Manual, _) => AdvanceOn::Never,
            _ => AdvanceOn::Always,
        };
        let skew = time.max_future_skew.map(Duration::as_micros);
        if skew.is_some_and(|skew| skew < 0) {
            return Err(error("max_future_skew", "negative: must be at least 0s".to_owned()));
        }
        Ok(Self {
            rule: WatermarkRule { out_of_orderness: time.max_out_of_orderness, advance_on },
            partitioned: spec.source.partition.is_some(),
            max_partitions: spec.limits.max_partitions,
            max_key_bytes: spec.limits.max_key_bytes,
            idle_timeout_us: positive("idle_timeout", time.idle_timeout)?,
            close_after_idle_us: positive("close_after_idle", time.close_after_idle)?,
            max_future_skew_us: skew,
            keeps_future: time.future == Some(Future::Keep),
        })
    }
}

#[inline]
fn check_names(spec: &PipelineSpec) -> Result<(), SpecError> {
    const EMPTY: &str = "empty: name a field of the events";
    match (&spec.source.partition, &spec.time.watermark_field) {
        (Some(name), _) if name.is_empty() => Err(SpecError::new("source.partition", EMPTY)),
        (_, Some(name)) if name.is_empty() => Err(error("watermark_field", EMPTY.to_owned())),
        _ => Ok(()),
    }
}

/// Checks that no option is set that would have no effect.
#[inline]
fn check_together(time: &Time, partitioned: bool) -> Result<(), SpecError> {
    let kind = time.watermark;
    let only = |name: &str, wanted: &str, given: bool, of: Watermark| match (given, kind == of) {
        (true, false) => Err(error(
            name,
            format!("has an effect only with `time.watermark = \"{wanted}\"`: set that too"),
        )),
        (false, true) => Err(error(name, format!("missing: `watermark = \"{wanted}\"` needs it"))),
        _ => Ok(()),
    };
    let interval = time.watermark_interval.is_some();
    only("watermark_interval", "periodic", interval, Watermark::Periodic)?;
    let field = time.watermark_field.is_some();
    only("watermark_field", "punctuated", field, Watermark::Punctuated)?;
    let bound = time.max_out_of_orderness;
    let unbounded = bound == OutOfOrderness::Unbounded;
    let problem = match kind {
        Watermark::Ascending | Watermark::Manual if bound != OutOfOrderness::default() => Some((
            "max_out_of_orderness",
            "is not for an ascending or manual watermark: leave it out, or set `watermark = \"bounded\"`",
        )),
        Watermark::Periodic | Watermark::Punctuated if unbounded => Some((
            "max_out_of_orderness",
            "with `unbounded` the watermark never moves: set a duration",
        )),
        Watermark::Manual if partitioned => Some((
            "watermark",
            "a manual watermark is that of the whole stream: leave out `source.partition`",
        )),
        Watermark::Manual if time.idle_timeout.is_some() => Some((
            "idle_timeout",
            "has no effect where only the host moves the watermark: leave it out",
        )),
        _ if unbounded && time.idle_timeout.is_some() => Some((
            "idle_timeout",
            "has no effect with `max_out_of_orderness = \"unbounded\"`: leave it out, or set a duration there",
        )),
        _ if time.future.is_some() && time.max_future_skew.is_none() => {
            Some(("max_future_skew", "missing: `future` needs it"))
        }
        _ => None,
    };
    problem.map_or(Ok(()), |(name, message)| Err(error(name, message.to_owned())))
}

#[inline]
fn error(name: &str, message: String) -> SpecError {
    SpecError::new(format!("time.{name}"), message)
}

impl Plan {
    /// Returns the watermark at which no stage holds open state of events up to `time`.
    pub(crate) fn closed_at(&self, time: i64) -> i64 {
        let stages = || self.stages.iter().map(|plan| &plan.stage);
        let closed_at = stages().fold(time, |time, stage| stage.closed_at(time));
        stages().fold(closed_at, |time, stage| time.saturating_add(stage.delay_us()))
    }
}
