//! The commands and flags of the command line. Doc comments are the texts of `--help`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use stream_processor::spec::{Duration, Operation, OutOfOrderness, PercentileEngine};

use super::aggregation_arg::AggregationArg;
use super::condition::WhereArg;
use super::loss::MaxLost;
use super::names::Names;
use super::strategy_arg::StrategiesArg;

/// Maximum number of shards. More shards than cores gain nothing.
const MAX_SHARDS: i64 = 1024;

// The names that options of a pipeline have; a test compares them with the JSON Schema.
const ALIGN: &[&str] = &["floor", "ceil", "round"];
const BASIS: &[&str] = &["aligned", "samples"];
const REDUCE: &[&str] = &["last", "first", "mean", "min", "max", "sum", "median"];
const FILL: &[&str] =
    &["linear", "forward", "backward", "zero", "mean", "polynomial", "spline", "none"];
const CLOCK: &[&str] = &["event", "arrival"];
const ON_UNJUDGED: &[&str] = &["pass", "drop"];
const MODE: &[&str] = &["exact", "bloom"];
const WATERMARK: &[&str] = &["bounded", "ascending", "periodic", "punctuated", "manual"];
const FUTURE: &[&str] = &["drop", "keep"];
const REQUIRE: &[&str] = &["all", "any", "none"];
const ON_NULL_KEY: &[&str] = &["reject", "drop", "keep"];
const DELIMITER: &[&str] = &[",", ";", "tab", "|"];

/// The end of `--help`, and of the help of each command that runs a pipeline.
const EXIT_CODES: &str = "Exit codes:
  0    the run is complete, or the reader of the rows closed the pipe
  1    the run failed: an input, an output, a limit, or a bad line with --strict
  2    the command line or the pipeline is invalid
  3    the run is complete, but lost more events than --max-lost allows
  130  SIGINT stopped the run (143: SIGTERM); what was read is written";

/// The start of the help of `window`, `normalize` and `dedup`.
const WINDOW_EXAMPLES: &str = "Examples:
  stream-processor window --tumbling 1m --key service --value ms --agg count,p95 -i web.csv
  stream-processor window --session 30m --key user --agg count,sum:price -i clicks.ndjson";
const NORMALIZE_EXAMPLES: &str = "Examples:
  stream-processor normalize --interval 10s --key sensor --value celsius -i samples.csv
  stream-processor normalize --interval 1h --key meter --value kwh --reduce sum -i use.ndjson";
const DEDUP_EXAMPLES: &str = "Examples:
  stream-processor dedup --by event_id --ttl 24h -i events.ndjson -o unique.ndjson.gz
  tail -F app.ndjson | stream-processor dedup --ttl 5m --clock arrival";

