//! Loads pipeline files. Errors name the file, the line and the field.

use std::fs;
use std::path::Path;

use stream_processor::spec::{PipelineSpec, SpecError};
use stream_processor::{Error, Pipeline};

use super::Exit;

/// Loads and checks the pipeline at `path`: JSON if its name ends in `.json`, otherwise TOML.
pub(crate) fn load(path: &Path) -> Result<Pipeline, Exit> {
    let text = fs::read_to_string(path).map_err(|source| {
        let name = path.display().to_string();
        Exit::Invalid(Error::Read { name, source }.to_string())
    })?;
    let invalid = |error: SpecError| Exit::Invalid(located(path, &error));
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let spec =
        if is_json { PipelineSpec::from_json(&text) } else { PipelineSpec::from_toml(&text) };
    Pipeline::new(spec.map_err(invalid)?).map_err(|error| match error {
        Error::Spec(error) if is_json => invalid(error),
        Error::Spec(error) => invalid(error.located_in(&text)),
        error => Exit::Invalid(error.to_string()),
    })
}

/// Returns the message of an error with its position: `pipeline.toml:7: stages[0].size: ...`.
fn located(path: &Path, error: &SpecError) -> String {
    let mut position = path.display().to_string();
    if let Some(line) = error.line() {
        position.push_str(&format!(":{line}"));
    }
    match error.path() {
        "" => format!("{position}: {}", error.message()),
        field => format!("{position}: {field}: {}", error.message()),
    }
}
