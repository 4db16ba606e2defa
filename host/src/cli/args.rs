//! The command line as clap reads it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use processor::spec::{Duration, Operation, OutOfOrderness};

/// Shards beyond this bring nothing on any machine.
const MAX_SHARDS: i64 = 1024;

/// Deduplicate, normalize and aggregate live event streams.
#[derive(Debug, Parser)]
#[command(name = "stream-processor", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline file
    Run(RunArgs),
    /// Aggregate events in event-time windows, without a pipeline file
    Window(WindowArgs),
    /// Put samples on a regular grid, without a pipeline file
    Normalize(NormalizeArgs),
    /// Let each event pass once, without a pipeline file
    Dedup(DedupArgs),
    /// Say what a pipeline file means, or what is wrong with it
    Check(PipelineFile),
    /// Describe a pipeline in words: what it reads, does, writes, and its limits
    Explain(PipelineFile),
    /// Print the JSON Schema of pipeline files
    Schema,
    /// Write a commented pipeline file to start from
    Init {
        /// Where to write it; an existing file is left alone
        #[arg(default_value = "pipeline.toml")]
        path: PathBuf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PipelineFile {
    /// The pipeline: TOML, or JSON if its name ends in .json
    pub(crate) pipeline: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: PipelineFile,
    #[command(flatten)]
    pub(crate) io: IoArgs,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("kind").required(true))]
pub(crate) struct WindowArgs {
    /// Windows of this size, one after another (500ms, 10s, 1m, 1h, 1d)
    #[arg(long, value_name = "SIZE", group = "kind")]
    pub(crate) tumbling: Option<Duration>,
    /// Windows of this size that start every so often (10m/30s)
    #[arg(long, value_name = "SIZE/SLIDE", value_parser = parse_two, group = "kind")]
    pub(crate) sliding: Option<TwoDurations>,
    /// Windows of events that follow one another within this gap (30s)
    #[arg(long, value_name = "GAP", group = "kind")]
    pub(crate) session: Option<Duration>,
    /// Windows with one start that grow step by step up to this size (1h/1m)
    #[arg(long, value_name = "SIZE/STEP", value_parser = parse_two, group = "kind")]
    pub(crate) cumulate: Option<TwoDurations>,
    /// Windows of so many events of a key, as they come
    #[arg(long, value_name = "EVENTS", group = "kind")]
    pub(crate) count: Option<u32>,
    /// One window of all events
    #[arg(long, group = "kind")]
    pub(crate) global: bool,
    /// Where windows start, relative to the epoch
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) offset: Option<Duration>,
    /// What to compute, separated by commas: count, sum, avg, min, max, range, variance, stddev, first, last, distinct,
    /// rate, p50, p95, p99, p<any>
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "count")]
    pub(crate) agg: Vec<Operation>,
    /// How long after its end a window takes late events, and gives a corrected row for each
    #[arg(long, value_name = "DURATION")]
    pub(crate) allowed_lateness: Option<Duration>,
    /// Give rows of windows that are not over, every so often
    #[arg(long, value_name = "DURATION")]
    pub(crate) early: Option<Duration>,
    /// Give one row a window, once no event can change it any more
    #[arg(long)]
    pub(crate) r#final: bool,
    #[command(flatten)]
    pub(crate) events: EventArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NormalizeArgs {
    /// From one grid point to the next (1s, 5m), or `auto`: the median step of each key's first samples
    #[arg(long, value_name = "DURATION")]
    pub(crate) interval: String,
    /// Where a grid point is, relative to the epoch
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) offset: Option<Duration>,
    /// Which grid point a sample belongs to: floor, ceil, round [default: floor]
    #[arg(long, value_name = "NAME")]
    pub(crate) align: Option<String>,
    /// What values are computed from: aligned, samples [default: aligned]
    #[arg(long, value_name = "NAME")]
    pub(crate) basis: Option<String>,
    /// What becomes of several samples on one grid point: last, first, mean, min, max, sum, median [default: last]
    #[arg(long, value_name = "NAME")]
    pub(crate) reduce: Option<String>,
    /// What stands at grid points without samples: linear, forward, backward, zero, mean, polynomial, spline, none
    /// [default: linear]
    #[arg(long, value_name = "NAME")]
    pub(crate) fill: Option<String>,
    /// The degree of a polynomial fill
    #[arg(long, value_name = "N")]
    pub(crate) degree: Option<u32>,
    /// The longest time between two known points that is filled
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_gap: Option<Duration>,
    #[command(flatten)]
    pub(crate) events: EventArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DedupArgs {
    /// How to tell that an event has come before, tried in order: a field (event_id), several together
    /// (tenant+order_id), or the whole event (@content)
    #[arg(
        long,
        visible_alias = "by",
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "@content"
    )]
    pub(crate) strategies: Vec<String>,
    /// How long an event is remembered, from when it was first seen [default: for good]
    #[arg(long, value_name = "DURATION")]
    pub(crate) ttl: Option<Duration>,
    /// By which time: event, arrival [default: event]
    #[arg(long, value_name = "NAME")]
    pub(crate) clock: Option<String>,
    /// Whether each duplicate makes the time begin anew
    #[arg(long)]
    pub(crate) refresh: bool,
    /// What becomes of events that are a ttl behind the watermark, and so cannot be judged: pass, drop [default: pass]
    #[arg(long, value_name = "NAME")]
    pub(crate) on_unjudged: Option<String>,
    /// How events are remembered: exact, bloom [default: exact]
    #[arg(long, value_name = "NAME")]
    pub(crate) mode: Option<String>,
    /// exact: events that are remembered [default: 10000000]
    #[arg(long, value_name = "N")]
    pub(crate) max_entries: Option<u32>,
    /// bloom: events within a ttl that it is made for [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) capacity: Option<u32>,
    /// bloom: the share of new events that may be taken for duplicates [default: 0.01]
    #[arg(long, value_name = "SHARE")]
    pub(crate) false_positive_rate: Option<f64>,
    #[command(flatten)]
    pub(crate) events: EventArgs,
}

