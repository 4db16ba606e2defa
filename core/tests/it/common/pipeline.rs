//! Pipelines of the tests, built from parts.

use serde_json::{Value, json};
use stream_processor_core::{Engine, Options, PipelineSpec, Plan, SpecError};

/// A pipeline as JSON, extended one option and one stage at a time.
#[derive(Debug, Clone)]
pub struct Pipeline(Value);

impl Pipeline {
    /// Returns a pipeline without stages whose source has the key `k` and the value `v`.
    pub fn keyed() -> Self {
        Self::of(json!({"key": "k", "value": "v"}))
    }

    /// Returns a pipeline without stages that reads `source`.
    pub fn of(source: Value) -> Self {
        Self(json!({"source": source, "time": {}, "limits": {}, "stages": []}))
    }

    /// Sets the out-of-orderness.
    pub fn bound(self, bound: &str) -> Self {
        self.time("max_out_of_orderness", bound)
    }

    /// Sets the out-of-orderness in microseconds; `None` is unbounded.
    pub fn bound_us(self, bound: Option<i64>) -> Self {
        self.bound(&bound.map_or("unbounded".to_owned(), |bound| format!("{bound}us")))
    }

    /// Sets an option of event time.
    pub fn time(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0["time"][name] = value.into();
        self
    }

    /// Sets a limit.
    pub fn limit(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0["limits"][name] = value.into();
        self
    }

    /// Sets the limits of a JSON object.
    pub fn limits(self, limits: &Value) -> Self {
        let limits = limits.as_object().unwrap().iter();
        limits.fold(self, |pipeline, (name, value)| pipeline.limit(name, value.clone()))
    }

    /// Sets the number of rows in the result buffer. Small buffers fill up often.
    pub fn result_rows(self, rows: impl Into<Value>) -> Self {
        self.limit("max_result_rows", rows)
    }

    /// Appends a stage.
    pub fn stage(mut self, stage: Value) -> Self {
        self.0["stages"].as_array_mut().unwrap().push(stage);
        self
    }

    /// Appends the stages of a JSON list without its brackets.
    pub fn stages(self, list: &str) -> Self {
        let stages: Vec<Value> = parse(&format!("[{list}]"));
        stages.into_iter().fold(self, Self::stage)
    }

    /// Appends a window stage with `options`, the members of a JSON object without its braces.
    pub fn window(self, options: &str, aggregations: Value) -> Self {
        self.stage(stage("window", options, json!({"aggregations": aggregations})))
    }

    /// Returns the specification.
    #[track_caller]
    pub fn spec(&self) -> PipelineSpec {
        PipelineSpec::from_json(&self.0.to_string()).unwrap()
    }

    /// Returns the plan, or the error if the pipeline is invalid.
    pub fn plan(&self) -> Result<Plan, SpecError> {
        PipelineSpec::from_json(&self.0.to_string()).and_then(|spec| Plan::new(&spec))
    }

    /// Returns the error with which an engine refuses the pipeline, or an empty text if it is
    /// valid.
    pub fn refusal(&self) -> String {
        match PipelineSpec::from_json(&self.0.to_string()) {
            Ok(spec) => match Engine::open(&spec, Options::default()) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        }
    }
}

/// Returns a stage of `kind` with `options`, the members of a JSON object without its braces, and
/// with the members of `more`.
pub fn stage(kind: &str, options: &str, more: Value) -> Value {
    let mut stage: Value = parse(&format!("{{{options}}}"));
    stage["type"] = kind.into();
    let members = more.as_object().unwrap().clone();
    stage.as_object_mut().unwrap().extend(members);
    stage
}

/// Returns the JSON list without its brackets as a list.
pub fn list(members: &str) -> Value {
    parse(&format!("[{members}]"))
}

#[track_caller]
fn parse<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}
