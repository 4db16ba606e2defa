//! Rows of the engine as results, and their order.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::engine::spec::{Aggregation, Operation};
use crate::engine::{OutputSchema, Rows};
use crate::result::{AggregationResult, Window, WindowResult};

/// A result that waits for the reader, with its place in the order of rows.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) result: WindowResult,
    /// The watermark that the row waited for.
    pub(super) firing: i64,
    /// 0 for a row on time, greater for a revision.
    pub(super) rank: u64,
}

impl Row {
    /// Returns true if the row is the one at the end of its window, on time.
    pub(super) fn is_on_time(&self) -> bool {
        self.rank == 0 && !self.result.early
    }

    /// Compares by the order of rows of one stream, whichever engine they come from.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let place = |row: &Self| {
            let Window { start_us, end_us } = row.result.window;
            (row.firing, row.rank, end_us, start_us)
        };
        place(self).cmp(&place(other)).then_with(|| self.result.key.cmp(&other.result.key))
    }
}

/// The columns of an engine's rows that results are made of.
#[derive(Debug, Clone)]
pub(super) struct ResultColumns {
    pub(super) names: Arc<[String]>,
    values: Vec<usize>,
    /// The column with the number of events.
    count: usize,
    start: usize,
    end: usize,
    revision: Option<usize>,
    early: Option<usize>,
    retracted: Option<usize>,
}

impl ResultColumns {
    /// Finds the columns of the outputs `names`, and that of the count `count_name`.
    pub(super) fn new(schema: &OutputSchema, names: Vec<String>, count_name: &str) -> Self {
        let find = |name: &str| schema.columns.iter().position(|column| column.name == name);
        let known = |name: &str| find(name).unwrap_or(usize::MAX);
        Self {
            values: names.iter().map(|name| known(name)).collect(),
            count: known(count_name),
            start: known("window_start"),
            end: known("window_end"),
            revision: find("revision"),
            early: find("early"),
            retracted: find("retracted"),
            names: names.into(),
        }
    }

    /// Returns row `index` of `rows`.
    pub(super) fn read(&self, rows: &Rows<'_>, index: usize) -> Row {
        let get = |column: usize| rows.columns.get(column)?.get(index);
        let number = |column: usize| get(column)?.as_f64();
        let time = |column: usize| get(column)?.as_time();
        let flag = |column: Option<usize>| {
            matches!(column.and_then(get), Some(crate::engine::Value::Bool(true)))
        };
        let key = rows.key_fields(index).next();
        let result = WindowResult {
            window: Window { start_us: time(self.start), end_us: time(self.end) },
            key: key.as_ref().and_then(|key| key.as_str()).unwrap_or_default().to_owned(),
            results: AggregationResult {
                names: Arc::clone(&self.names),
                values: self.values.iter().map(|column| number(*column)).collect(),
            },
            event_count: number(self.count).map_or(0, whole),
            revision: self
                .revision
                .and_then(number)
                .map_or(0, |number| u32::try_from(whole(number)).unwrap_or(u32::MAX)),
            early: flag(self.early),
            retracted: flag(self.retracted),
        };
        let at = |list: &[i64]| list.get(index).copied().unwrap_or_default();
        let rank = rows.ranks.get(index).copied().unwrap_or_default();
        Row { result, firing: at(rows.firing), rank }
    }
}

/// Returns the aggregations that the engine runs for `shape`, and the name of their count of
/// events: one of the shape, or one that is added.
pub(super) fn with_count(shape: &[Aggregation], taken: &[String]) -> (Vec<Aggregation>, String) {
    let mut aggregations = shape.to_vec();
    let count = shape.iter().find(|aggregation| aggregation.op == Operation::Count);
    if let Some(count) = count {
        return (aggregations, output_name(count));
    }
    let mut name = "event_count".to_owned();
    while taken.contains(&name) {
        name.push('_');
    }
    let mut count = Aggregation::from(Operation::Count);
    count.name = Some(name.clone());
    aggregations.push(count);
    (aggregations, name)
}

/// Returns the name of the output of `aggregation`.
pub(super) fn output_name(aggregation: &Aggregation) -> String {
    aggregation.name.clone().unwrap_or_else(|| aggregation.op.to_string())
}

/// Converts a count that the engine gives as a double.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole")]
fn whole(number: f64) -> u64 {
    number as u64
}
