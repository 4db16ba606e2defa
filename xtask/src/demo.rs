//! `cargo xtask demo`: real data through the program and, again, through the npm package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{read, root, run_quietly, sha256, target, write_if_changed};
use crate::table::{Painter, Series};
use crate::{build, module, npm};

/// Series that were monitored, and the names to show them by.
const MONITORED: [(&str, &str); 7] = [
    ("ec2_cpu_utilization_5f5533", "server 5f5533: CPU %"),
    ("ec2_network_in_257a54", "server 257a54: bytes in"),
    ("elb_request_count_8c0756", "balancer 8c0756: requests"),
    ("occupancy_6005", "road 6005: occupancy %"),
    ("speed_7578", "road 7578: mph"),
    ("rogue_agent_key_hold", "keyboard: hold, s"),
    ("ambient_temperature_system_failure", "office: °F"),
];

/// Something to show: a pipeline, and what goes into it.
struct Show {
    title: &'static str,
    pipeline: PathBuf,
    input: PathBuf,
    /// The field that is the key.
    key: &'static str,
    /// Keys shown, those with most events first.
    keys: usize,
}

/// Builds everything, then shows it at work.
pub(crate) fn demo() -> Result<()> {
    eprintln!("building (a fresh machine takes some minutes) …");
    build::build()?;
    let painter = Painter::of_stdout();
    let monitored = monitored()?;
    let shows = [
        Show {
            title: "Seven monitored series, hourly",
            pipeline: root().join("docs/demo/monitoring.json"),
            input: monitored.clone(),
            key: "series",
            keys: 7,
        },
        Show {
            title: "The same, each event once, on a grid of half hours, daily: which days are unusual?",
            pipeline: root().join("docs/demo/unusual.json"),
            input: monitored.clone(),
            key: "series",
            keys: 7,
        },
        Show {
            title: "A week of earthquakes by seismic network, newest first, every 6 hours",
            pipeline: root().join("docs/demo/earthquakes.json"),
            input: root().join("tests/data/usgs/earthquakes_week.ndjson"),
            key: "key",
            keys: 6,
        },
    ];
    let package = npm::install(&target().join("demo/node"), &[root().join("docs/demo/again.mjs")])?;
    for show in &shows {
        present(show, &package, painter)?;
    }
    println!("{}", same_module(painter)?);
    println!(
        "\nTry next: target/release/stream-processor window --tumbling 1d --timestamp at --key series --value value \
         --agg count,avg,max --input {}",
        relative(&monitored)
    );
    Ok(())
}

/// Runs the pipeline in the program and in Node.js, and shows the rows.
fn present(show: &Show, package: &Path, painter: Painter) -> Result<()> {
    let start = Instant::now();
    let printed = run_quietly(
        Command::new(target().join("release/stream-processor"))
            .args(["run", "--quiet"])
            .arg(&show.pipeline)
            .arg("--input")
            .arg(&show.input),
    )?;
    let took = start.elapsed();
    let again = run_quietly(
        Command::new("node").arg(package.join("again.mjs")).arg(&show.pipeline).arg(&show.input),
    )?;
    if printed != again {
        bail!("Node.js gives other rows than the program for {}", relative(&show.pipeline));
    }
    let mut series = collect(&printed, show.key)?;
    let rows: usize = series.iter().map(Series::windows).sum();
    let events = read(&show.input)?.split(|byte| *byte == b'\n').count() as u64 - 1;
    println!("{}", painter.bold(show.title));
    println!("{}", painter.dim(&summary(events, rows, took)));
    series.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    let hidden = series.len().saturating_sub(show.keys);
    series.truncate(show.keys);
    println!("{}", painter.table(&series));
    if hidden > 0 {
        println!("{}", painter.dim(&format!("and {hidden} more")));
    }
    for line in printed.lines().filter(|line| line.contains(r#""anomaly":true"#)) {
        println!("{}", unusual(line, show.key)?);
    }
    let same =
        format!("Node.js, the npm package: the same {} bytes", thousands(again.len() as u64));
    println!("{} {same}\n", painter.good("✓"));
    Ok(())
}

/// A row that a z-score calls an anomaly.
fn unusual(row: &str, key: &str) -> Result<String> {
    let row: Value = serde_json::from_str(row)?;
    let text = |name: &str| row[name].as_str().with_context(|| format!("no {name}: {row}"));
    let day = text("window_start")?.get(..10).unwrap_or_default().to_owned();
    let score =
        row["zscore"].as_f64().map_or("beyond any".to_owned(), |score| format!("{score:+.1}"));
    Ok(format!("  unusual: {:<26} {day}  z {score}", text(key)?))
}

fn summary(events: u64, rows: usize, took: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let millions = events as f64 / took.as_secs_f64() / 1e6;
    let [events, rows] = [events, rows as u64].map(thousands);
    let took = took.as_millis();
    format!("{events} events -> {rows} rows in {took} ms, start included: {millions:.1} M events/s")
}

/// The rows of each key.
fn collect(rows: &str, key: &str) -> Result<Vec<Series>> {
    let mut all: Vec<Series> = Vec::new();
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line)?;
        let number = |name: &str| row[name].as_f64().with_context(|| format!("no {name}: {line}"));
        let name = row[key].as_str().with_context(|| format!("no {key}: {line}"))?;
        let count = row["count"].as_u64().context("a row without a count")?;
        let place = all.iter().position(|series| series.name == name).unwrap_or_else(|| {
            all.push(Series::new(name));
            all.len() - 1
        });
        all[place].add(count, number("min")?, number("avg")?, number("max")?);
    }
    Ok(all)
}

/// All monitored series as one stream of NDJSON, in the order of time.
fn monitored() -> Result<PathBuf> {
    let mut lines: Vec<String> = Vec::new();
    for (file, name) in MONITORED {
        let path = root().join("tests/data/nab").join(file).with_extension("csv");
        let text = String::from_utf8(read(&path)?)?;
        for line in text.lines().skip(1) {
            let (at, value) = line.split_once(',').context("a line without a comma")?;
            lines.push(format!(r#"{{"at":"{at}","series":"{name}","value":{value}}}"#));
        }
    }
    // The time stands first in each line and its text sorts as the time does.
    lines.sort();
    let path = target().join("demo/monitoring.ndjson");
    write_if_changed(&path, (lines.join("\n") + "\n").as_bytes())?;
    Ok(path)
}

/// One line on the module: the bytes that the program names are those that the package has.
fn same_module(painter: Painter) -> Result<String> {
    let bytes = fs::read(module::wasm())?;
    let hash = sha256(&bytes);
    let mut program = Command::new(target().join("release/stream-processor"));
    if !run_quietly(program.arg("--version"))?.contains(&hash) {
        bail!("the program carries another module than the npm package");
    }
    let size = thousands(bytes.len() as u64);
    Ok(format!("{} one module, {size} bytes, in both: sha256 {hash}", painter.good("✓")))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
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
