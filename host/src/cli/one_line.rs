//! Builds pipelines of one stage from flags: `stream-processor window`, `normalize`, `dedup`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use stream_processor::spec::{PipelineSpec, SpecError};
use stream_processor::{Error, Pipeline};

use super::Exit;
use super::args::{DedupArgs, EventArgs, Format, NormalizeArgs, Unit, WindowArgs};

/// A field of a pipeline and the flag that sets it.
type Flag = (&'static str, &'static str);

const EVENT_FLAGS: [Flag; 13] = [
    ("source.key", "--key"),
    ("source.value", "--value"),
    ("source.timestamp", "--timestamp"),
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

/// Builds the pipeline of `window`.
pub(crate) fn window(arguments: &WindowArgs) -> Result<Pipeline, Exit> {
    let WindowArgs { tumbling, sliding, session, cumulate, count, .. } = arguments;
    // Clap requires exactly one of them.
    let (kind, size) = match (tumbling, sliding, session, cumulate, count) {
        (_, Some(_), ..) => ("sliding", "--sliding"),
        (_, _, Some(_), ..) => ("session", "--session"),
        (_, _, _, Some(_), _) => ("cumulate", "--cumulate"),
        (_, _, _, _, Some(_)) => ("count", "--count"),
        (Some(_), ..) => ("tumbling", "--tumbling"),
        _ => ("global", "--global"),
    };
    let sizes = tumbling.or(sliding.map(|of| of.size)).or(cumulate.map(|of| of.size));
    let stage = table([
        ("type", text("window")),
        ("window", text(kind)),
        ("size", duration(sizes)),
        ("slide", duration(sliding.map(|of| of.each))),
        ("step", duration(cumulate.map(|of| of.each))),
        ("gap", duration(*session)),
        ("count", count.map(Value::from)),
        ("offset", duration(arguments.offset)),
        ("allowed_lateness", duration(arguments.allowed_lateness)),
        ("early", duration(arguments.early)),
        ("emit", arguments.r#final.then(|| "final".into())),
        ("aggregations", Some(arguments.agg.iter().map(ToString::to_string).collect())),
    ]);
    let flags = [
        ("size", size),
        ("slide", "--sliding"),
        ("step", "--cumulate"),
        ("gap", "--session"),
        ("count", "--count"),
        ("offset", "--offset"),
        ("allowed_lateness", "--allowed-lateness"),
        ("early", "--early"),
        ("emit", "--final"),
        ("aggregations", "--agg"),
    ];
    pipeline(&arguments.events, stage, &flags, Format::Ndjson)
}

/// Builds the pipeline of `normalize`.
pub(crate) fn normalize(arguments: &NormalizeArgs) -> Result<Pipeline, Exit> {
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
pub(crate) fn dedup(arguments: &DedupArgs) -> Result<Pipeline, Exit> {
    let strategy = |text: &String| match text.split('+').collect::<Vec<_>>().as_slice() {
        [_] => json!(text),
        fields => json!(fields),
    };
    let stage = table([
        ("type", text("dedup")),
        ("strategies", Some(arguments.strategies.iter().map(strategy).collect())),
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
        ("strategies", "--strategies"),
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

/// Returns the `fields` of a stage if there are several.
fn fields(names: &[String]) -> Option<Value> {
    (names.len() > 1).then(|| names.iter().map(|name| json!({ "name": name })).collect())
}

fn text(text: &str) -> Option<Value> {
    Some(text.into())
}

fn duration(value: impl Into<Option<stream_processor::spec::Duration>>) -> Option<Value> {
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
) -> Result<Pipeline, Exit> {
    let spec = json!({
        "source": source(events),
        "time": time(events),
        "stages": [stage],
        "sink": { "format": format_name(events.output_format.unwrap_or(output)) },
    });
    let pipeline = PipelineSpec::from_value(spec).map_err(Error::Spec).and_then(Pipeline::new);
    pipeline.map_err(|error| match error {
        Error::Spec(error) => Exit::Invalid(in_flags(&error, flags)),
        error => Exit::Invalid(error.to_string()),
    })
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
        ("key", Some(json!(events.key))),
        ("value", Some(json!(events.value))),
        ("partition", events.time.partition.as_deref().and_then(text)),
    ])
}

fn time(events: &EventArgs) -> Value {
    let time = &events.time;
    table([
        ("max_out_of_orderness", Some(events.max_out_of_orderness.to_string().into())),
        ("watermark", time.watermark.as_deref().and_then(text)),
        ("watermark_interval", duration(time.watermark_interval)),
        ("watermark_field", time.watermark_field.as_deref().and_then(text)),
        ("idle_timeout", duration(time.idle_timeout)),
        ("close_after_idle", duration(time.close_after_idle)),
        ("max_future_skew", duration(time.max_future_skew)),
        ("future", time.future.as_deref().and_then(text)),
    ])
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "ndjson",
        Format::Csv => "csv",
    }
}

impl EventArgs {
    /// Returns the format of events: that of the flag, otherwise that of the first input's name,
    /// without its extension for compression.
    fn input_format(&self) -> Format {
        let first = self.io.input.first().map(PathBuf::as_path);
        let name = first.and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
        let name = name.unwrap_or_default();
        let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        let named = if name.ends_with(".csv") { Format::Csv } else { Format::Ndjson };
        self.format.unwrap_or(named)
    }
}

/// Returns the message of an error with the flag instead of the field of a pipeline file.
fn in_flags(error: &SpecError, flags: &[Flag]) -> String {
    let path = error.path();
    let in_stage = path.strip_prefix("stages[0].");
    let of_stage =
        in_stage.and_then(|path| flags.iter().find(|(field, _)| path.starts_with(field)));
    let flag = of_stage.or_else(|| EVENT_FLAGS.iter().find(|(field, _)| path.starts_with(field)));
    match flag {
        Some((_, flag)) => format!("{flag}: {}", error.message()),
        None => error.to_string(),
    }
}
