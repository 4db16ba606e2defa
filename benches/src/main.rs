//! Measures all ways to run the engine, and other systems on the same data, in one run: `cargo
//! xtask bench`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use stream_processor::runtime::Runtime;
use stream_processor_benches::data::Events;
use stream_processor_benches::loops::{Keys, Names};
use stream_processor_benches::measure::{Laps, child, timed};
use stream_processor_benches::table::Setting;
use stream_processor_benches::{ceilings, loops, memory, table};
use stream_processor_core::spec::Strategy;
use stream_processor_core::text::Identifier;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// The default number of events of the stream.
const EVENTS: usize = 10_000_000;
/// The default number of rounds. The best round counts, because these machines are noisy.
const ROUNDS: usize = 5;
const FILE_ROUNDS: usize = 3;
/// The measurement that is the base of the ratios for columns in memory.
const CORE: &str = "core, native";
const CALLS: u32 = 2_000_000;
/// Number of events whose text is hashed.
const HASHED: usize = 1_000_000;

/// A measurement in seconds of processor time.
struct Measured {
    name: &'static str,
    seconds: f64,
    rows: usize,
}

fn main() -> Result<()> {
    let folder = root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let wanted = |part: &str| arguments.part.as_deref().is_none_or(|only| only == part);
    if wanted("columns") {
        let python = root().join("target/bench/venv/bin/python");
        let script = root().join("benches/peers/peers.py");
        table::print(&Setting {
            events: arguments.events,
            rounds: arguments.rounds,
            only: &arguments.only,
            folder: &folder,
            python: &python,
            script: &script,
        })?;
        content_hash(&Events::new(arguments.events.min(HASHED)), arguments.rounds);
    }
    if wanted("memory") {
        memory::print()?;
    }
    let events = Events::new(if wanted("node") || wanted("files") { arguments.events } else { 0 });
    if wanted("node") {
        print(
            "columns in memory",
            &events,
            &columns_in_memory(&events, arguments.rounds, &folder)?,
            CORE,
        );
    }
    if wanted("files") {
        print("a file in, windows out", &events, &files(&events, &folder)?, "program, NDJSON");
    }
    Ok(())
}

/// `side-by-side [columns|memory|node|files] [--events N] [--rounds N] [--only TEXT]`
struct Arguments {
    part: Option<String>,
    events: usize,
    rounds: usize,
    only: String,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut read = Self { part: None, events: EVENTS, rounds: ROUNDS, only: String::new() };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--events" => read.events = value()?.parse()?,
                "--rounds" => read.rounds = value()?.parse()?,
                "--only" => read.only = value()?,
                "columns" | "memory" | "node" | "files" => read.part = Some(word),
                _ => bail!(
                    "{word}: expected columns, memory, node or files, --events, --rounds or --only"
                ),
            }
        }
        Ok(read)
    }
}

/// Measures columns in memory: a plain loop, the native engine, the module in wasmtime and in
/// Node.js. For the last three, the best round of each batch counts.
fn columns_in_memory(events: &Events, rounds: usize, folder: &Path) -> Result<Vec<Measured>> {
    let columns = folder.join("stream");
    events.write_columns(&columns)?;
    let (runtime, spec) = (Runtime::new()?, loops::tumbling()?);
    let names = Names::of(events, Keys::Ids);
    let (mut plain, mut native) = (f64::MAX, Laps::default());
    let (mut module, mut in_place) = (Laps::default(), Laps::default());
    let mut rows = [0; 4];
    for _ in 0..rounds {
        let (seconds, found) = timed(|| Ok(ceilings::moments(events)))?;
        plain = plain.min(seconds);
        rows = [
            found,
            loops::run(&mut loops::native(&spec)?, events, &names, &mut native)?,
            loops::run(&mut loops::module(&runtime, &spec)?, events, &names, &mut module)?,
            loops::run_in_place(
                &mut loops::module(&runtime, &spec)?,
                events,
                &names,
                &mut in_place,
            )?,
        ];
    }
    println!("a call across the module's border: {:.0} ns\n", border_call(&runtime)?);
    Ok(vec![
        Measured { name: "plain Rust loop", seconds: plain, rows: rows[0] },
        Measured { name: CORE, seconds: native.seconds(), rows: rows[1] },
        Measured {
            name: "module, wasmtime, columns copied in",
            seconds: module.seconds(),
            rows: rows[2],
        },
        Measured {
            name: "module, wasmtime, columns in place",
            seconds: in_place.seconds(),
            rows: rows[3],
        },
        node(
            "npm package, Node.js, columns copied in, rows as objects",
            &columns,
            rounds,
            "copied",
        )?,
        node(
            "npm package, Node.js, columns in place, rows as columns",
            &columns,
            rounds,
            "in-place",
        )?,
    ])
}