/// Deduplicate, normalize and aggregate live event streams.
#[derive(Debug, Parser)]
#[command(name = "stream-processor", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline file
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Aggregate events in event-time windows, without a pipeline file
    #[command(before_help = WINDOW_EXAMPLES, after_help = EXIT_CODES)]
    Window(WindowArgs),
    /// Put samples on a regular grid, without a pipeline file
    #[command(before_help = NORMALIZE_EXAMPLES, after_help = EXIT_CODES)]
    Normalize(NormalizeArgs),
    /// Drop duplicate events, without a pipeline file
    #[command(before_help = DEDUP_EXAMPLES, after_help = EXIT_CODES)]
    Dedup(DedupArgs),
    /// Check a pipeline file and print a summary of it, or its errors
    Check(PipelineFile),
    /// Describe a pipeline: its input, stages, output and limits
    Explain(PipelineFile),
    /// Print the JSON Schema of pipeline files
    Schema,
    /// Write a commented pipeline file to start from
    Init {
        /// The file to write; an existing file is not overwritten
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
    /// Windows of SIZE that start every SLIDE (10m/30s)
    #[arg(long, value_name = "SIZE/SLIDE", value_parser = parse_two, group = "kind")]
    pub(crate) sliding: Option<TwoDurations>,
    /// Windows of events that follow each other within this gap (30s)
    #[arg(long, value_name = "GAP", group = "kind")]
    pub(crate) session: Option<Duration>,
    /// Windows with the same start that grow by STEP up to SIZE (1h/1m)
    #[arg(long, value_name = "SIZE/STEP", value_parser = parse_two, group = "kind")]
    pub(crate) cumulate: Option<TwoDurations>,
    /// Windows of this many events of a key, in order of arrival
    #[arg(long, value_name = "EVENTS", group = "kind")]
    pub(crate) count: Option<u32>,
    /// One window of all events
    #[arg(long, group = "kind")]
    pub(crate) global: bool,
    /// Windows of whole days, weeks or months
    #[arg(long, value_name = "UNIT", group = "kind")]
    pub(crate) calendar: Option<CalendarUnit>,
    /// The time zone of calendar windows: UTC, +05:30, Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub(crate) zone: Option<String>,
    /// The offset of window starts from the epoch
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) offset: Option<Duration>,
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "count",
        value_parser = Names::<AggregationArg>::of(Operation::NAMES),
        hide_possible_values = true,
        help = format!(
            "What to compute, separated by commas: {}; of another field as in max:bytes. Also mean, median and std. \
             Percentiles of many values are approximate, see --percentiles",
            Operation::NAMES.join(", ")
        )
    )]
    pub(crate) agg: Vec<AggregationArg>,
    /// How percentiles are computed [default: sketch]
    #[arg(long, value_name = "ENGINE")]
    pub(crate) percentiles: Option<Percentiles>,
    /// How long a window accepts late events after its end; each one emits a corrected row
    #[arg(long, visible_alias = "lateness", value_name = "DURATION")]
    pub(crate) allowed_lateness: Option<Duration>,
    /// Emit early rows of open windows at this interval
    #[arg(long, value_name = "DURATION")]
    pub(crate) early: Option<Duration>,
    /// Emit one row for each window, when no event can change it any more
    #[arg(long)]
    pub(crate) r#final: bool,
    #[command(flatten)]
    pub(crate) events: EventArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NormalizeArgs {
    /// The distance of grid points (1s, 5m), or `auto`: the median step of each key's first samples
    #[arg(long, value_name = "DURATION")]
    pub(crate) interval: String,
    /// The offset of grid points from the epoch
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) offset: Option<Duration>,
    /// The grid point of a sample [default: floor]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(ALIGN))]
    pub(crate) align: Option<String>,
    /// Compute values from aligned values or from samples [default: aligned]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(BASIS))]
    pub(crate) basis: Option<String>,
    /// Reduction of several samples on one grid point to one [default: last]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(REDUCE))]
    pub(crate) reduce: Option<String>,
    /// Fill of grid points without samples [default: linear]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(FILL))]
    pub(crate) fill: Option<String>,
    /// The degree of a polynomial fill
    #[arg(long, value_name = "N")]
    pub(crate) degree: Option<u32>,
    /// The longest gap between two known points that is filled
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_gap: Option<Duration>,
    #[command(flatten)]
    pub(crate) events: EventArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DedupArgs {
    /// What identifies an event: a field (event_id), several fields together (tenant+order_id), the
    /// first of several that it has ('event_id|tenant+order_id'), or the whole event (@content)
    #[arg(long, value_name = "FIELDS", default_value = "@content")]
    pub(crate) by: StrategiesArg,
    /// As --by, as a list that is separated by commas and tried in order
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "by")]
    pub(crate) strategies: Vec<String>,
    /// How long an identity is stored, from its first event on [default: for ever]
    #[arg(long, value_name = "DURATION")]
    pub(crate) ttl: Option<Duration>,
    /// The time that expires identities [default: event]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(CLOCK))]
    pub(crate) clock: Option<String>,
    /// Restart the time to live at each duplicate
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Action on events that are a ttl behind the watermark, whose duplicates cannot be
    /// found [default: pass]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(ON_UNJUDGED))]
    pub(crate) on_unjudged: Option<String>,
    /// Storage of identities [default: exact]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(MODE))]
    pub(crate) mode: Option<String>,
    /// exact: maximum number of stored identities [default: 10000000]
    #[arg(long, value_name = "N")]
    pub(crate) max_entries: Option<u32>,
    /// bloom: expected number of events within a ttl [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) capacity: Option<u32>,
    /// bloom: maximum share of new events that are taken for duplicates [default: 0.01]
    #[arg(long, value_name = "SHARE")]
    pub(crate) false_positive_rate: Option<f64>,
    #[command(flatten)]
    pub(crate) events: EventArgs,
}

