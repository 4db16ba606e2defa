//! Pipelines as TOML, for `--print-pipeline`.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The sections in the order of the documentation.
const SECTIONS: [&str; 7] = ["source", "time", "stages", "sink", "late", "dead_letter", "limits"];

/// Options that come first in their table, before the others in alphabetical order.
const FIRST: [&str; 3] = ["type", "window", "path"];

/// Returns a pipeline in JSON as a TOML file.
pub(crate) fn pipeline(spec: &Value) -> String {
    let mut text = String::new();
    for section in SECTIONS {
        match spec.get(section) {
            Some(Value::Object(options)) => table(&format!("[{section}]"), options, &mut text),
            Some(Value::Array(stages)) => {
                for options in stages.iter().filter_map(Value::as_object) {
                    table(&format!("[[{section}]]"), options, &mut text);
                }
            }
            _ => {}
        }
    }
    text
}

/// Appends a table, unless it is an empty section.
fn table(header: &str, options: &Map<String, Value>, text: &mut String) {
    if options.is_empty() {
        return;
    }
    let separator = if text.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{separator}{header}");
    let first = FIRST.iter().filter_map(|name| options.get_key_value(*name));
    let others = options.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
    for (name, value) in first.chain(others) {
        let _ = writeln!(text, "{} = {}", key(name), inline(value));
    }
}

/// Returns a value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(options) => {
            let options =
                options.iter().map(|(name, value)| format!("{} = {}", key(name), inline(value)));
            format!("{{ {} }}", options.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { string(name) }
}

/// Returns a basic string. The escapes of JSON are also escapes of TOML, which needs one more.
fn string(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stream_processor::spec::PipelineSpec;

    #[test]
    fn toml_describes_the_same_pipeline() {
        let spec = json!({
            "source": { "key": ["a b", "\u{7f}\u{1}\"\\\n"], "value": "v" },
            "time": {},
            "stages": [
                { "type": "filter", "where": [{ "any": [
                    { "field": "v", "op": ">", "value": 1e-7 },
                    { "not": { "field": "s", "op": "in", "value": ["x", "ü"] } },
                ] }] },
                { "type": "window", "window": "sliding", "size": "10s", "slide": "1s",
                  "aggregations": ["count", { "op": "p95", "engine": "exact" }] },
            ],
            "limits": { "max_windows_per_key": u32::MAX },
        });
        let text = pipeline(&spec);
        assert_eq!(
            PipelineSpec::from_toml(&text).unwrap(),
            PipelineSpec::from_value(spec).unwrap(),
            "{text}"
        );
        assert!(text.starts_with("[source]\nkey = [\"a b\", "), "{text}");
        assert!(!text.contains("[time]"), "{text}");
    }
}
