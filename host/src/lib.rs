//! stream-processor runs pipelines over live event streams, in one WebAssembly module that gives the same rows
//! everywhere: this crate is that module in wasmtime, with sources and sinks around it.
//!
//! [`Pipeline`] is the whole of it: a checked [`PipelineSpec`](spec::PipelineSpec) that can be run. [`runtime`] has the
//! module's instances for programs that feed them themselves; the engine without a module is the crate
//! `stream-processor-core`.

mod counters;
mod error;
pub mod module;
mod run;
pub mod runtime;
mod stdio;
mod zones;

pub use counters::{Counters, ReasonCount, StageCounters};
pub use error::Error;
pub use run::{
    DEFAULT_BATCH_EVENTS, EngineKind, Failure, Input, Io, Observer, Output, PartitionSummary,
    Pipeline, RefusedLine, Settings, Summary, Tally,
};
pub use stream_processor_core::{OneShard, Plan, RejectReason};

/// Pipeline descriptions.
pub mod spec {
    pub use stream_processor_core::spec::*;
    pub use stream_processor_core::time::TimeUnit;
}

/// The columns that pipelines read and write.
pub mod schema {
    pub use stream_processor_core::{
        InputColumn, InputKind, InputSchema, OutputColumn, OutputKind, OutputSchema,
    };
}
