//! `cargo xtask demo`: runs real data through the program and through the npm package, and compares
//! the rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{read, root, run_quietly, sha256, target, write_if_changed};
use crate::table::{Painter, Series};
use crate::{build, module, npm};

/// The monitored series, and their names in the tables.
const MONITORED: [(&str, &str); 7] = [
    ("ec2_cpu_utilization_5f5533", "server 5f5533: CPU %"),
    ("ec2_network_in_257a54", "server 257a54: bytes in"),
    ("elb_request_count_8c0756", "balancer 8c0756: requests"),
    ("occupancy_6005", "road 6005: occupancy %"),
    ("speed_7578", "road 7578: mph"),
    ("rogue_agent_key_hold", "keyboard: hold, s"),
    ("ambient_temperature_system_failure", "office: °F"),
];

/// A demonstration: a pipeline and its input.
struct Demo {
    title: &'static str,
    pipeline: PathBuf,
    input: PathBuf,
    /// The field of the key.
    key: &'static str,
    /// Maximum number of keys to show, those with most events first.
    max_keys: usize,
}

/// Builds everything, then runs the demonstrations.
pub(crate) fn demo() -> Result<()> {
    eprintln!("building (a fresh machine takes some minutes) …");
    build::build()?;
    let painter = Painter::of_stdout();
    let monitored = write_monitored()?;
    let demos = [
        Demo {
            title: "Seven monitored series, hourly",
            pipeline: root().join("docs/demo/monitoring.json"),
            input: monitored.clone(),
            key: "series",
            max_keys: 7,
        },
        Demo {
            title: "The same, each event once, on a grid of half hours, daily: which days are unusual?",
            pipeline: root().join("docs/demo/unusual.json"),
            input: monitored.clone(),
            key: "series",
            max_keys: 7,
        },
        Demo {
            title: "A week of earthquakes by seismic network, newest first, every 6 hours",
            pipeline: root().join("docs/demo/earthquakes.json"),
            input: root().join("tests/data/usgs/earthquakes_week.ndjson"),
            key: "key",
            max_keys: 6,
        },
    ];
    let package = npm::install(&target().join("demo/node"), &[root().join("docs/demo/again.mjs")])?;
    for demo in &demos {
        present(demo, &package, painter)?;
    }
    println!("{}", check_same_module(painter)?);
    println!(
        "\nTry next: target/release/stream-processor window --tumbling 1d --timestamp at --key series --value value \
         --agg count,avg,max --input {}",
        relative(&monitored)
    );
    Ok(())
}

/// Runs the pipeline in the program and in Node.js, compares the rows, and prints them.
fn present(demo: &Demo, package: &Path, painter: Painter) -> Result<()> {
    let start = Instant::now();
    let printed = run_quietly(
        Command::new(target().join("release/stream-processor"))
            .args(["run", "--quiet"])
            .arg(&demo.pipeline)
            .arg("--input")
            .arg(&demo.input),
    )?;
    let took = start.elapsed();
    let again = run_quietly(
        Command::new("node").arg(package.join("again.mjs")).arg(&demo.pipeline).arg(&demo.input),
    )?;
    if printed != again {
        bail!("Node.js gives other rows than the program for {}", relative(&demo.pipeline));
    }
    let mut series = series_by_key(&printed, demo.key)?;
    let rows: usize = series.iter().map(Series::windows).sum();
    let events = read(&demo.input)?.split(|byte| *byte == b'\n').count() as u64 - 1;
    println!("{}", painter.bold(demo.title));
    println!("{}", painter.dim(&summary(events, rows, took)));
    series.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    let hidden = series.len().saturating_sub(demo.max_keys);
    series.truncate(demo.max_keys);
    println!("{}", painter.table(&series));
    if hidden > 0 {
        println!("{}", painter.dim(&format!("and {hidden} more")));
    }
    for line in printed.lines().filter(|line| line.contains(r#""anomaly":true"#)) {
        println!("{}", unusual(line, demo.key)?);
    }
    let same =
        format!("Node.js, the npm package: the same {} bytes", thousands(again.len() as u64));
    println!("{} {same}\n", painter.good("✓"));
    Ok(())
}

/// Returns the line of a row that a z-score marks as an anomaly.
fn unusual(row: &str, key: &str) -> Result<String> {
    let row: Value = serde_json::from_str(row)?;
    let text = |name: &str| row[name].as_str().with_context(|| format!("no {name}: {row}"));
    let day = text("window_start")?.get(..10).unwrap_or_default().to_owned();
    let score =
        row["zscore"].as_f64().map_or("beyond any".to_owned(), |score| format!("{score:+.1}"));
    Ok(format!("  unusual: {:<26} {day}  z {score}", text(key)?))
}

/// Returns a line with the numbers of events and rows and the time.
fn summary(events: u64, rows: usize, took: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let millions = events as f64 / took.as_secs_f64() / 1e6;
    let [events, rows] = [events, rows as u64].map(thousands);
    let took = took.as_millis();
    format!("{events} events -> {rows} rows in {took} ms, start included: {millions:.1} M events/s")
}

/// Collects the rows of each key.
fn series_by_key(rows: &str, key: &str) -> Result<Vec<Series>> {
    let mut all: Vec<Series> = Vec::new();
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line)?;
        let number = |name: &str| row[name].as_f64().with_context(|| format!("no {name}: {line}"));
        let name = row[key].as_str().with_context(|| format!("no {key}: {line}"))?;
        let count = row["count"].as_u64().context("a row without a count")?;
        let index = all.iter().position(|series| series.name == name).unwrap_or_else(|| {
            all.push(Series::new(name));
            all.len() - 1
        });
        all[index].add(count, number("min")?, number("avg")?, number("max")?);
    }
    Ok(all)
}

/// Writes all monitored series to one NDJSON file in the order of time. Returns its path.
fn write_monitored() -> Result<PathBuf> {
    let mut lines: Vec<String> = Vec::new();
    for (file, name) in MONITORED {
        let path = root().join("tests/data/nab").join(file).with_extension("csv");
        let text = String::from_utf8(read(&path)?)?;
        for line in text.lines().skip(1) {
            let (at, value) = line.split_once(',').context("a line without a comma")?;
            lines.push(format!(r#"{{"at":"{at}","series":"{name}","value":{value}}}"#));
        }
    }
    // Each line begins with its time, whose text sorts like the time.
    lines.sort();
    let path = target().join("demo/monitoring.ndjson");
    write_if_changed(&path, (lines.join("\n") + "\n").as_bytes())?;
    Ok(path)
}

/// Checks that the program embeds the module of the npm package. Returns a line about it.
fn check_same_module(painter: Painter) -> Result<String> {
    let bytes = fs::read(module::wasm())?;
    let hash = sha256(&bytes);
    let mut program = Command::new(target().join("release/stream-processor"));
    if !run_quietly(program.arg("--version"))?.contains(&hash) {
        bail!("the program carries another module than the npm package");
    }
    let size = thousands(bytes.len() as u64);
    Ok(format!("{} one module, {size} bytes, in both: sha256 {hash}", painter.good("✓")))
}

/// Returns a path relative to the workspace.
fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Formats `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
