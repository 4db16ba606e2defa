//! Several aggregations of the same values.

use std::fmt;
use std::sync::Arc;

use super::Aggregator;
use crate::engine::SpecError;
use crate::engine::aggregation::Group;
use crate::engine::spec::{Aggregation, Operation};
use crate::result::AggregationResult;

/// Runs several aggregations of the same values, each under its own name.
///
/// Aggregations that need the same state share it: `p50`, `p95` and `p99` cost about as much as one
/// of them.
/// ```
/// use processor::aggregation::CompositeAggregator;
///
/// let mut aggregator = CompositeAggregator::new();
/// aggregator.add_count("requests").add_avg("mean").add_percentile("p99.9", 99.9);
/// for latency in [31.0, 45.0, 28.0, 16.0] {
///     aggregator.update(latency);
/// }
/// assert_eq!(aggregator.results().get("mean"), Some(30.0));
/// aggregator.reset();
/// assert_eq!(aggregator.results().get("requests"), Some(0.0));
/// assert_eq!(aggregator.results().get("mean"), None);
/// ```
///
/// An aggregation that is added later sees only the values after it.
///
/// A percentile outside 0 to 100 has no result. A processor reports it, and two equal names, as
/// `invalid_pipeline`.
#[derive(Clone, Default)]
pub struct CompositeAggregator {
    outputs: Vec<Output>,
    /// The accumulators: the first outputs share one group, those added after values another one.
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq)]
struct Output {
    name: String,
    /// `None` for a percentile that is out of range.
    op: Option<Operation>,
    /// The percent as given, for the error.
    percent: f64,
}

#[derive(Clone)]
struct Part {
    /// The number of outputs of this part and all earlier ones.
    end: usize,
    group: Group,
}

macro_rules! add {
    ($($add:ident: $op:ident, $text:literal;)*) => {$(
        #[doc = concat!("Adds ", $text, " as the output `name`.")]
        pub fn $add(&mut self, name: impl Into<String>) -> &mut Self {
            self.add(name.into(), Some(Operation::$op), 0.0)
        }
    )*};
}

macro_rules! add_percentile {
    ($($add:ident: $percent:literal;)*) => {$(
        #[doc = concat!("Adds the ", $percent, "th percentile as the output `name`.")]
        pub fn $add(&mut self, name: impl Into<String>) -> &mut Self {
            self.add_percentile(name, $percent)
        }
    )*};
}

