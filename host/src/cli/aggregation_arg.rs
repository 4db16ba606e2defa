//! One entry of `--agg`: an operation, and the field that it aggregates.

use std::str::FromStr;

use serde_json::{Value, json};
use stream_processor::spec::{Operation, PercentileEngine};

use super::describe::name;

/// Other names of operations, as other tools have them.
const ALIASES: [(&str, &str); 4] =
    [("mean", "avg"), ("average", "avg"), ("median", "p50"), ("std", "stddev")];

/// An aggregation on the command line: `avg`, or `max:bytes` for another field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AggregationArg {
    op: Operation,
    field: Option<String>,
}

impl FromStr for AggregationArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (op, field) = match text.split_once(':') {
            Some((_, "")) => return Err("no field after the colon: write max:bytes".to_owned()),
            Some((op, field)) => (op, Some(field.to_owned())),
            None => (text, None),
        };
        let known = ALIASES.iter().find(|(alias, _)| *alias == op).map_or(op, |(_, name)| name);
        let op = known.parse::<Operation>().map_err(|error| error.to_string())?;
        Ok(Self { op, field })
    }
}

impl AggregationArg {
    /// Returns the aggregation as in a pipeline file. `percentiles` is the engine of percentiles.
    pub(crate) fn to_value(&self, percentiles: Option<PercentileEngine>) -> Value {
        let engine = percentiles.filter(|_| matches!(self.op, Operation::Percentile(_)));
        let mut options = json!({ "op": self.op.to_string() });
        if let Some(field) = &self.field {
            options["field"] = json!(field);
        }
        if let Some(engine) = engine {
            options["engine"] = json!(name(&engine));
        }
        match (&self.field, engine) {
            (None, None) => json!(self.op.to_string()),
            _ => options,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, engine: Option<PercentileEngine>) -> String {
        text.parse::<AggregationArg>().unwrap().to_value(engine).to_string()
    }

    #[test]
    fn aggregations_have_fields_and_other_names() {
        assert_eq!(value("max:bytes", None), r#"{"field":"bytes","op":"max"}"#);
        assert_eq!(value("p95:a:b", None), r#"{"field":"a:b","op":"p95"}"#);
        for (alias, name) in ALIASES {
            assert_eq!(value(alias, None), format!("\"{name}\""));
        }
        for wrong in ["", "max:", ":bytes", "agv"] {
            assert!(wrong.parse::<AggregationArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn engine_applies_to_percentiles_alone() {
        let exact = Some(PercentileEngine::Exact);
        assert_eq!(value("median", exact), r#"{"engine":"exact","op":"p50"}"#);
        assert_eq!(value("avg", exact), "\"avg\"");
    }
}
