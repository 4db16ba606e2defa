//! Loads pipeline files. Errors name the file, the line and the field.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stream_processor::spec::{Format, PipelineSpec, SpecError};
use stream_processor::{Error, Pipeline};

use super::args::IoArgs;
use super::variables::Variables;
use super::{Exit, formats};

/// Loads and checks the pipeline at `path`: JSON if its name ends in `.json`, otherwise TOML. Its
/// texts may contain environment variables.
pub(crate) fn load(path: &Path) -> Result<Pipeline, Exit> {
    load_with(path, |_| {})
}

/// Loads the pipeline at `path` for a run. Formats that it does not name follow from the names of
/// the files of `arguments`.
pub(crate) fn load_for_run(path: &Path, arguments: &IoArgs) -> Result<Pipeline, Exit> {
    let inputs = arguments.inputs();
    let pipeline = load_with(path, |spec| {
        set_format(spec, "source", inputs.first().and_then(|path| formats::of_path(path)));
        set_format(spec, "sink", arguments.output.as_deref().and_then(formats::of_path));
    })?;
    let own_inputs = || pipeline.spec().source.path.0.iter().map(PathBuf::from).collect();
    let inputs = if inputs.is_empty() { own_inputs() } else { inputs };
    formats::detect(&inputs, true, arguments.quiet);
    Ok(pipeline)
}

/// Sets the format of a section that has none.
fn set_format(spec: &mut Value, section: &str, format: Option<Format>) {
    let Some(format) = format else { return };
    let Some(sections) = spec.as_object_mut() else { return };
    let options = sections.entry(section).or_insert_with(|| json!({}));
    if let Some(options) = options.as_object_mut() {
        options.entry("format").or_insert_with(|| json!(format));
    }
}

/// Loads the pipeline at `path` with the changes of `change`.
fn load_with(path: &Path, change: impl FnOnce(&mut Value)) -> Result<Pipeline, Exit> {
    let text = fs::read_to_string(path).map_err(|source| {
        let name = path.display().to_string();
        Exit::Invalid(Error::Read { name, source }.to_string())
    })?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let value = if is_json {
        PipelineSpec::value_of_json(&text)
    } else {
        PipelineSpec::value_of_toml(&text)
    };
    let mut variables = Variables::default();
    let expanded = value.and_then(|mut value| variables.expand_all(&mut value).map(|()| value));
    let invalid = |error: SpecError| Exit::Invalid(located(path, &error, &variables));
    let in_text = |error: SpecError| match is_json {
        true => invalid(error),
        false => invalid(error.located_in(&text)),
    };
    let mut value = expanded.map_err(in_text)?;
    change(&mut value);
    let spec = PipelineSpec::from_value(value).map_err(in_text)?;
    Pipeline::new(spec).map_err(|error| match error {
        Error::Spec(error) => in_text(error),
        error => Exit::Invalid(error.to_string()),
    })
}

/// Returns the message of an error with its position: `pipeline.toml:7: stages[0].size: ...`.
fn located(path: &Path, error: &SpecError, variables: &Variables) -> String {
    let mut position = path.display().to_string();
    if let Some(line) = error.line() {
        position.push_str(&format!(":{line}"));
    }
    let message = variables.hide(error.message());
    match error.path() {
        "" => format!("{position}: {message}"),
        field => format!("{position}: {field}: {message}"),
    }
}