impl CompositeAggregator {
    /// Creates an aggregator without aggregations.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    add! {
        add_count: Count, "the number of values";
        add_sum: Sum, "the sum, with compensation,";
        add_avg: Avg, "the mean";
        add_min: Min, "the minimum";
        add_max: Max, "the maximum";
        add_stddev: Stddev, "the standard deviation of a sample (n − 1)";
        add_variance: Variance, "the variance of a sample (n − 1)";
        add_first: First, "the value of the earliest event";
        add_last: Last, "the value of the latest event";
    }

    add_percentile! {
        add_p50: 50;
        add_p95: 95;
        add_p99: 99;
    }

    /// Adds a percentile from 0 to 100, with at most six decimals, as the output `name`.
    pub fn add_percentile(
        &mut self,
        name: impl Into<String>,
        percent: impl Into<f64>,
    ) -> &mut Self {
        let percent = percent.into();
        self.add(name.into(), percentile(percent), percent)
    }

    /// Adds a value to all aggregations. Skips NaN and the infinities.
    #[inline]
    pub fn update(&mut self, value: f64) {
        match self.parts.as_mut_slice() {
            // Nearly always: all outputs were added before the first value.
            [part] if part.end == self.outputs.len() => part.group.update(value),
            _ => self.update_parts(value),
        }
    }

    /// Adds a value to all parts, with a new part for outputs that have none.
    #[cold]
    fn update_parts(&mut self, value: f64) {
        if self.grouped() < self.outputs.len() {
            self.parts.push(self.new_part(self.grouped()));
        }
        for part in &mut self.parts {
            part.group.update(value);
        }
    }

    /// Returns the outputs, in the order in which they were added.
    #[must_use]
    pub fn results(&self) -> AggregationResult {
        let names: Arc<[String]> = self.outputs.iter().map(|output| output.name.clone()).collect();
        let mut values = Vec::with_capacity(self.outputs.len());
        let mut add = |part: &Part| values.extend(part.group.results());
        self.parts.iter().for_each(&mut add);
        if self.grouped() < self.outputs.len() {
            add(&self.new_part(self.grouped()));
        }
        for (value, output) in values.iter_mut().zip(&self.outputs) {
            *value = value.filter(|_| output.op.is_some());
        }
        AggregationResult { names, values }
    }

    /// Removes all values and keeps the aggregations.
    pub fn reset(&mut self) {
        self.parts.clear();
    }

    /// Returns the number of aggregations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// Returns true if there are no aggregations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    fn add(&mut self, name: String, op: Option<Operation>, percent: f64) -> &mut Self {
        self.outputs.push(Output { name, op, percent });
        self
    }

    /// Returns the number of outputs that have accumulators.
    fn grouped(&self) -> usize {
        self.parts.last().map_or(0, |part| part.end)
    }

    /// Returns empty accumulators of the outputs from `start` on.
    fn new_part(&self, start: usize) -> Part {
        let outputs = self.outputs.iter().enumerate().skip(start);
        let aggregations: Vec<Aggregation> = outputs
            .map(|(index, output)| {
                let mut aggregation = Aggregation::from(output.op.unwrap_or(Operation::Count));
                // Equal names are an error of the processor only.
                aggregation.name = Some(index.to_string());
                aggregation
            })
            .collect();
        let group = Group::new(&aggregations)
            .unwrap_or_else(|error| unreachable!("no options, and unique names: {error}"));
        Part { end: self.outputs.len(), group }
    }
}

impl Aggregator for CompositeAggregator {
    fn update(&mut self, value: f64) {
        self.update(value);
    }

    /// Merges `later`. Aggregators with other aggregations are not merged.
    fn merge(&mut self, later: &Self) {
        if self.outputs != later.outputs || later.parts.is_empty() {
            return;
        }
        if self.parts.is_empty() {
            self.parts.clone_from(&later.parts);
            return;
        }
        for (part, later) in self.parts.iter_mut().zip(&later.parts) {
            // Groups of different aggregations have nothing in common: they stay as they are.
            let _: Result<(), SpecError> = part.group.merge(&later.group);
        }
    }

    fn results(&self) -> AggregationResult {
        self.results()
    }

    fn operations(&self) -> Option<Result<Vec<Aggregation>, SpecError>> {
        let outputs = self.outputs.iter().enumerate();
        Some(outputs.map(|(index, output)| output.aggregation(index)).collect())
    }
}

impl Output {
    /// Returns the aggregation of the engine, number `index` of its window.
    fn aggregation(&self, index: usize) -> Result<Aggregation, SpecError> {
        let Some(op) = self.op else {
            let message = format!(
                "{} is no percentile: it must be from 0 to 100, with at most six decimals",
                self.percent
            );
            return Err(SpecError::new(format!("stages[0].aggregations[{index}]"), message));
        };
        let mut aggregation = Aggregation::from(op);
        aggregation.name = Some(self.name.clone()).filter(|name| *name != op.to_string());
        Ok(aggregation)
    }
}

impl fmt::Debug for CompositeAggregator {
    /// Writes the outputs, as [`AggregationResult`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CompositeAggregator").field(&self.results()).finish()
    }
}

/// Returns the operation of a percentile; `None` if it is out of range.
pub(super) fn percentile(percent: f64) -> Option<Operation> {
    // Adding 0 turns −0, which would be printed with its sign, into 0.
    format!("p{}", percent + 0.0).parse().ok()
}
