//! `stream-processor window`: a pipeline of one window, made of flags.

use std::path::PathBuf;

use processor::spec::{
    self, Aggregation, Names, PipelineSpec, Sink, Source, SpecError, Stage, Time, TimeUnit, Window,
    WindowKind,
};
use processor::{Error, Pipeline};

use super::Exit;
use super::args::{Format, Unit, WindowArgs};

/// The pipeline that the flags describe.
pub(crate) fn pipeline(arguments: &WindowArgs) -> Result<Pipeline, Exit> {
    Pipeline::new(spec(arguments)).map_err(|error| match error {
        Error::Spec(error) => Exit::Invalid(in_flags(&error, arguments)),
        error => Exit::Invalid(error.to_string()),
    })
}

fn spec(arguments: &WindowArgs) -> PipelineSpec {
    let format = arguments.format.unwrap_or_else(|| format_of(&arguments.io.input));
    // clap asks for exactly one of the three.
    let kind = match (arguments.sliding, arguments.session) {
        (Some(_), _) => WindowKind::Sliding,
        (None, Some(_)) => WindowKind::Session,
        (None, None) => WindowKind::Tumbling,
    };
    let window = Window {
        window: kind,
        size: arguments.tumbling.or(arguments.sliding.map(|sliding| sliding.size)),
        slide: arguments.sliding.map(|sliding| sliding.slide),
        gap: arguments.session,
        step: None,
        count: None,
        unit: None,
        zone: None,
        zone_offsets: None,
        offset: arguments.offset,
        field: None,
        aggregations: arguments.agg.iter().copied().map(Aggregation::from).collect(),
        allowed_lateness: spec::Duration::default(),
        emit: spec::Emit::default(),
        early: None,
    };
    PipelineSpec {
        source: Source {
            format: text_format(format),
            timestamp: arguments.timestamp.clone(),
            timestamp_unit: match arguments.timestamp_unit {
                Unit::S => TimeUnit::S,
                Unit::Ms => TimeUnit::Ms,
                Unit::Us => TimeUnit::Us,
                Unit::Ns => TimeUnit::Ns,
            },
            key: Names(arguments.key.clone()),
            value: Names(arguments.value.iter().cloned().collect()),
            ..Source::default()
        },
        time: Time { max_out_of_orderness: arguments.max_out_of_orderness },
        stages: vec![Stage::Window(window)],
        sink: Sink { format: text_format(arguments.output_format), ..Sink::default() },
        ..PipelineSpec::default()
    }
}

fn text_format(format: Format) -> spec::Format {
    match format {
        Format::Ndjson => spec::Format::Ndjson,
        Format::Csv => spec::Format::Csv,
    }
}

/// The format that the name of the first input tells, compressed or not.
fn format_of(inputs: &[PathBuf]) -> Format {
    let name = inputs.first().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    if name.ends_with(".csv") { Format::Csv } else { Format::Ndjson }
}

/// The error with the flag in the place of the field of a pipeline file.
fn in_flags(error: &SpecError, arguments: &WindowArgs) -> String {
    let size = if arguments.sliding.is_some() { "--sliding" } else { "--tumbling" };
    let flags = [
        ("source.key", "--key"),
        ("source.value", "--value"),
        ("source.timestamp", "--timestamp"),
        ("stages[0].size", size),
        ("stages[0].slide", "--sliding"),
        ("stages[0].gap", "--session"),
        ("stages[0].offset", "--offset"),
        ("stages[0].aggregations", "--agg"),
        ("time.max_out_of_orderness", "--max-out-of-orderness"),
    ];
    match flags.iter().find(|(field, _)| error.path().starts_with(field)) {
        Some((_, flag)) => format!("{flag}: {}", error.message()),
        None => error.to_string(),
    }
}