/// Prints the gigabytes per second of the content hash, on batches that were just written.
fn content_hash(events: &Events, rounds: usize) {
    let batches = ceilings::content_text(events);
    let (mut written, mut identities, mut laps) = (Vec::new(), Vec::new(), Laps::default());
    for _ in 0..rounds {
        let mut identifier = Identifier::new(&[Strategy::Content]);
        laps.start();
        for batch in &batches {
            written.clear();
            written.extend_from_slice(batch.as_bytes());
            identities.clear();
            laps.restart_lap();
            identifier.write(&written, &mut identities);
            laps.end_lap();
            black_box(&identities);
        }
    }
    let bytes: usize = batches.iter().map(String::len).sum();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let speed = bytes as f64 / laps.seconds() / 1e9;
    println!("content hash of events of 100 bytes: {speed:.2} GB/s (bar: 1 GB/s)\n");
}

/// Measures the nanoseconds of the cheapest call into the module.
fn border_call(runtime: &Runtime) -> Result<f64> {
    let mut instance = loops::module(runtime, &loops::tumbling()?)?;
    let started = Instant::now();
    for _ in 0..CALLS {
        black_box(instance.watermark()?);
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

/// Runs the program's one-liner on `input`.
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

/// Runs another system, which prints the number of its rows.
fn peer(name: &'static str, system: &str, input: &Path) -> Result<Measured> {
    let python = root().join("target/bench/venv/bin/python");
    let script = root().join("benches/peers/peers.py");
    let (seconds, output) =
        child(Command::new(python).arg(script).args(["file", system]).arg(input))?;
    let rows = output.trim().parse().with_context(|| format!("{name} printed {output:?}"))?;
    Ok(Measured { name, seconds, rows })
}

/// Pushes columns into the npm package in Node.js by `method`. The script prints the total of the
/// best time of each batch, in seconds, and the number of rows.
fn node(name: &'static str, columns: &Path, rounds: usize, method: &str) -> Result<Measured> {
    let script = root().join("target/bench/node/push_columns.mjs");
    let mut command = Command::new("node");
    let (_, output) = child(command.arg(script).arg(columns).arg(rounds.to_string()).arg(method))?;
    let (seconds, rows) = output.trim().split_once(' ').context("seconds and rows")?;
    Ok(Measured { name, seconds: seconds.parse()?, rows: rows.parse()? })
}

/// Keeps the faster of two measurements with the same name.
fn keep(best: &mut Vec<Measured>, measured: Measured) {
    match best.iter_mut().find(|known| known.name == measured.name) {
        Some(known) if known.seconds <= measured.seconds => {}
        Some(known) => *known = measured,
        None => best.push(measured),
    }
}

fn print(title: &str, events: &Events, measured: &[Measured], unit: &'static str) {
    let reference =
        measured.iter().find(|one| one.name == unit).map_or(f64::NAN, |one| one.seconds);
    println!("| {title} | M events/s | ratio | rows |");
    println!("|---|---|---|---|");
    for Measured { name, seconds, rows } in measured {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let speed = events.timestamps.len() as f64 / seconds / 1e6;
        println!("| {name} | {speed:.1} | {:.2} | {rows} |", reference / seconds);
    }
    println!();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}