/// The fields and the format of events.
#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    /// Pass only events that meet this condition: 'status >= 500', "host == web and not (code in (404,
    /// 410) or user missing)" (repeat it for conditions that must all be met)
    #[arg(long, value_name = "CONDITION")]
    pub(crate) r#where: Vec<WhereArg>,
    /// The field or fields of the key (a,b); without it, all events are one stream
    #[arg(long, visible_alias = "group-by", value_name = "FIELD", value_delimiter = ',')]
    pub(crate) key: Vec<String>,
    /// The numeric field or fields (a,b) that every event must have; the first is aggregated
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) value: Vec<String>,
    /// Fields of --value that an event must have, if there are several [default: any]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(REQUIRE))]
    pub(crate) require: Option<String>,
    /// Events without a key: reject or drop them, or keep them as a group of their own [default:
    /// reject]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(ON_NULL_KEY))]
    pub(crate) on_null_key: Option<String>,
    /// A text that stands for a missing value, such as NA (repeat it for more)
    #[arg(long, value_name = "TEXT")]
    pub(crate) null: Vec<String>,
    /// The field with the event time: RFC 3339 text, or a number
    #[arg(long, value_name = "FIELD", default_value = "ts")]
    pub(crate) timestamp: String,
    /// The unit of event times that are numbers
    #[arg(long, value_name = "UNIT", default_value = "ms")]
    pub(crate) timestamp_unit: Unit,
    /// The form of event times, as of strftime: '%d/%m/%Y %H:%M:%S'
    #[arg(long, value_name = "FORMAT")]
    pub(crate) timestamp_format: Option<String>,
    /// The zone of event times that name none: UTC, +05:30, Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub(crate) timestamp_zone: Option<String>,
    /// The format of events [default: by the name of the input (.csv, .ndjson), else by its first
    /// bytes]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// The character between the fields of CSV: , ; | or tab [default: found in the header]
    #[arg(long, value_name = "CHARACTER", value_parser = Names::<String>::of(DELIMITER))]
    pub(crate) delimiter: Option<String>,
    /// The format of rows [default: by the name of the output, else ndjson; for dedup, the format of
    /// events]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) output_format: Option<Format>,
    /// How far behind the greatest event time an event may be: a duration, or `unbounded` for files
    /// in any order
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) max_out_of_orderness: OutOfOrderness,
    /// Read a file in any order: windows fire at the end of input, and only memory limits how many
    /// are open. Short for --max-out-of-orderness unbounded
    #[arg(long, conflicts_with = "max_out_of_orderness")]
    pub(crate) unordered: bool,
    /// Print this command as a pipeline file, which has all options, and do not run it
    #[arg(long)]
    pub(crate) print_pipeline: bool,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) io: IoArgs,
}

