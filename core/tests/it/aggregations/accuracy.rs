//! The figures of docs/accuracy.md equal those of this build, and stay within the promised bounds.

use std::fmt::Write;

use crate::common::distributions::{DISTRIBUTIONS, values_of};
use crate::common::pipeline::list;
use crate::common::{Event, KeysAs, Pipeline, Run, linear};

const DOCUMENT: &str = include_str!("../../../../docs/accuracy.md");
const PERCENTS: [&str; 6] = ["1", "25", "50", "95", "99", "99.9"];
const COUNTS: [usize; 3] = [512, 10_000, 200_000];

/// Returns the aggregations of one window with `values`.
fn results(values: &[f64], aggregations: &str) -> Vec<f64> {
    let window = r#""window": "tumbling", "size": "1s""#;
    let mut run = Run::new(Pipeline::keyed().window(window, list(aggregations)).spec());
    let events: Vec<Event> =
        values.iter().map(|value| Event { ts: 0, key: 1, value: *value }).collect();
    events.chunks(10_000).for_each(|events| run.push(events, KeysAs::Ids));
    run.finish().0.remove(0).numbers()
}

fn percentiles(values: &[f64], engine: &str) -> Vec<f64> {
    let each = PERCENTS.map(|p| format!(r#"{{"op": "p{p}", "engine": "{engine}"}}"#)).join(", ");
    results(values, &each)
}

/// Returns one line for each distribution and number of values: the relative error of each
/// percentile.
fn table(engine: &str, check: impl Fn(&[f64], &str, f64, f64)) -> String {
    let mut table = String::from("| data | values |");
    PERCENTS.iter().for_each(|p| write!(table, " p{p} |").unwrap());
    table += "\n|---|--:|--:|--:|--:|--:|--:|--:|\n";
    for name in DISTRIBUTIONS {
        for count in COUNTS {
            write!(table, "| {name} | {count} |").unwrap();
            let mut values = values_of(name, count, 42);
            let found = percentiles(&values, engine);
            values.sort_by(f64::total_cmp);
            for (p, found) in PERCENTS.into_iter().zip(found) {
                let expected = linear(&values, p);
                let error =
                    if found == expected { 0.0 } else { (found - expected).abs() / expected.abs() };
                check(&values, p, found, error);
                write!(table, " {:.3} % |", error * 100.0).unwrap();
            }
            table.push('\n');
        }
    }
    table
}

fn assert_documented(table: &str) {
    assert!(DOCUMENT.contains(table), "docs/accuracy.md should have this table:\n{table}");
}

#[test]
fn documented_errors_of_the_sketch_are_measured_ones() {
    assert_documented(&table("sketch", |_, p, found, error| {
        assert!(error <= 0.01, "p{p}: {found} is {error} off");
    }));
}

#[test]
fn documented_errors_of_the_tdigest_are_measured_ones() {
    assert_documented(&table("tdigest", |values, p, found, _| {
        let share = p.parse::<f64>().unwrap() / 100.0;
        let rank = |place: usize| place as f64 / values.len() as f64;
        let below = rank(values.partition_point(|value| *value < found));
        let not_above = rank(values.partition_point(|value| *value <= found));
        let off = (below - share).max(share - not_above).max(0.0);
        assert!(off <= 0.01, "p{p}: {found} stands at {below} to {not_above}");
        let ends = share.min(1.0 - share);
        assert!(
            ends > 0.01 + 1e-9 || off <= 0.002,
            "p{p}: {found} stands at {below} to {not_above}"
        );
    }));
}

#[test]
fn exact_engine_has_no_error() {
    table("exact", |_, p, found, error| assert_eq!(error, 0.0, "p{p}: {found}"));
}

#[test]
fn documented_errors_of_distinct_are_measured_ones() {
    let mut table = String::from("| different values | found | off |\n|--:|--:|--:|\n");
    for count in [100_u32, 512, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000] {
        let values: Vec<f64> = (0..count).map(|at| f64::from(at) / 100.0).collect();
        let found = results(&values, r#""distinct""#)[0];
        let error = found / f64::from(count) - 1.0;
        assert!(error.abs() <= 3.0 * 1.04 / 64.0, "{count}: {found}");
        writeln!(table, "| {count} | {found} | {:.2} % |", error.abs() * 100.0).unwrap();
    }
    assert_documented(&table);
}
