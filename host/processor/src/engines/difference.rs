//! The first difference between two pipelines, for an error that names it.

use serde_json::Value;

use crate::engine::PipelineSpec;

/// An option that differs, and its values as JSON; `nothing` if it is not set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The path of the option, as in `stages[0].size`.
    pub(super) path: String,
    pub(super) first: String,
    pub(super) second: String,
}

/// Returns the first option in which two pipelines differ.
pub(super) fn first_difference(first: &PipelineSpec, second: &PipelineSpec) -> Option<Difference> {
    let json = |spec: &PipelineSpec| serde_json::from_str(&spec.to_json()).ok();
    find(String::new(), json(first).as_ref(), json(second).as_ref())
}

fn find(path: String, first: Option<&Value>, second: Option<&Value>) -> Option<Difference> {
    match (first, second) {
        _ if first == second => None,
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let dot = if path.is_empty() { "" } else { "." };
            let of =
                |name: &String| find(format!("{path}{dot}{name}"), one.get(name), other.get(name));
            one.keys().chain(other.keys()).find_map(of)
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => (0..one.len().max(other.len()))
            .find_map(|index| find(format!("{path}[{index}]"), one.get(index), other.get(index))),
        _ => {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            Some(Difference { path, first: text(first), second: text(second) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(stage: &str) -> PipelineSpec {
        let source = r#""source": {"key": "key", "value": "value"}"#;
        PipelineSpec::from_json(&format!("{{{source}, \"stages\": [{stage}]}}")).unwrap()
    }

    #[test]
    fn path_of_the_option_and_both_values_are_returned() {
        let of = |size: &str, aggregations: &str| {
            pipeline(&format!(
                r#"{{"type": "window", "window": "tumbling", "size": "{size}",
                    "aggregations": [{aggregations}]}}"#
            ))
        };
        let one = of("10s", r#""count""#);
        assert_eq!(first_difference(&one, &one), None);
        let size = first_difference(&one, &of("5s", r#""count""#)).unwrap();
        assert_eq!((size.path.as_str(), size.first.as_str()), ("stages[0].size", r#""10s""#));
        assert_eq!(size.second, r#""5s""#);
        let more = first_difference(&one, &of("10s", r#""count", "sum""#)).unwrap();
        assert_eq!(
            (more.path.as_str(), more.first.as_str()),
            ("stages[0].aggregations[1]", "nothing")
        );
    }
}
