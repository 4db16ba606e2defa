//! Pipelines as TOML text: adds the line to errors.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{PipelineSpec, SpecError};

/// Parses a pipeline from TOML.
pub(super) fn pipeline(text: &str) -> Result<PipelineSpec, SpecError> {
    PipelineSpec::from_value(value(text)?).map_err(|error| locate(text, error))
}

/// Parses TOML to a JSON value.
pub(super) fn value(text: &str) -> Result<Value, SpecError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        SpecError::new("", error.message().trim()).at_line(line_of(text, at))
    })?;
    Ok(serde_json::to_value(table).unwrap_or(Value::Null))
}

/// Formats a pipeline as TOML.
pub(super) fn print(spec: &PipelineSpec) -> String {
    toml::to_string(spec).unwrap_or_default()
}

impl SpecError {
    /// Returns the error with the line of its field, or of the nearest enclosing table, in the TOML
    /// source `text`.
    #[must_use]
    pub fn located_in(self, text: &str) -> Self {
        locate(text, self)
    }
}

/// Adds the line of the field that `error` names, or of the nearest enclosing table.
fn locate(text: &str, error: SpecError) -> SpecError {
    let Ok(document) = DeTable::parse(text) else { return error };
    match offset(document.get_ref(), document.span().start, error.path()) {
        Some(at) => error.at_line(line_of(text, at)),
        None => error,
    }
}

/// Returns the byte offset of the field at `path`, or of its deepest existing parent.
fn offset(root: &DeTable<'_>, start: usize, path: &str) -> Option<usize> {
    let mut at = None;
    let mut table = Some(root);
    let mut value: Option<&Spanned<DeValue<'_>>> = None;
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        if let Some(index) = step.strip_suffix(']') {
            let DeValue::Array(items) = value?.get_ref() else { break };
            let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) else {
                break;
            };
            at = Some(item.span().start);
            value = Some(item);
        } else {
            let found = table?.iter().find(|(key, _)| key.get_ref() == step);
            let Some((key, item)) = found else { break };
            at = Some(key.span().start);
            value = Some(item);
        }
        table = match value.map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            _ => None,
        };
    }
    at.or(Some(start).filter(|_| path.is_empty()))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        pipeline(text).unwrap_err().to_string()
    }

    #[test]
    fn errors_contain_line_field_and_suggestion() {
        let text = "[source]\nkey = \"service\"\nvalu = \"latency\"\n";
        assert_eq!(
            error(text),
            "line 3: source.valu: unknown field `valu`, did you mean `value`? \
             (expected one of: type, path, format, delimiter, timestamp, \
             timestamp_unit, timestamp_format, timestamp_zone, key, on_null_key, value, require, null, partition)"
        );
        let text = "[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"10\"\naggregations = [\"count\"]\n";
        assert!(
            error(text).starts_with("line 4: stages[0].size: \"10\" is not a duration"),
            "{}",
            error(text)
        );
        let text = "[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"10s\"\naggregations = [\"count\", \"agv\"]\n";
        assert!(
            error(text).starts_with(
                "line 5: stages[0].aggregations[1]: unknown aggregation `agv`, did you mean `avg`?"
            ),
            "{}",
            error(text)
        );
        let text = "[[stages]]\ntype = \"windo\"\n";
        assert!(error(text).starts_with(
            "line 2: stages[0].type: unknown stage type `windo`, did you mean `window`?"
        ));
        let text = "[[stages]]\nwindow = \"tumbling\"\ntype = \"window\"\naggregations = []\n";
        assert!(error(text).starts_with("line 1: stages[0].size: missing: the length of a window"));
        assert!(error("[source\n").starts_with("line 1: "));
        assert!(error("[sauce]\n").contains("did you mean `source`"));
        let text = "[time]\nmax_out_of_orderness = 5\n";
        assert!(
            error(text).starts_with(
                "line 2: time.max_out_of_orderness: expected a duration of 0s or more"
            ),
            "{}",
            error(text)
        );
    }

    #[test]
    fn printed_toml_parses_back() {
        let text = "[source]\nkey = [\"a\", \"b\"]\nvalue = \"v\"\n[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\n\
                    size = \"1m\"\naggregations = [\"count\", { op = \"max\", field = \"v\", name = \"peak\" }]\n";
        let spec = pipeline(text).unwrap();
        assert_eq!(pipeline(&print(&spec)).unwrap(), spec);
        assert_eq!(PipelineSpec::from_json(&spec.to_json()).unwrap(), spec);
    }
}
