//! Builds pipelines of one stage from flags: `stream-processor window`, `normalize`, `dedup`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use stream_processor::spec::{self, OutOfOrderness, PipelineSpec, SpecError};
use stream_processor::{Error, Pipeline};

use super::Exit;
use super::args::{
    CalendarUnit, DedupArgs, EventArgs, Format, IoArgs, NormalizeArgs, Unit, WindowArgs,
};
use super::{formats, strategy_arg};

/// A field of a pipeline and the flag that sets it.
type Flag = (&'static str, &'static str);

const EVENT_FLAGS: [Flag; 19] = [
    ("source.key", "--key"),
    ("source.value", "--value"),
    ("source.timestamp_format", "--timestamp-format"),
    ("source.timestamp_zone", "--timestamp-zone"),
    ("source.timestamp", "--timestamp"),
    ("source.require", "--require"),
    ("source.on_null_key", "--on-null-key"),
    ("source.null", "--null"),
    ("source.delimiter", "--delimiter"),
    ("source.partition", "--partition"),
    ("time.max_out_of_orderness", "--max-out-of-orderness"),
    ("time.watermark_interval", "--watermark-interval"),
    ("time.watermark_field", "--watermark-field"),
    ("time.watermark", "--watermark"),
    ("time.idle_timeout", "--idle-timeout"),
    ("time.close_after_idle", "--close-after-idle"),
    ("time.max_future_skew", "--max-future-skew"),
    ("time.future", "--future"),
    ("sink.format", "--output-format"),
];

/// A pipeline of one stage, and of a filter in front of it if there are conditions.
pub(crate) struct OneLine {
    /// The description, with the options that the flags set.
    pub(crate) spec: Value,
    pub(crate) pipeline: Pipeline,
}

