//! The figures of docs/accuracy.md are what the sketch does here, and not more than it promises.

mod common;
mod distributions;

use std::fmt::Write;

use common::{Event, KeysAs, Run, spec};
use distributions::{DISTRIBUTIONS, values_of};

const DOCUMENT: &str = include_str!("../../docs/accuracy.md");
const PERCENTS: [&str; 6] = ["p1", "p25", "p50", "p95", "p99", "p99.9"];
const COUNTS: [usize; 3] = [512, 10_000, 200_000];

/// What the sketch and the exact engine give for the same values.
fn both(values: &[f64]) -> Vec<(f64, f64)> {
    let of = |engine: &str| {
        let each =
            PERCENTS.map(|op| format!(r#"{{"op": "{op}", "engine": "{engine}"}}"#)).join(", ");
        let mut run = Run::new(spec(&format!(
            r#"{{"source": {{"key": "k", "value": "v"}}, "stages":
                [{{"type": "window", "window": "tumbling", "size": "1s", "aggregations": [{each}]}}]}}"#
        )));
        let events: Vec<Event> =
            values.iter().map(|value| Event { ts: 0, key: 1, value: *value }).collect();
        events.chunks(10_000).for_each(|events| run.push(events, KeysAs::Ids));
        let row = run.finish().0.remove(0);
        row.values.into_iter().map(f64::from_bits).collect::<Vec<_>>()
    };
    of("sketch").into_iter().zip(of("exact")).collect()
}

#[test]
fn the_document_shows_what_is_measured() {
    let mut table = String::from("| data | values |");
    PERCENTS.iter().for_each(|op| write!(table, " {op} |").unwrap());
    table += "\n|---|--:|--:|--:|--:|--:|--:|--:|\n";
    for name in DISTRIBUTIONS {
        for count in COUNTS {
            write!(table, "| {name} | {count} |").unwrap();
            for (found, due) in both(&values_of(name, count, 42)) {
                let error = if found == due { 0.0 } else { (found - due).abs() / due.abs() };
                assert!(error <= 0.01, "{name} {count}: {found} for {due}");
                write!(table, " {:.3} % |", error * 100.0).unwrap();
            }
            table.push('\n');
        }
    }
    assert!(DOCUMENT.contains(&table), "docs/accuracy.md should have this table:\n{table}");
}
