//! The argument of `--by`: what identifies an event.

use std::str::FromStr;

use serde_json::{Value, json};

/// Strategies of `dedup`, tried in order, as in a pipeline file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StrategiesArg(pub(crate) Vec<Value>);

impl FromStr for StrategiesArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(',') {
            let fields = |separator: &str| text.replace(',', separator);
            return Err(format!(
                "a comma does not say how the fields identify an event: write {} for all of them \
                 together, or '{}' for the first one that the event has",
                fields("+"),
                fields("|")
            ));
        }
        Ok(Self(text.split('|').map(|text| strategy(text.trim())).collect()))
    }
}

/// Returns a strategy: a field or `@content`, or a list of fields that are joined by `+`.
pub(crate) fn strategy(text: &str) -> Value {
    match text.split('+').collect::<Vec<_>>().as_slice() {
        [_] => json!(text),
        fields => json!(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_joins_fields_and_bar_separates_strategies() {
        let parsed = "event_id | tenant+order|@content".parse::<StrategiesArg>().unwrap();
        assert_eq!(json!(parsed.0), json!(["event_id", ["tenant", "order"], "@content"]));
    }

    #[test]
    fn comma_is_refused_with_both_spellings() {
        let error = "a,b".parse::<StrategiesArg>().unwrap_err();
        assert!(error.contains("write a+b for all") && error.contains("'a|b'"), "{error}");
    }
}
