//! The properties of an aggregation: its [`Definition`], declared once, next to its state.
//!
//! The plan checks pipelines by it. Windows and `rolling` choose their state by it. Messages, the
//! JSON Schema and the help of the command line list its names. The list of all definitions is in
//! `mod.rs`.

use super::column::State;
use crate::statistics::TrackedStatistics;

/// The properties of an aggregation.
#[derive(Debug)]
pub(crate) struct Definition {
    /// The name in pipelines, and the default name of the column.
    pub(crate) name: &'static str,
    /// The state of a window that the result is computed from.
    pub(crate) state: State,
    pub(crate) input: Input,
    pub(crate) option: OwnOption,
    pub(crate) unit: Unit,
    pub(crate) rolling: RollingSupport,
}

impl Definition {
    /// Creates an aggregation of a numeric field, for windows only and without options.
    pub(super) const fn new(name: &'static str, state: State) -> Self {
        Self {
            name,
            state,
            input: Input::Numbers,
            option: OwnOption::None,
            unit: Unit::Value,
            rolling: RollingSupport::WindowsOnly,
        }
    }
}

/// The input of an aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The numbers of a field.
    Numbers,
    /// The values of a field, which may be texts and are only compared for equality.
    Values,
    /// The values of a field of any type or, without a field, the events.
    ValuesOrEvents,
}

/// The option that an aggregation has in addition to its field and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnOption {
    None,
    /// `population`.
    Population,
    /// `engine`.
    Engine,
}

/// The unit of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Independent of the length of the window.
    Value,
    /// Per second of the window: the result of the state is divided by the length of the window.
    PerSecond,
}

/// The way in which the stage `rolling` computes an aggregation, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RollingSupport {
    /// From these statistics, over the last n values or all values so far.
    Tracks(TrackedStatistics),
    /// From these statistics, over the last n values only: all values would have to be kept.
    TracksLast(TrackedStatistics),
    /// Not at all: it depends on event time, and `rolling` on the order of arrival.
    ByEventTime,
    /// Not at all.
    WindowsOnly,
}

impl RollingSupport {
    /// Returns the statistics that the result is computed from.
    pub(crate) fn tracked(self) -> TrackedStatistics {
        match self {
            Self::Tracks(tracked) | Self::TracksLast(tracked) => tracked,
            Self::ByEventTime | Self::WindowsOnly => TrackedStatistics::NONE,
        }
    }
}

/// Declares the aggregations that have a fixed name: the operation and its definition.
macro_rules! aggregations {
    ($($operation:ident => $definition:expr),* $(,)?) => {
        /// All aggregations with a fixed name, in the order of documentation and messages.
        pub(crate) const NAMED: &[(Operation, &Definition)] =
            &[$((Operation::$operation, &$definition)),*];

        /// The names of all aggregations; `p<any>` stands for all other percentiles.
        pub(crate) const NAMES: &[&str] =
            &[$($definition.name,)* "p50", "p95", "p99", percentile::DEFINITION.name];

        /// Returns the definition of `operation`.
        pub(crate) const fn definition(operation: Operation) -> &'static Definition {
            match operation {
                $(Operation::$operation => &$definition,)*
                Operation::Percentile(_) => &percentile::DEFINITION,
            }
        }
    };
}
pub(super) use aggregations;