/// What events are.
#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    /// The field or fields by which events are kept apart (a,b); none: one stream
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) key: Vec<String>,
    /// The numeric field or fields (a,b) that every event must have; the first is what is computed with
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) value: Vec<String>,
    /// The field with the event time: RFC 3339 text, or a number
    #[arg(long, value_name = "FIELD", default_value = "ts")]
    pub(crate) timestamp: String,
    /// The unit of event times that are numbers
    #[arg(long, value_name = "UNIT", default_value = "ms")]
    pub(crate) timestamp_unit: Unit,
    /// How events are written [default: csv for an input named so, otherwise ndjson]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// How rows are written [default: ndjson; events that pass as they came: as they came]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) output_format: Option<Format>,
    /// How far behind the greatest event time an event may come: a duration, or `unbounded` for files in any order
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) max_out_of_orderness: OutOfOrderness,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) io: IoArgs,
}

/// How event time moves, beside the disorder that is allowed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Event time")]
pub(crate) struct TimeArgs {
    /// The field that says which partition of the source an event came by: each has a watermark of its own
    #[arg(long, value_name = "FIELD")]
    pub(crate) partition: Option<String>,
    /// What moves the watermark: bounded, ascending, periodic, punctuated, manual [default: bounded]
    #[arg(long, value_name = "NAME")]
    pub(crate) watermark: Option<String>,
    /// periodic: how far event time must advance before the watermark moves again
    #[arg(long, value_name = "DURATION")]
    pub(crate) watermark_interval: Option<Duration>,
    /// punctuated: the field that marks the events which move the watermark
    #[arg(long, value_name = "FIELD")]
    pub(crate) watermark_field: Option<String>,
    /// The time of day after which a silent partition no longer holds the others back
    #[arg(long, value_name = "DURATION")]
    pub(crate) idle_timeout: Option<Duration>,
    /// The time of day without any event after which all that is open by event time fires
    #[arg(long, value_name = "DURATION")]
    pub(crate) close_after_idle: Option<Duration>,
    /// How far ahead of the time of day an event may be; one further ahead does not move the watermark
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_future_skew: Option<Duration>,
    /// What becomes of events further ahead: drop, keep [default: drop]
    #[arg(long, value_name = "NAME")]
    pub(crate) future: Option<String>,
}

