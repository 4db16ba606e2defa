//! Decides whether a stream may be split by key, and says why not.

use core::fmt;

use super::dedup::identities_include_key;
use super::{StagePlan, TimePlan};
use crate::spec::{PipelineSpec, Stage};

/// The reason why all events of a pipeline go through one engine.
///
/// Stages are counted from 0, as in [`PipelineSpec::stages`].
/// ```
/// use stream_processor_core::{OneShard, PipelineSpec, Plan};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "host", "value": "cpu"}, "stages": [
///     {"type": "normalize", "interval": "1s"},
///     {"type": "window", "window": "tumbling", "size": "1m", "aggregations": ["avg"]}]}"#)?;
/// let reason = Plan::new(&spec)?.one_shard;
/// assert_eq!(reason, Some(OneShard::Hold { stage: 0, seen_by: 1 }));
/// # Ok::<(), stream_processor_core::spec::SpecError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OneShard {
    /// The events have no key.
    NoKey,
    /// The watermark depends on more than the greatest event time: on partitions, marked events or
    /// the host's time.
    Time,
    /// A stage looks for duplicates among the events of several keys.
    Dedup {
        /// The stage.
        stage: usize,
    },
    /// A stage gives events another key.
    KeyBy {
        /// The stage.
        stage: usize,
    },
    /// A stage holds the watermark back until every key has advanced far enough, and a later stage
    /// sees that watermark.
    Hold {
        /// The stage that holds the watermark back.
        stage: usize,
        /// The first later stage that sees it.
        seen_by: usize,
    },
    /// A stage orders its rows by the position of its input among the rows of all keys.
    Order {
        /// The stage.
        stage: usize,
    },
}

impl fmt::Display for OneShard {
    /// Writes the reason for users, who count stages from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("the events have no key"),
            Self::Time => f.write_str(
                "partitions, marked events or the time of day move the watermark, which no part of the stream can follow alone",
            ),
            Self::Dedup { stage } => write!(
                f,
                "stage {} looks for duplicates among the events of all keys",
                stage + 1
            ),
            Self::KeyBy { stage } => write!(f, "stage {} gives events another key", stage + 1),
            Self::Hold { stage, seen_by } => write!(
                f,
                "stage {} holds the watermark back until every key has come far enough, and stage {} sees that watermark",
                stage + 1,
                seen_by + 1
            ),
            Self::Order { stage } => write!(
                f,
                "stage {} orders its rows by the order of its input, in which the rows of all keys alternate",
                stage + 1
            ),
        }
    }
}

impl OneShard {
    /// Returns the reason why `spec`, whose stages are planned as `stages`, must run in one engine.
    /// Returns `None` if any number of engines, each with some of the keys, gives the same rows.
    pub(super) fn of(spec: &PipelineSpec, time: &TimePlan, stages: &[StagePlan]) -> Option<Self> {
        let key = &spec.source.key.0;
        if key.is_empty() {
            return Some(Self::NoKey);
        }
        if !time.is_simple() {
            return Some(Self::Time);
        }
        let of_keys = spec.stages.iter().enumerate().find_map(|(stage, spec)| match spec {
            Stage::KeyBy(_) => Some(Self::KeyBy { stage }),
            Stage::Dedup(dedup) if !identities_include_key(&dedup.strategies, key) => {
                Some(Self::Dedup { stage })
            }
            _ => None,
        });
        of_keys.or_else(|| across_keys(stages))
    }
}

/// Returns the first stage that depends on events of other keys, through the watermark or the order
/// of rows.
fn across_keys(stages: &[StagePlan]) -> Option<OneShard> {
    let mut holder = None;
    let mut has_rows = false;
    for (stage, plan) in stages.iter().enumerate() {
        if let (Some(holder), true) = (holder, plan.sees_watermark()) {
            return Some(OneShard::Hold { stage: holder, seen_by: stage });
        }
        if has_rows && plan.orders_by_input_position() {
            return Some(OneShard::Order { stage });
        }
        match plan.hold() {
            Hold::UntilEveryKey => holder = holder.or(Some(stage)),
            Hold::UntilEndOfInput => holder = None,
            Hold::None => {}
        }
        has_rows |= plan.has_windows() || matches!(plan, StagePlan::Normalize(_));
    }
    None
}

/// The way in which a stage holds back the watermark of the next stage, in addition to a fixed lag.
enum Hold {
    None,
    /// Until every key has advanced far enough.
    UntilEveryKey,
    /// Until the end of input.
    UntilEndOfInput,
}

impl StagePlan {
    fn hold(&self) -> Hold {
        match self {
            Self::Normalize(_) => Hold::UntilEveryKey,
            Self::Count(plan) if plan.count.is_some() => Hold::UntilEveryKey,
            Self::Count(_) => Hold::UntilEndOfInput,
            _ => Hold::None,
        }
    }

    /// Returns whether rows, or their order, depend on the watermark that the stage sees.
    fn sees_watermark(&self) -> bool {
        match self {
            Self::Window(_) | Self::Session(_) | Self::Calendar(_) | Self::Normalize(_) => true,
            Self::Count(plan) => plan.count.is_some(),
            Self::Dedup(plan) => plan.ttl_us.is_some(),
            Self::Analytics(plan) => plan.state_ttl.is_some(),
            Self::Filter(_) | Self::Map(_) | Self::KeyBy(_) => false,
        }
    }

    /// Returns whether some rows of the stage are ordered by the position of the event that
    /// triggered them.
    fn orders_by_input_position(&self) -> bool {
        match self {
            Self::Count(plan) => plan.count.is_some(),
            Self::Normalize(plan) => plan.interval_us.is_none(),
            _ => false,
        }
    }
}