/// Builds the pipeline of `window`.
pub(crate) fn window(arguments: &WindowArgs) -> Result<OneLine, Exit> {
    let WindowArgs { tumbling, sliding, session, cumulate, count, calendar, .. } = arguments;
    if arguments.zone.is_some() && calendar.is_none() {
        let message = "--zone: only windows of --calendar day, week or month have a time zone";
        return Err(Exit::Invalid(message.to_owned()));
    }
    // Clap requires exactly one of them.
    let (kind, size) = match (tumbling, sliding, session, cumulate, count, calendar) {
        (_, Some(_), ..) => ("sliding", "--sliding"),
        (_, _, Some(_), ..) => ("session", "--session"),
        (_, _, _, Some(_), ..) => ("cumulate", "--cumulate"),
        (_, _, _, _, Some(_), _) => ("count", "--count"),
        (.., Some(_)) => ("calendar", "--calendar"),
        (Some(_), ..) => ("tumbling", "--tumbling"),
        _ => ("global", "--global"),
    };
    let sizes = tumbling.or(sliding.map(|of| of.size)).or(cumulate.map(|of| of.size));
    let percentiles = arguments.percentiles.map(Into::into);
    let aggregations = arguments.agg.iter().map(|agg| agg.to_value(percentiles)).collect();
    let stage = table([
        ("type", text("window")),
        ("window", text(kind)),
        ("size", duration(sizes)),
        ("slide", duration(sliding.map(|of| of.each))),
        ("step", duration(cumulate.map(|of| of.each))),
        ("gap", duration(*session)),
        ("count", count.map(Value::from)),
        ("unit", calendar.map(|unit| unit_name(unit).into())),
        ("zone", arguments.zone.as_deref().and_then(text)),
        ("offset", duration(arguments.offset)),
        ("allowed_lateness", duration(arguments.allowed_lateness)),
        ("early", duration(arguments.early)),
        ("emit", arguments.r#final.then(|| "final".into())),
        ("aggregations", Some(aggregations)),
    ]);
    let flags = [
        ("size", size),
        ("slide", "--sliding"),
        ("step", "--cumulate"),
        ("gap", "--session"),
        ("count", "--count"),
        ("unit", "--calendar"),
        ("zone", "--zone"),
        ("offset", "--offset"),
        ("allowed_lateness", "--allowed-lateness"),
        ("early", "--early"),
        ("emit", "--final"),
        ("aggregations", "--agg"),
    ];
    pipeline(&arguments.events, stage, &flags, Format::Ndjson)
}

/// Builds the pipeline of `normalize`.
pub(crate) fn normalize(arguments: &NormalizeArgs) -> Result<OneLine, Exit> {
    let stage = table([
        ("type", text("normalize")),
        ("interval", text(&arguments.interval)),
        ("offset", duration(arguments.offset)),
        ("align", arguments.align.as_deref().and_then(text)),
        ("basis", arguments.basis.as_deref().and_then(text)),
        ("reduce", arguments.reduce.as_deref().and_then(text)),
        ("fill", arguments.fill.as_deref().and_then(text)),
        ("degree", arguments.degree.map(Value::from)),
        ("max_gap", duration(arguments.max_gap)),
        ("max_buffered", no_limit_if_unordered(&arguments.events)),
        ("fields", fields(&arguments.events.value)),
    ]);
    let flags = [
        ("interval", "--interval"),
        ("offset", "--offset"),
        ("align", "--align"),
        ("basis", "--basis"),
        ("reduce", "--reduce"),
        ("fill", "--fill"),
        ("degree", "--degree"),
        ("max_gap", "--max-gap"),
        ("fields", "--value"),
    ];
    pipeline(&arguments.events, stage, &flags, Format::Ndjson)
}

/// Builds the pipeline of `dedup`.
pub(crate) fn dedup(arguments: &DedupArgs) -> Result<OneLine, Exit> {
    let (strategies, flag) = match arguments.strategies.as_slice() {
        [] => (arguments.by.0.clone(), "--by"),
        list => (list.iter().map(|text| strategy_arg::strategy(text)).collect(), "--strategies"),
    };
    let stage = table([
        ("type", text("dedup")),
        ("strategies", Some(strategies.into())),
        ("ttl", duration(arguments.ttl)),
        ("clock", arguments.clock.as_deref().and_then(text)),
        ("refresh", Some(arguments.refresh.into())),
        ("on_unjudged", arguments.on_unjudged.as_deref().and_then(text)),
        ("mode", arguments.mode.as_deref().and_then(text)),
        ("max_entries", arguments.max_entries.map(Value::from)),
        ("capacity", arguments.capacity.map(Value::from)),
        ("false_positive_rate", arguments.false_positive_rate.map(Value::from)),
    ]);
    let flags = [
        ("strategies", flag),
        ("ttl", "--ttl"),
        ("clock", "--clock"),
        ("refresh", "--refresh"),
        ("on_unjudged", "--on-unjudged"),
        ("mode", "--mode"),
        ("max_entries", "--max-entries"),
        ("capacity", "--capacity"),
        ("false_positive_rate", "--false-positive-rate"),
    ];
    let format = arguments.events.input_format();
    pipeline(&arguments.events, stage, &flags, format)
}

/// Returns the greatest limit for a file in any order: every window and grid point waits until the
/// end of input, so only memory limits their number.
fn no_limit_if_unordered(events: &EventArgs) -> Option<Value> {
    (events.order() == OutOfOrderness::Unbounded).then(|| u32::MAX.into())
}

/// Returns the `fields` of a stage if there are several.
fn fields(names: &[String]) -> Option<Value> {
    (names.len() > 1).then(|| names.iter().map(|name| json!({ "name": name })).collect())
}

fn text(text: &str) -> Option<Value> {
    Some(text.into())
}

fn duration(value: impl Into<Option<spec::Duration>>) -> Option<Value> {
    value.into().map(|value| value.to_string().into())
}

/// Returns an object of the fields that have a value.
fn table<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

/// Builds a pipeline with `stage`. Errors name the flags of the fields. `output` is the default
/// format of rows.
fn pipeline(
    events: &EventArgs,
    stage: Value,
    flags: &[Flag],
    output: Format,
) -> Result<OneLine, Exit> {
    let limits = table([("max_windows_per_key", no_limit_if_unordered(events))]);
    let conditions: Vec<&Value> = events.r#where.iter().map(|condition| &condition.0).collect();
    let stages = match conditions.as_slice() {
        [] => vec![stage],
        conditions => vec![json!({ "type": "filter", "where": conditions }), stage],
    };
    let mut spec = json!({
        "source": source(events),
        "time": time(events),
        "stages": stages,
        "sink": { "format": format_name(events.row_format(output)) },
        "limits": limits,
    });
    let in_flags = |error: SpecError| Exit::Invalid(in_flags(&error, flags, stages.len() - 1));
    let pipeline = PipelineSpec::from_value(spec.clone()).map_err(in_flags)?;
    let pipeline = Pipeline::new(pipeline).map_err(|error| match error {
        Error::Spec(error) => in_flags(error),
        error => Exit::Invalid(error.to_string()),
    })?;
    add_files(&mut spec, &events.io);
    Ok(OneLine { spec, pipeline })
}

/// Adds the files that flags name, as a pipeline file names them.
fn add_files(spec: &mut Value, io: &IoArgs) {
    let path = |path: &PathBuf| path.display().to_string();
    let is_file = |path: &&PathBuf| path.as_path() != Path::new("-");
    let inputs: Vec<String> = io.inputs().iter().filter(is_file).map(path).collect();
    if !inputs.is_empty() {
        spec["source"]["type"] = json!("file");
        spec["source"]["path"] = json!(inputs);
    }
    if let Some(output) = io.output.as_ref().filter(is_file) {
        spec["sink"]["type"] = json!("file");
        spec["sink"]["path"] = json!(path(output));
    }
    for (section, output) in [("late", &io.late), ("dead_letter", &io.dead_letter)] {
        if let Some(output) = output {
            spec[section] = json!({ "path": path(output) });
        }
    }
}

fn source(events: &EventArgs) -> Value {
    let unit = match events.timestamp_unit {
        Unit::S => "s",
        Unit::Ms => "ms",
        Unit::Us => "us",
        Unit::Ns => "ns",
    };
    table([
        ("format", text(format_name(events.input_format()))),
        ("timestamp", text(&events.timestamp)),
        ("timestamp_unit", text(unit)),
        ("timestamp_format", events.timestamp_format.as_deref().and_then(text)),
        ("timestamp_zone", events.timestamp_zone.as_deref().and_then(text)),
        ("delimiter", events.delimiter.as_deref().and_then(text)),
        ("require", events.require.as_deref().and_then(text)),
        ("on_null_key", events.on_null_key.as_deref().and_then(text)),
        ("null", (!events.null.is_empty()).then(|| json!(events.null))),
        ("key", Some(json!(events.key))),
        ("value", Some(json!(events.value))),
        ("partition", events.time.partition.as_deref().and_then(text)),
    ])
}

fn time(events: &EventArgs) -> Value {
    let time = &events.time;
    table([
        ("max_out_of_orderness", Some(events.order().to_string().into())),
        ("watermark", time.watermark.as_deref().and_then(text)),
        ("watermark_interval", duration(time.watermark_interval)),
        ("watermark_field", time.watermark_field.as_deref().and_then(text)),
        ("idle_timeout", duration(time.idle_timeout)),
        ("close_after_idle", duration(time.close_after_idle)),
        ("max_future_skew", duration(time.max_future_skew)),
        ("future", time.future.as_deref().and_then(text)),
    ])
}

fn unit_name(unit: CalendarUnit) -> &'static str {
    match unit {
        CalendarUnit::Day => "day",
        CalendarUnit::Week => "week",
        CalendarUnit::Month => "month",
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "ndjson",
        Format::Csv => "csv",
    }
}

