//! Decides whether a stream may be split by key, and says why not.

use core::fmt;

use super::{StagePlan, TimePlan};
use crate::spec::PipelineSpec;

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
            Self::Time => {
                f.write_str("the watermark depends on partitions, marked events or host time")
            }
            Self::Dedup { stage } => write!(
                f,
                "stage {} compares events of different keys to find duplicates",
                stage + 1
            ),
            Self::KeyBy { stage } => write!(f, "stage {} gives events another key", stage + 1),
            Self::Hold { stage, seen_by } => write!(
                f,
                "stage {} holds the watermark back by the state of all keys, and stage {} uses that watermark",
                stage + 1,
                seen_by + 1
            ),
            Self::Order { stage } => write!(
                f,
                "stage {} orders its rows by the order of its input, in which rows of different keys alternate",
                stage + 1
            ),
        }
    }
}

impl OneShard {
    /// Returns the reason why `spec`, whose stages are planned as `stages`, must run in one engine.
    /// Returns `None` if any number of engines, each with some of the keys, gives the same rows.
    #[inline]
    pub(super) fn of(spec: &PipelineSpec, time: &TimePlan, stages: &[StagePlan]) -> Option<Self> {
        if spec.source.key.0.is_empty() {
            return Some(Self::NoKey);
        }
        if !time.is_simple() {
            return Some(Self::Time);
        }
        let mut numbered = stages.iter().enumerate();
        let across_keys = numbered.find_map(|(index, plan)| plan.stage.across_keys(index));
        across_keys.or_else(|| through_watermark_or_order(stages))
    }
}

/// Returns the first stage that depends on events of other keys, through the watermark or the order
/// of rows.
#[inline]
fn through_watermark_or_order(stages: &[StagePlan]) -> Option<OneShard> {
    let mut holder = None;
    let mut has_rows = false;
    for (stage, plan) in stages.iter().map(|plan| &plan.stage).enumerate() {
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
        has_rows |= plan.emits_rows();
    }
    None
}

/// The way in which a stage holds back the watermark of the next stage, in addition to a fixed lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    None,
    /// Until every key has advanced far enough.
    UntilEveryKey,
    /// Until the end of input.
    UntilEndOfInput,
}
