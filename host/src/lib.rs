//! Runs pipelines over live event streams. The engine is one WebAssembly module, which gives the
//! same rows in every runtime; this crate runs it in wasmtime and connects it to files and streams.
//!
//! [`Pipeline`] is the entry point: a checked [`PipelineSpec`](spec::PipelineSpec) that can be run.
//! [`runtime`] gives access to single instances of the module, for programs that push events
//! themselves. The engine without a module is the crate `stream-processor-core`.
//!
//! | module | contents |
//! |---|---|
//! | `pipeline` | [`Pipeline`], [`Settings`], [`Io`]: the public API of a run |
//! | `run` | the threads of a run, from input bytes to output bytes |
//! | `io` | sources and sinks: standard streams, files, compression; public in [`connectors`] |
//! | `module` | the embedded module and its instances in wasmtime |
//! | `shared_dedup` | deduplication by a store that several processes share |
//! | `time_form` | event times in a format or a zone of the user's |
//! | `time_zones` | time zone rules for calendar windows |
//! | `error` | [`Error`] and its codes |

mod error;
mod io;
pub mod module;
mod pipeline;
mod run;
mod shared_dedup;
mod time_form;
mod time_zones;

pub use error::Error;
pub use io::{Input, InputKind, Output};
pub use pipeline::{DEFAULT_BATCH_EVENTS, EngineKind, Failure, Io, Pipeline, Settings};
pub use run::{
    Observer, PartitionSummary, RefusedLine, RunProgress, StopHandle, Summary, UnlikelyTimes,
};
pub use stream_processor_core::{
    LimitReached, OneShard, PartitionStats, Plan, ReasonCount, RejectReason, StageStats, Stats,
};

/// Sources and sinks: the traits that connect a run to other systems, and their implementations.
pub mod connectors {
    pub use crate::io::{
        EventTexts, FileSource, Position, Sink, SinkRows, Source, SourceRead, StreamSource,
    };
}

/// Instances of the module, and the native engine, for programs that push events themselves.
pub mod runtime {
    pub use crate::module::instance::Instance;
    pub use crate::module::limits::{CALL_DEADLINE, DEFAULT_MEMORY_LIMIT_BYTES};
    pub use crate::module::native::NativeEngine;
    pub use crate::module::runtime::Runtime;
    pub use crate::module::worker::Worker;
}

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