impl EventArgs {
    /// Returns how far behind the greatest event time an event may be.
    fn order(&self) -> OutOfOrderness {
        if self.unordered { OutOfOrderness::Unbounded } else { self.max_out_of_orderness }
    }

    /// Returns the format of events: that of the flag, otherwise that of the first input's name.
    fn input_format(&self) -> Format {
        let named = self.io.inputs().first().and_then(|path| formats::of_path(path));
        self.format.or(named.map(Into::into)).unwrap_or(Format::Ndjson)
    }

    /// Returns the format of rows: that of the flag, otherwise that of the output's name.
    fn row_format(&self, default: Format) -> Format {
        let named = self.io.output.as_ref().and_then(|path| formats::of_path(path));
        self.output_format.or(named.map(Into::into)).unwrap_or(default)
    }

    /// Sets the format of events by the first bytes of the input, if neither a flag nor the name
    /// of the input gives it.
    pub(crate) fn detect_format(&mut self) {
        let inputs = self.io.inputs();
        let named = inputs.first().and_then(|path| formats::of_path(path));
        let is_known = self.format.is_some() || named.is_some();
        if self.print_pipeline && inputs.is_empty() {
            return;
        }
        let detected = formats::detect(&inputs, is_known, self.io.quiet);
        self.format = self.format.or(detected.map(Into::into));
    }
}

impl From<spec::Format> for Format {
    fn from(format: spec::Format) -> Self {
        match format {
            spec::Format::Ndjson => Self::Ndjson,
            spec::Format::Csv => Self::Csv,
        }
    }
}

/// Returns the message of an error with the flag instead of the field of a pipeline file. `stage`
/// is the index of the stage that `flags` describe; a stage before it is the filter.
fn in_flags(error: &SpecError, flags: &[Flag], stage: usize) -> String {
    let path = error.path();
    if stage > 0 && path.starts_with("stages[0]") {
        return format!("--where: {}", error.message());
    }
    let in_stage = path.strip_prefix(&format!("stages[{stage}]."));
    let of_stage =
        in_stage.and_then(|path| flags.iter().find(|(field, _)| path.starts_with(field)));
    let flag = of_stage.or_else(|| EVENT_FLAGS.iter().find(|(field, _)| path.starts_with(field)));
    match flag {
        Some((_, flag)) => format!("{flag}: {}", error.message()),
        None => error.to_string(),
    }
}
