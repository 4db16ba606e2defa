//! The properties that must hold for every case.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;
use stream_processor_core::Plan;

use super::run::{Output, Row, Run, WHOLE, run};
use super::{Case, Opened, Random};

/// The result of a case that has no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The engine refuses the pipeline.
    Refused,
    /// All runs agree. `sharded` of them had more than one shard, and each gave `rows` rows.
    Agrees { sharded: usize, rows: usize },
}

/// A property that does not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The part that differs: rows, their order, their merge keys, counters, dropped events, or an
    /// error.
    pub what: &'static str,
    pub detail: String,
}

/// Checks that the output is the same for all batch sizes, small buffers, snapshots and shards.
///
/// # Errors
/// The first run that differs.
pub fn check(case: &Case, seed: u64) -> Result<Outcome, Failure> {
    let Some(opened) = case.open() else { return Ok(Outcome::Refused) };
    let random = &mut Random::new(seed ^ 0x5eed);
    let cut = 1 + random.below(case.events.len().max(1));
    let mut runs = runs(&opened.plan, cut);
    if case.events.len() <= 15 {
        runs.push(Run { batch: 1, restores: true, ..WHOLE });
    }
    let whole = same_rows(&opened, &runs)?;
    let sharded = runs.iter().filter(|run| run.shards > 1).count();
    Ok(Outcome::Agrees { sharded, rows: whole.rows.len() })
}

/// Returns all runs of a case other than the whole stream in one batch. Some use batches of `cut`
/// events.
pub fn runs(plan: &Plan, cut: usize) -> Vec<Run> {
    let mut runs = vec![
        Run { batch: 1, ..WHOLE },
        Run { batch: 2, ..WHOLE },
        Run { batch: 7, ..WHOLE },
        Run { max_waiting: Some(2), ..WHOLE },
        Run { max_work: Some(1), ..WHOLE },
        Run { batch: 5, max_work: Some(7), restores: true, ..WHOLE },
        Run { batch: 2, max_waiting: Some(1), ..WHOLE },
        Run { batch: cut, restores: true, ..WHOLE },
        Run { batch: 3, max_waiting: Some(3), restores: true, ..WHOLE },
    ];
    if plan.partitioned_by_key {
        let sharded = |shards: usize| Run { shards, ..WHOLE };
        runs.extend([
            sharded(2),
            sharded(3),
            sharded(4),
            Run { batch: 1, ..sharded(4) },
            Run { batch: cut, max_waiting: Some(2), restores: true, ..sharded(2) },
        ]);
    }
    runs
}

/// Runs `case` in one batch and in all of `runs`, and returns the output that all of them give.
///
/// # Errors
/// The first run that differs.
pub fn same_rows(case: &Opened, runs: &[Run]) -> Result<Output, Failure> {
    let try_run = |one: Run| {
        let ran = catch_unwind(AssertUnwindSafe(|| run(case, one)));
        let error = |what, detail: String| Failure { what, detail: format!("{one}: {detail}") };
        match ran {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(message)) => Err(error("an error", message)),
            Err(_) => Err(error("a panic", "see above".to_owned())),
        }
    };
    let whole = try_run(WHOLE)?;
    for one in runs {
        if one.shards > 1 && whole.depends_on_shards() {
            continue;
        }
        let mut output = try_run(*one)?;
        if one.shards > 1 {
            output.copy_silence_counts_from(&whole);
        }
        if let Some((what, detail)) = difference(&whole, &output) {
            let detail = format!("{one}, compared with the whole stream as one batch\n{detail}");
            return Err(Failure { what, detail });
        }
    }
    Ok(whole)
}

/// Checks that a stream without late events gives the same rows as one that fires only at its end.
///
/// # Errors
/// Rows that differ, or late events.
///
/// # Errors
/// Rows that differ, and late events.
pub fn agrees_with_unbounded(case: &Case) -> Result<Outcome, Failure> {
    let Some(opened) = case.open() else { return Ok(Outcome::Refused) };
    let mut unbounded = case.clone();
    unbounded.pipeline["time"] = json!({ "max_out_of_orderness": "unbounded" });
    let Some(unbounded) = unbounded.open() else { return Ok(Outcome::Refused) };
    let found = same_rows(&opened, &[])?;
    let expected = same_rows(&unbounded, &[])?;
    let late =
        found.counters.iter().find(|((_, name), count)| *name == "late_dropped" && **count > 0);
    if let Some(((stage, _), count)) = late {
        let detail = format!("stage {stage}: {count} late");
        return Err(Failure { what: "late events", detail });
    }
    let sorted = |output: &Output| {
        let mut rows: Vec<Row> = output.rows.clone();
        rows.iter_mut().for_each(|row| (row.firing, row.rank) = (0, 0));
        rows.sort_by(|a, b| (&a.order, &a.key, &a.cells).cmp(&(&b.order, &b.key, &b.cells)));
        Output { rows, ..Output::default() }
    };
    match difference(&sorted(&expected), &sorted(&found)) {
        Some((what, detail)) => {
            Err(Failure { what, detail: format!("unbounded, and as the pipeline says\n{detail}") })
        }
        None => Ok(Outcome::Agrees { sharded: 0, rows: found.rows.len() }),
    }
}

/// Number of rows of each side that a failure shows.
const ROWS_SHOWN: usize = 12;

/// Returns the name of the first part that differs, and both sides of it.
fn difference(expected: &Output, found: &Output) -> Option<(&'static str, String)> {
    let (a, b) = (&expected.rows, &found.rows);
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let shown = |rows: &[Row]| {
        let line =
            |row: &Row| format!("  {} (firing {}, rank {})\n", row.text, row.firing, row.rank);
        let lines: String = rows.iter().skip(same).take(ROWS_SHOWN).map(line).collect();
        format!("{} rows, the first {same} as in the other; then\n{lines}", rows.len())
    };
    let values = |rows: &[Row], is_sorted: bool| {
        let mut values: Vec<_> = rows
            .iter()
            .map(|row| {
                // Rows of events that pass unchanged have no columns: only their rank tells them
                // apart.
                let rank = if row.cells.is_empty() { row.rank } else { 0 };
                (row.key.clone(), rank, row.cells.clone())
            })
            .collect();
        if is_sorted {
            values.sort();
        }
        values
    };
    let what = if values(a, true) != values(b, true) {
        "rows"
    } else if values(a, false) != values(b, false) {
        "the order of rows"
    } else if a != b {
        "what rows are merged by"
    } else if expected.dropped != found.dropped {
        let detail = format!("{:?}\n{:?}", expected.dropped, found.dropped);
        return Some(("dropped events", detail));
    } else if expected.counters != found.counters {
        let pairs = expected.counters.iter().zip(&found.counters).filter(|(a, b)| a != b);
        return Some(("counters", format!("{:?}", pairs.collect::<Vec<_>>())));
    } else {
        return None;
    };
    Some((what, format!("first: {}second: {}", shown(a), shown(b))))
}
