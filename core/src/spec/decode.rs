//! Decodes JSON values into a [`PipelineSpec`], with errors that name the path and what would be
//! right.

use core::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::explain::explain;
use super::value_reader::{ReadError, read};
use super::{Format, PipelineSpec, Stage};
use crate::util::escaped::{Escaped, is_escaped};

/// An error in a pipeline description, with its location.
/// ```
/// use stream_processor_core::PipelineSpec;
/// let error = PipelineSpec::from_json(r#"{"stages": [{"type": "windows"}]}"#).unwrap_err();
/// assert!(error.path().starts_with("stages[0]"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    path: String,
    line: Option<usize>,
    message: String,
}

impl SpecError {
    /// Creates an error about the field at `path`, for hosts that check their own fields.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: escaped(path.into()), line: None, message: escaped(message.into()) }
    }

    pub(crate) fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Returns the path of the field, as in `stages[0].size`; empty for the text as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the line in the text, from 1, if known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// Returns what is wrong and what would be right.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl core::error::Error for SpecError {}

/// Escapes the text as [`Escaped`] does: only names from the description need it.
fn escaped(text: String) -> String {
    if text.contains(is_escaped) { Escaped(&text).to_string() } else { text }
}

const SECTIONS: [&str; 7] = ["source", "time", "stages", "sink", "late", "dead_letter", "limits"];

/// Decodes the sections separately, so that each error knows its path.
#[inline]
pub(super) fn pipeline(value: Value) -> Result<PipelineSpec, SpecError> {
    let Value::Object(mut sections) = value else {
        return Err(SpecError::new("", "expected a table of sections, such as [source]"));
    };
    if let Some(name) = sections.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
        let message = format!("unknown section `{name}`, {}", expected(name, &SECTIONS));
        return Err(SpecError::new(name, message));
    }
    for name in ["source", "sink"] {
        add_format(sections.get_mut(name));
    }
    Ok(PipelineSpec {
        source: section(&mut sections, "source")?.unwrap_or_default(),
        time: section(&mut sections, "time")?.unwrap_or_default(),
        stages: stages(sections.remove("stages"))?,
        sink: section(&mut sections, "sink")?.unwrap_or_default(),
        late: section(&mut sections, "late")?,
        dead_letter: section(&mut sections, "dead_letter")?,
        limits: section(&mut sections, "limits")?.unwrap_or_default(),
    })
}

/// Adds the format that the first path of a section tells, if the section names no format.
fn add_format(section: Option<&mut Value>) {
    let Some(Value::Object(options)) = section else { return };
    let path = match options.get("path") {
        Some(Value::Array(paths)) => paths.first(),
        path => path,
    };
    let format = path.and_then(Value::as_str).and_then(Format::of_path);
    if let (Some(format), false) = (format, options.contains_key("format"))
        && let Ok(format) = serde_json::to_value(format)
    {
        options.insert("format".to_owned(), format);
    }
}

#[inline]
fn section<T: DeserializeOwned>(
    sections: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, SpecError> {
    match sections.remove(name) {
        None => Ok(None),
        Some(Value::Array(_)) => Err(SpecError::new(name, "expected a table, found a list")),
        Some(value) => table(name, &value).map(Some),
    }
}

#[inline]
fn stages(value: Option<Value>) -> Result<Vec<Stage>, SpecError> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(stages)) => {
            let stages = stages.into_iter().enumerate();
            stages.map(|(index, value)| Stage::decode(&format!("stages[{index}]"), value)).collect()
        }
        Some(_) => Err(SpecError::new("stages", "expected a list of stages: [[stages]]")),
    }
}

/// Decodes a table at `path`.
#[inline]
pub(super) fn table<T: DeserializeOwned>(path: &str, value: &Value) -> Result<T, SpecError> {
    read(value).map_err(|error| explained(path, &error))
}

/// Returns `error`, which occurred in the table at `path`, in terms of a pipeline description.
#[cold]
#[inline]
fn explained(path: &str, error: &ReadError) -> SpecError {
    match error.path.as_str() {
        "" => explain(path, &error.message),
        inner => explain(&format!("{path}.{inner}"), &error.message),
    }
}

/// Maximum length of names that are compared for similarity, which takes the product of their
/// lengths.
const MAX_COMPARED_BYTES: usize = 64;

/// Returns `did you mean ...?` if one of `known` is similar, followed by all of them.
pub(crate) fn expected(found: &str, known: &[&str]) -> String {
    let is_short = |name: &str| name.len() <= MAX_COMPARED_BYTES;
    let near = known
        .iter()
        .filter(|name| is_short(found) && is_short(name))
        .map(|name| (strsim::osa_distance(found, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len().min(found.len()) / 3);
    let list = known.join(", ");
    match near {
        Some((_, name)) => format!("did you mean `{name}`? (expected one of: {list})"),
        None => format!("expected one of: {list}"),
    }
}
