//! Measures every way to run the engine, and other systems on the same data, in one run: `cargo xtask bench`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use processor::runtime::Runtime;
use stream_processor_benches::data::Events;
use stream_processor_benches::loops;

/// Events of a measurement.
const EVENTS: usize = 10_000_000;
/// Each thing is measured this often; the best counts, for these machines are noisy.
const ROUNDS: usize = 5;
const FILE_ROUNDS: usize = 3;
const CALLS: u32 = 2_000_000;

/// What was measured: seconds of processor time for [`EVENTS`] events.
struct Measured {
    name: &'static str,
    seconds: f64,
    rows: usize,
}

fn main() -> Result<()> {
    let folder = root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let events = Events::new(EVENTS);
    let only = std::env::args().nth(1);
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if wanted("memory") {
        print("columns in memory", &in_memory(&events, &folder)?, "core, native");
    }
    if wanted("files") {
        print("a file in, windows out", &files(&events, &folder)?, "program, NDJSON");
    }
    Ok(())
}

fn in_memory(events: &Events, folder: &Path) -> Result<Vec<Measured>> {
    let spec = loops::tumbling()?;
    let runtime = Runtime::new()?;
    let columns = folder.join("columns.bin");
    events.write_columns(&columns)?;
    // One after another within a round, so that all meet the same moods of the machine.
    let mut best: Vec<Measured> = Vec::new();
    for _ in 0..ROUNDS {
        keep(&mut best, timed("plain loop, dense ids", || Ok(loops::plain(events)))?);
        let mut native = loops::native(&spec)?;
        keep(&mut best, timed("core, native", || Ok(loops::run(&mut native, events)?))?);
        let mut module = loops::module(&runtime, &spec)?;
        keep(&mut best, timed("module, wasmtime", || Ok(loops::run(&mut module, events)?))?);
        keep(&mut best, node(&columns)?);
    }
    println!("a call across the module's border: {:.0} ns\n", border_call(&runtime)?);
    Ok(best)
}

/// Nanoseconds of the cheapest call into the module.
fn border_call(runtime: &Runtime) -> Result<f64> {
    let mut instance = loops::module(runtime, &loops::tumbling()?)?;
    let started = Instant::now();
    for _ in 0..CALLS {
        std::hint::black_box(instance.watermark()?);
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS))
}

fn files(events: &Events, folder: &Path) -> Result<Vec<Measured>> {
    let (ndjson, csv) = (folder.join("events.ndjson"), folder.join("events.csv"));
    events.write_ndjson(&ndjson)?;
    events.write_csv(&csv)?;
    let mut best = Vec::new();
    for _ in 0..FILE_ROUNDS {
        keep(&mut best, program("program, NDJSON", &ndjson, &["--format", "ndjson"])?);
        keep(
            &mut best,
            program("program, native engine, NDJSON", &ndjson, &["--engine", "native"])?,
        );
        keep(&mut best, program("program, CSV", &csv, &["--format", "csv"])?);
        for (name, system, path) in [
            ("duckdb, NDJSON", "duckdb", &ndjson),
            ("duckdb, CSV", "duckdb", &csv),
            ("polars, NDJSON", "polars", &ndjson),
            ("polars, CSV", "polars", &csv),
        ] {
            keep(&mut best, peer(name, system, path)?);
        }
    }
    Ok(best)
}

/// The program's one-liner on `input`.
fn program(name: &'static str, input: &Path, flags: &[&str]) -> Result<Measured> {
    let mut command = Command::new(root().join("target/release/stream-processor"));
    command.args(["window", "--tumbling", "1m", "--key", "service", "--value", "latency"]);
    command.args(["--agg", "count,sum,avg,min,max", "--max-out-of-orderness", "2s", "--quiet"]);
    command.args(flags).arg("--input").arg(input);
    let (seconds, output) = child(&mut command)?;
    Ok(Measured {
        name,
        seconds,
        rows: output.lines().filter(|line| line.contains("svc-")).count(),
    })
}

/// Another system: it prints the number of its rows.
fn peer(name: &'static str, system: &str, input: &Path) -> Result<Measured> {
    let python = root().join("target/bench/venv/bin/python");
    let script = root().join("benches/peers/peers.py");
    let (seconds, output) = child(Command::new(python).arg(script).arg(system).arg(input))?;
    let rows = output.trim().parse().with_context(|| format!("{name} printed {output:?}"))?;
    Ok(Measured { name, seconds, rows })
}

/// `pushColumns` of the npm package in Node.js: it prints its seconds and its rows.
fn node(columns: &Path) -> Result<Measured> {
    let script = root().join("target/bench/node/push_columns.mjs");
    let (_, output) = child(Command::new("node").arg(script).arg(columns))?;
    let (seconds, rows) = output.trim().split_once(' ').context("seconds and rows")?;
    Ok(Measured { name: "npm package, Node.js", seconds: seconds.parse()?, rows: rows.parse()? })
}

/// Runs a child to its end: its processor time, user and system, and what it printed.
fn child(command: &mut Command) -> Result<(f64, String)> {
    let before = children_seconds()?;
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok((children_seconds()? - before, String::from_utf8(output.stdout)?))
}

/// Processor time of all children that have ended, as Linux counts it: in hundredths of a second.
fn children_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the name in parentheses; the times of children are the 16th and 17th.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has a name")?;
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<std::result::Result<u32, _>>()?;
    Ok(f64::from(ticks) / 100.0)
}

fn timed(name: &'static str, work: impl FnOnce() -> Result<usize>) -> Result<Measured> {
    let started = Instant::now();
    let rows = work()?;
    Ok(Measured { name, seconds: started.elapsed().as_secs_f64(), rows })
}

/// Keeps the faster of two measurements of one thing.
fn keep(best: &mut Vec<Measured>, measured: Measured) {
    match best.iter_mut().find(|known| known.name == measured.name) {
        Some(known) if known.seconds <= measured.seconds => {}
        Some(known) => *known = measured,
        None => best.push(measured),
    }
}

fn print(title: &str, measured: &[Measured], unit: &'static str) {
    let reference =
        measured.iter().find(|one| one.name == unit).map_or(f64::NAN, |one| one.seconds);
    println!("| {title} | M events/s | ratio | rows |");
    println!("|---|---|---|---|");
    for Measured { name, seconds, rows } in measured {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let speed = EVENTS as f64 / seconds / 1e6;
        println!("| {name} | {speed:.1} | {:.2} | {rows} |", reference / seconds);
    }
    println!();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}