/// How long windows are, and how far apart they start, or by how much they grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TwoDurations {
    pub(crate) size: Duration,
    pub(crate) each: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Ndjson,
    /// RFC 4180, with a header line
    Csv,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Unit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

/// Inputs, outputs and how to run; each flag overrides what the pipeline file says.
#[derive(Debug, Args)]
pub(crate) struct IoArgs {
    /// Read events from this file (.gz and .zst as they are; again for more files; - for stdin)
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) input: Vec<PathBuf>,
    /// Write rows to this file (- for stdout)
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) output: Option<PathBuf>,
    /// Write refused events to this file, as NDJSON with the reason
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) dead_letter: Option<PathBuf>,
    /// Write late events to this file, as NDJSON [default: the dead letters]
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) late: Option<PathBuf>,
    /// Write counters to this file when the run ends, as JSON (- for stdout)
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) summary_json: Option<PathBuf>,
    /// Stop at the first bad line
    #[arg(long, help_heading = "Running")]
    pub(crate) strict: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, help_heading = "Running")]
    pub(crate) quiet: bool,
    /// Split the keys over this many threads, each with an instance of the module; rows are the same
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Running",
        value_parser = clap::value_parser!(u16).range(1..=MAX_SHARDS))]
    pub(crate) shards: u16,
    /// Memory that each instance of the module may have (bytes, or with KiB, MiB, GiB)
    #[arg(long, value_name = "SIZE", default_value = "1GiB", help_heading = "Running",
        value_parser = parse_bytes)]
    pub(crate) memory_limit: usize,
    /// Run the module, or for comparison the engine compiled into this program
    #[arg(long, value_enum, default_value = "module", help_heading = "Running")]
    pub(crate) engine: Engine,
    /// Events that are handed to the module at once
    #[arg(long, value_name = "N", hide = true, default_value_t = processor::DEFAULT_BATCH_EVENTS)]
    pub(crate) batch_events: NonZeroUsize,
}

/// What runs the pipeline.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Engine {
    /// The WebAssembly module
    Module,
    /// The engine compiled into this program
    Native,
}

/// Reads a size and what is behind it: `10m/30s`.
fn parse_two(text: &str) -> Result<TwoDurations, String> {
    let Some((size, each)) = text.split_once('/') else {
        return Err("expected two durations, such as 10m/30s".into());
    };
    let duration = |text: &str| text.trim().parse::<Duration>().map_err(|error| error.to_string());
    Ok(TwoDurations { size: duration(size)?, each: duration(each)? })
}

/// Reads a number of bytes: `1073741824`, `512MiB`, `2GiB`.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1_usize)];
    let found = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
    let bytes =
        found.and_then(|(number, scale)| number.trim().parse::<usize>().ok()?.checked_mul(*scale));
    bytes.ok_or_else(|| "expected a number of bytes, such as 1073741824, 512MiB or 2GiB".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("1024"), Ok(1024));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("2 GiB"), Ok(2 << 30));
        assert!(parse_bytes("64MB").is_err());
        assert!(parse_bytes("").is_err());
    }

    #[test]
    fn two_durations_stand_about_a_slash() {
        let two = parse_two("10m/30s").unwrap();
        assert_eq!((two.size.as_micros(), two.each.as_micros()), (600_000_000, 30_000_000));
        assert!(parse_two("10m").is_err());
        assert!(parse_two("10m/").is_err());
        assert!(parse_two("10m/30").is_err());
    }

    #[test]
    fn a_window_is_of_one_kind() {
        let parse = |flags: &[&str]| {
            Cli::try_parse_from(["stream-processor", "window"].iter().chain(flags).copied())
        };
        let kinds: [&[&str]; 6] = [
            &["--tumbling", "1m"],
            &["--sliding", "10m/30s"],
            &["--session", "30s"],
            &["--cumulate", "1h/1m"],
            &["--count", "5"],
            &["--global"],
        ];
        assert!(parse(&[]).is_err());
        for (place, kind) in kinds.iter().enumerate() {
            assert!(parse(kind).is_ok(), "{kind:?}");
            for other in kinds.iter().skip(place + 1) {
                assert!(parse(&[*kind, *other].concat()).is_err(), "{kind:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
