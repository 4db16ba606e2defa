//! Runs the cases and prints a table that compares them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use stream_processor::runtime::{Runtime, Worker};
use stream_processor_core::PipelineSpec;

use crate::cases::{Bar, CASES, Case, Data};
use crate::data::Events;
use crate::loops;
use crate::measure::{Laps, child, timed};

/// The required speed of the module, as a share of the native speed.
const MODULE_SHARE: f64 = 0.75;

/// The options and paths of a run.
pub struct Setting<'a> {
    /// Events of the stream.
    pub events: usize,
    /// Number of rounds. The best round counts, and for the own engine the best round of each
    /// batch.
    pub rounds: usize,
    /// Only cases whose name contains this text run.
    pub only: &'a str,
    /// The folder for data.
    pub folder: &'a Path,
    /// The Python interpreter that has the other systems.
    pub python: &'a Path,
    /// The script of the other systems.
    pub script: &'a Path,
}

/// The processor seconds of a case.
struct Measured {
    name: &'static str,
    events: f64,
    rows: usize,
    native: f64,
    module: f64,
    ceiling: Option<f64>,
    peers: Vec<(&'static str, f64)>,
}

/// Measures every case and prints the table.
///
/// # Errors
/// A failure of the engine or of another system.
pub fn print(setting: &Setting<'_>) -> Result<()> {
    let runtime = Runtime::new()?;
    let mut done: Vec<Measured> = Vec::new();
    let mut data = None;
    println!("M events per second of processor time.\n");
    println!(
        "| case | native | module | ratio | plain loop | duckdb | polars | numpy | rows | bar | met? |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let named = CASES.iter().any(|case| case.name == setting.only);
    let wanted = |name: &str| name == setting.only || !named && name.contains(setting.only);
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        let known = data.take().filter(|(known, _)| *known == case.data);
        let (_, events) = match known {
            Some(known) => data.insert(known),
            None => {
                let events = case.data.events(setting.events);
                events.write_columns(&setting.folder.join(case.data.name()))?;
                data.insert((case.data, events))
            }
        };
        let measured = measure(case, events, setting, &runtime)?;
        println!("{}", line(case, &measured, &done));
        done.push(measured);
    }
    println!();
    Ok(())
}

fn measure(
    case: &Case,
    events: &Events,
    setting: &Setting<'_>,
    runtime: &Runtime,
) -> Result<Measured> {
    let spec = PipelineSpec::from_json(&case.pipeline())?;
    let names = match case.data {
        Data::JsonIds => loops::Names::of(events, case.keys).in_json(),
        _ => loops::Names::of(events, case.keys),
    };
    let run = |worker: &mut dyn Worker, laps: &mut Laps| loops::run(worker, events, &names, laps);
    let (mut native, mut module) = (Laps::default(), Laps::default());
    let (mut ceiling, mut rows) = (None, 0);
    // The candidates take turns within a round, so that disturbances of the machine affect all of
    // them.
    for _ in 0..setting.rounds {
        rows = run(&mut loops::native(&spec)?, &mut native)?;
        run(&mut loops::module(runtime, &spec)?, &mut module)?;
        if let Some(plain) = case.ceiling {
            let (seconds, _) = timed(|| Ok(std::hint::black_box(plain(events))))?;
            ceiling = Some(ceiling.unwrap_or(f64::MAX).min(seconds));
        }
    }
    let peer = |system: &&'static str| Ok((*system, peer(case, system, setting)?));
    let peers = case.peers.iter().map(peer).collect::<Result<_>>()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let count = events.timestamps.len() as f64;
    let (native, module) = (native.seconds(), module.seconds());
    Ok(Measured { name: case.name, events: count, rows, native, module, ceiling, peers })
}

/// Runs another system on the same columns. It prints its best time in seconds.
fn peer(case: &Case, system: &str, setting: &Setting<'_>) -> Result<f64> {
    let mut command = Command::new(setting.python);
    command.arg(setting.script).args(["columns", system, case.name]);
    command.arg(setting.folder.join(case.data.name())).arg(setting.rounds.to_string());
    let (_, output) = child(&mut command)?;
    output.trim().parse().with_context(|| format!("{system} printed {output:?}"))
}

fn line(case: &Case, measured: &Measured, done: &[Measured]) -> String {
    let speed = |seconds: f64| measured.events / seconds / 1e6;
    let of_peer = |name: &str| {
        let peer = measured.peers.iter().find(|(peer, _)| *peer == name);
        peer.map_or(String::new(), |(_, seconds)| format!("{:.1}", speed(*seconds)))
    };
    let (text, needed) = bar(case.bar, measured, done);
    let reached = match case.bar {
        Bar::Type(_) => measured.ceiling.unwrap_or(f64::MAX),
        _ => measured.native,
    };
    let share = measured.native / measured.module;
    let module = if case.hashing { measured.module <= needed } else { share >= MODULE_SHARE };
    let met = match (reached <= needed, module) {
        _ if needed.is_nan() => "not compared",
        (true, true) => "yes",
        (true, false) => "native yes, module no",
        (false, true) => "native no, module yes",
        (false, false) => "no",
    };
    let mut line = String::new();
    let _ = write!(
        line,
        "| {} | {:.1} | {:.1} | {share:.2} | {} | {} | {} | {} | {} | {text} | {met} |",
        case.name,
        speed(measured.native),
        speed(measured.module),
        measured.ceiling.map_or(String::new(), |seconds| format!("{:.1}", speed(seconds))),
        of_peer("duckdb"),
        of_peer("polars"),
        of_peer("numpy"),
        measured.rows,
    );
    line
}

/// Returns the text of the bar, and the maximum number of seconds.
fn bar(bar: Bar, measured: &Measured, done: &[Measured]) -> (String, f64) {
    let best = measured.peers.iter().map(|(_, seconds)| *seconds).fold(f64::NAN, f64::min);
    match bar {
        Bar::Peers(times) => (format!("{times} × the best peer"), best / times),
        Bar::Loop(times) => {
            (format!("{times} × the crate"), measured.ceiling.unwrap_or(f64::NAN) / times)
        }
        Bar::Speed(speed) => (format!("{speed} M/s"), measured.events / speed / 1e6),
        Bar::Type(speed) => (format!("the type alone: {speed} M/s"), measured.events / speed / 1e6),
        Bar::RelativeTo(name, times, row_ns) => {
            let other = done.iter().find(|other| other.name == name);
            let event = other.map_or(f64::NAN, |other| other.native / other.events);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let rows = measured.rows as f64 * row_ns / 1e9;
            let text = if row_ns > 0.0 { format!(" + {row_ns} ns a row") } else { String::new() };
            (format!("{times} × the time of {name}{text}"), event * times * measured.events + rows)
        }
    }
}
