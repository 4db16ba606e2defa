//! `stream-processor window`: a pipeline of one window, made of flags.

use processor::spec::{
    Aggregation, Names, PipelineSpec, Sink, Source, SpecError, Stage, TextFormat, Time, TimeUnit,
    Window, WindowKind,
};
use processor::{Error, Pipeline};

use super::Exit;
use super::args::{Format, Unit, WindowArgs};

/// The pipeline that the flags describe.
pub(crate) fn pipeline(arguments: &WindowArgs) -> Result<Pipeline, Exit> {
    Pipeline::new(spec(arguments)).map_err(|error| match error {
        Error::Spec(error) => Exit::Invalid(in_flags(&error)),
        error => Exit::Invalid(error.to_string()),
    })
}

fn spec(arguments: &WindowArgs) -> PipelineSpec {
    let format = text_format(arguments.format);
    let window = Window {
        window: WindowKind::Tumbling,
        size: arguments.tumbling,
        offset: arguments.offset,
        field: None,
        aggregations: arguments
            .agg
            .iter()
            .map(|op| Aggregation { op: *op, field: None, name: None })
            .collect(),
    };
    PipelineSpec {
        source: Source {
            format,
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
        time: Time { max_out_of_orderness: arguments.out_of_orderness },
        stages: vec![Stage::Window(window)],
        sink: Sink {
            format: arguments.output_format.map_or(format, text_format),
            ..Sink::default()
        },
        ..PipelineSpec::default()
    }
}

fn text_format(format: Format) -> TextFormat {
    match format {
        Format::Ndjson => TextFormat::Ndjson,
        Format::Csv => TextFormat::Csv,
    }
}

/// The error with the flag in the place of the field of a pipeline file.
fn in_flags(error: &SpecError) -> String {
    let flags = [
        ("source.key", "--key"),
        ("source.value", "--value"),
        ("source.timestamp", "--timestamp"),
        ("stages[0].size", "--tumbling"),
        ("stages[0].offset", "--offset"),
        ("stages[0].aggregations", "--agg"),
        ("time.max_out_of_orderness", "--out-of-orderness"),
    ];
    match flags.iter().find(|(field, _)| error.path().starts_with(field)) {
        Some((_, flag)) => format!("{flag}: {}", error.message()),
        None => error.to_string(),
    }
}
