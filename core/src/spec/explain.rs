//! Rewords the errors of serde in terms of a pipeline description: tables, lists, texts and numbers.

use super::{SpecError, expected};

/// Returns the error for `message`, which serde reports at `path`. The path ends in the field
/// concerned, and the most similar valid name is suggested.
#[inline]
pub(super) fn explain(path: &str, message: &str) -> SpecError {
    if let Some((name, known)) = unknown(message, "unknown field ") {
        let text = format!("unknown field `{name}`, {}", expected(name, &known));
        return SpecError::new(ending_in(path, name), text);
    }
    if let Some((name, known)) = unknown(message, "unknown variant ") {
        let text = format!("unknown name `{name}`, {}", expected(name, &known));
        return SpecError::new(path, text);
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        let path = ending_in(path, name.trim_matches('`'));
        return SpecError::new(path, "missing: it must be set");
    }
    SpecError::new(path, mismatch(message).unwrap_or_else(|| message.to_owned()))
}

/// Returns `path` with `field` as its last part.
#[inline]
fn ending_in(path: &str, field: &str) -> String {
    match path.strip_suffix(field) {
        Some(rest) if rest.ends_with('.') => path.to_owned(),
        _ => format!("{path}.{field}"),
    }
}

/// Returns the unknown name of `message`, which begins with `prefix`, and the known names.
#[inline]
fn unknown<'a>(message: &'a str, prefix: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let (name, known) = message.strip_prefix(prefix)?.rsplit_once("`, expected ")?;
    Some((name.strip_prefix('`')?, known.split('`').skip(1).step_by(2).collect()))
}

/// Rewords `invalid type: integer `5`, expected a sequence` and the like as `expected a list, found
/// 5`.
#[inline]
fn mismatch(message: &str) -> Option<String> {
    let kinds = ["invalid type: ", "invalid value: ", "invalid length "];
    let rest = kinds.iter().find_map(|kind| message.strip_prefix(kind))?;
    let (found, wanted) = rest.rsplit_once(", expected ")?;
    let wanted = match wanted {
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a tuple of size 2" => "a list of 2 values",
        "fewer elements in array" => "a shorter list",
        "string or map" | "map with a single key" | "unit" => "a name in quotes",
        "f64" => "a number",
        "i64" => "a whole number",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number, 0 or more",
        wanted if wanted.starts_with("struct ") => "a table",
        wanted => wanted,
    };
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    let found = match kind {
        "sequence" => "a list",
        "map" => "a table",
        "integer" | "boolean" => value.trim_matches('`'),
        "floating" => value.trim_start_matches("point ").trim_matches('`'),
        "string" => value,
        length if length.starts_with(|c: char| c.is_ascii_digit()) => {
            return Some(format!("expected {wanted}, found one of length {length}"));
        }
        _ => found,
    };
    Some(format!("expected {wanted}, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::super::PipelineSpec;

    fn error(sections: &str) -> String {
        PipelineSpec::from_json(sections).unwrap_err().to_string()
    }

    fn in_stage(fields: &str) -> String {
        error(&format!("{{\"stages\": [{{{fields}}}]}}"))
    }

    #[test]
    fn wrong_types_are_named_in_terms_of_the_description() {
        let window = |fields: &str| in_stage(&format!(r#"{fields}"type": "window""#));
        for (message, due) in [
            (
                error(r#"{"source": {"key": 5}}"#),
                "source.key: expected a name or a list of names, found 5",
            ),
            (error(r#"{"source": {"key": [true]}}"#), "source.key[0]: expected a text, found true"),
            (error(r#"{"source": "x"}"#), "source: expected a table, found \"x\""),
            (error(r#"{"source": []}"#), "source: expected a table, found a list"),
            (
                error(r#"{"source": {"timestamp": {}}}"#),
                "source.timestamp: expected a text, found a table",
            ),
            (
                error(r#"{"source": {"format": 5}}"#),
                "source.format: expected a name in quotes, found 5",
            ),
            (
                error(r#"{"limits": {"max_keys": -1}}"#),
                "limits.max_keys: expected a whole number from 0 to 4294967295, found -1",
            ),
            (
                error(r#"{"limits": {"max_state_bytes": 1.5}}"#),
                "limits.max_state_bytes: expected a whole number, 0 or more, found 1.5",
            ),
            (
                error(r#"{"time": {"max_out_of_orderness": null}}"#),
                "time.max_out_of_orderness: expected a duration of 0s or more, such as \"2s\", or \"unbounded\", found null",
            ),
            (
                window(r#""aggregations": "a, expected b", "#),
                "stages[0].aggregations: expected a list, found \"a, expected b\"",
            ),
            (
                window(r#""zone_offsets": [[1]], "#),
                "stages[0].zone_offsets[0]: expected a list of 2 values, found one of length 1",
            ),
            (window(""), "stages[0].window: missing: it must be set"),
            (
                in_stage(r#""type": "map", "set": ["a = v"]"#),
                "stages[0].set[0]: expected a table, found \"a = v\"",
            ),
            (
                in_stage(r#""type": "zscore", "learn_anomalies": 0"#),
                "stages[0].learn_anomalies: expected true or false, found 0",
            ),
        ] {
            assert_eq!(message, due);
        }
    }

    #[test]
    fn names_from_the_description_are_escaped() {
        let message = error("{\"source\": {\"a`b\\nc\": 1}}");
        assert!(message.starts_with("source.a`b\\nc: unknown field `a`b\\nc`, "), "{message}");
    }

    #[test]
    fn invalid_json_is_located_once() {
        assert_eq!(error("{\n \"source\": }"), "line 2: invalid JSON at column 12: expected value");
    }
}