/// How the watermark advances, apart from the allowed disorder.
#[derive(Debug, Args)]
#[command(next_help_heading = "Event time")]
pub(crate) struct TimeArgs {
    /// The field with the source partition of an event; each partition has its own watermark
    #[arg(long, value_name = "FIELD")]
    pub(crate) partition: Option<String>,
    /// Strategy that advances the watermark [default: bounded]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(WATERMARK))]
    pub(crate) watermark: Option<String>,
    /// periodic: how far event time must advance before the watermark advances again
    #[arg(long, value_name = "DURATION")]
    pub(crate) watermark_interval: Option<Duration>,
    /// punctuated: the field that marks events which advance the watermark
    #[arg(long, value_name = "FIELD")]
    pub(crate) watermark_field: Option<String>,
    /// How long, by the time of day, a partition without events holds back the others
    #[arg(long, value_name = "DURATION")]
    pub(crate) idle_timeout: Option<Duration>,
    /// How long, by the time of day, the stream may have no events before all open windows fire
    #[arg(long, value_name = "DURATION")]
    pub(crate) close_after_idle: Option<Duration>,
    /// How far ahead of the time of day an event may be; later ones do not advance the watermark
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_future_skew: Option<Duration>,
    /// Action on events further ahead [default: drop]
    #[arg(long, value_name = "NAME", value_parser = Names::<String>::of(FUTURE))]
    pub(crate) future: Option<String>,
}

/// The size of windows, and the distance of their starts or the step of their growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TwoDurations {
    pub(crate) size: Duration,
    pub(crate) each: Duration,
}

/// The unit of calendar windows.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CalendarUnit {
    /// From midnight to midnight
    Day,
    /// From Monday to Monday
    Week,
    /// From the first to the first
    Month,
}

/// How percentiles are computed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Percentiles {
    /// Within 1 %, in little memory; exact for up to 512 values
    Sketch,
    /// By a t-digest, precise at both ends
    Tdigest,
    /// From all values
    Exact,
}

impl From<Percentiles> for PercentileEngine {
    fn from(percentiles: Percentiles) -> Self {
        match percentiles {
            Percentiles::Sketch => Self::Sketch,
            Percentiles::Tdigest => Self::Tdigest,
            Percentiles::Exact => Self::Exact,
        }
    }
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

/// Inputs, outputs and settings of a run. Each flag overrides the pipeline file.
#[derive(Debug, Args)]
pub(crate) struct IoArgs {
    /// Read events from these files, one after another, as --input does
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Read events from this file (gzip and zstd are decompressed; repeat it for more files, or give
    /// a pattern in quotes: 'logs/*.csv'; - for stdin)
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) input: Vec<PathBuf>,
    /// Write rows to this file (.gz and .zst are compressed; - for stdout)
    #[arg(short, long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) output: Option<PathBuf>,
    /// Write dead letters to this file: refused lines and dropped events, as NDJSON with the reason
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) dead_letter: Option<PathBuf>,
    /// Write late events to this file, as NDJSON [default: with the dead letters]
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) late: Option<PathBuf>,
    /// Write counters to this file when the run ends, as JSON (- for stdout)
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) summary_json: Option<PathBuf>,
    /// Stop at the first bad line
    #[arg(long, help_heading = "Running")]
    pub(crate) strict: bool,
    /// Fail with exit code 3 if more events than this are lost: rejected, late, or dropped at a limit
    /// (a number, or a share such as 5%)
    #[arg(long, value_name = "N|N%", default_value = "50%", help_heading = "Running")]
    pub(crate) max_lost: MaxLost,
    /// When SIGINT or SIGTERM stops the run, also fire what is open
    #[arg(long, help_heading = "Running")]
    pub(crate) finish_on_signal: bool,
    /// Print only errors on stderr
    #[arg(short, long, help_heading = "Running")]
    pub(crate) quiet: bool,
    /// Split the keys over this many threads, each with an instance of the module; rows stay the
    /// same
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Running",
        value_parser = clap::value_parser!(u16).range(1..=MAX_SHARDS))]
    pub(crate) shards: u16,
    /// Maximum memory of each instance of the module (in bytes, or with KiB, MiB, GiB)
    #[arg(long, value_name = "SIZE", default_value = "1GiB", help_heading = "Running",
        value_parser = parse_bytes)]
    pub(crate) memory_limit: usize,
    /// Maximum time of one call into the module; calls do about 10 ms of work each
    #[arg(long, value_name = "DURATION", default_value = "10s", help_heading = "Running",
        value_parser = parse_deadline)]
    pub(crate) call_deadline: Duration,
    /// What runs the engine: the module, or for comparison this program itself
    #[arg(long, alias = "engine", value_enum, default_value = "module", help_heading = "Running")]
    pub(crate) runtime: Runtime,
    /// The number of events in one batch for the module
    #[arg(long, value_name = "N", hide = true, default_value_t = stream_processor::DEFAULT_BATCH_EVENTS)]
    pub(crate) batch_events: NonZeroUsize,
}

