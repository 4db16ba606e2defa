//! Random pipelines and streams, and all the ways to run them that must give the same rows.
//!
//! A [`Case`] is a pipeline and its events, both as JSON, so that the engine and the program can
//! run the same case.
//!
//!     seed -> generate -> Case -> check -> runs of Shards -> Output, compared
//!                           ^                                  |
//!                           +---------- shrink <- Failure -----+
//!
//! - `generate` makes the pipeline of a seed from the stages of `windows`, `normalize` and
//!   `stages`, with lists of `aggregations`. `stream` makes its events.
//! - `run` reads the events and runs them through one or several engines; each is a `shard`.
//! - `check` compares the outputs of many runs, and `shrink` makes a failing case smaller.

mod aggregations;
mod check;
mod generate;
mod normalize;
mod random;
mod run;
mod shard;
mod shrink;
mod stages;
mod stream;
mod windows;

use std::fmt;

use serde_json::Value;
use stream_processor_core::{PipelineSpec, Plan};

pub use check::{Failure, Outcome, agrees_with_unbounded, check, runs, same_rows};
pub use generate::{Choice, generate};
pub use random::Random;
#[allow(unused_imports, reason = "the tests of the program use them too")]
pub use run::{Output, Parsed, Row, Run, WHOLE, run};
pub use shrink::shrink;

/// A pipeline and the events of its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub pipeline: Value,
    pub events: Vec<Value>,
}

/// A case that the engine has accepted: its specification, its plan and its parsed events.
pub struct Opened {
    pub spec: PipelineSpec,
    pub plan: Plan,
    pub events: Parsed,
}

impl Case {
    /// Returns the accepted case, or `None` if the pipeline or an event is refused.
    pub fn open(&self) -> Option<Opened> {
        let spec = PipelineSpec::from_value(self.pipeline.clone()).ok()?;
        let plan = Plan::new(&spec).ok()?;
        let events = Parsed::of(self, &spec, &plan)?;
        Some(Opened { spec, plan, events })
    }

    /// Returns the events as NDJSON.
    pub fn ndjson(&self) -> String {
        self.events.iter().map(|event| format!("{event}\n")).collect()
    }

    /// Returns the types of the stages. A window has the name of its kind.
    pub fn stages(&self) -> Vec<String> {
        let stages = self.pipeline["stages"].as_array().unwrap().iter();
        let name = |stage: &Value| match (&stage["window"], &stage["type"]) {
            (Value::String(kind), _) if stage["type"] == "window" => kind.clone(),
            (_, Value::String(kind)) => kind.clone(),
            _ => "?".to_owned(),
        };
        stages.map(name).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pipeline: {}\nevents:", self.pipeline)?;
        f.write_str(&self.ndjson())
    }
}