impl IoArgs {
    /// Returns the files to read: those of `--input`, then the others.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.input.iter().chain(&self.files).cloned().collect()
    }
}

/// What runs the engine.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Runtime {
    /// The WebAssembly module
    Module,
    /// The engine compiled into this program
    Native,
}

/// Parses two durations: `10m/30s`.
fn parse_two(text: &str) -> Result<TwoDurations, String> {
    let Some((size, each)) = text.split_once('/') else {
        return Err("expected two durations, such as 10m/30s".into());
    };
    let duration = |text: &str| text.trim().parse::<Duration>().map_err(|error| error.to_string());
    Ok(TwoDurations { size: duration(size)?, each: duration(each)? })
}

/// Parses a number of bytes: `1073741824`, `512MiB`, `2GiB`.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1_usize)];
    let found = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
    let bytes =
        found.and_then(|(number, scale)| number.trim().parse::<usize>().ok()?.checked_mul(*scale));
    bytes.ok_or_else(|| "expected a number of bytes, such as 1073741824, 512MiB or 2GiB".into())
}

/// Parses the deadline of a call, which is longer than zero.
fn parse_deadline(text: &str) -> Result<Duration, String> {
    match text.parse::<Duration>() {
        Ok(deadline) if deadline.as_micros() <= 0 => Err("must be longer than 0s".to_owned()),
        Ok(deadline) => Ok(deadline),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use stream_processor::spec::PipelineSpec;

    use super::*;

    #[test]
    fn byte_sizes_have_binary_units() {
        assert_eq!(parse_bytes("1024"), Ok(1024));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("2 GiB"), Ok(2 << 30));
        assert!(parse_bytes("64MB").is_err());
        assert!(parse_bytes("").is_err());
    }

    #[test]
    fn two_durations_are_separated_by_a_slash() {
        let two = parse_two("10m/30s").unwrap();
        assert_eq!((two.size.as_micros(), two.each.as_micros()), (600_000_000, 30_000_000));
        assert!(parse_two("10m").is_err());
        assert!(parse_two("10m/").is_err());
        assert!(parse_two("10m/30").is_err());
    }

    #[test]
    fn window_needs_exactly_one_kind() {
        let parse = |flags: &[&str]| {
            Cli::try_parse_from(["stream-processor", "window"].iter().chain(flags).copied())
        };
        let kinds: [&[&str]; 7] = [
            &["--tumbling", "1m"],
            &["--sliding", "10m/30s"],
            &["--session", "30s"],
            &["--cumulate", "1h/1m"],
            &["--count", "5"],
            &["--global"],
            &["--calendar", "day"],
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
    fn names_are_those_of_the_schema() {
        let schema = PipelineSpec::json_schema();
        let in_schema = |name: &str| -> Vec<String> {
            let definition = &schema["$defs"][name];
            let constants =
                definition["oneOf"].as_array().into_iter().flatten().map(|of| &of["const"]);
            let listed = definition["enum"].as_array().into_iter().flatten();
            constants.chain(listed).map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        for (name, names) in [
            ("Align", ALIGN),
            ("Basis", BASIS),
            ("Reduce", REDUCE),
            ("Fill", FILL),
            ("Clock", CLOCK),
            ("OnUnjudged", ON_UNJUDGED),
            ("DedupMode", MODE),
            ("Watermark", WATERMARK),
            ("Future", FUTURE),
            ("Require", REQUIRE),
            ("OnNullKey", ON_NULL_KEY),
            ("Delimiter", DELIMITER),
        ] {
            assert_eq!(in_schema(name), names, "{name}");
        }
    }

    #[test]
    fn definition_passes_clap_assertions() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
