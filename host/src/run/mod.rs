//! A pipeline run in this process: from lines of input through the module to lines of output.

mod alarm;
mod block;
mod chunk;
mod collect;
mod feed;
mod fetch;
mod files;
mod gzip;
mod input;
mod letters;
mod merge;
mod notes;
mod observe;
mod output;
mod pipeline;
mod setup;
mod shard;
mod split;
mod summary;
mod tally;
mod threads;

pub use input::Input;
pub use observe::{Observer, RefusedLine};
pub use output::Output;
pub use pipeline::{DEFAULT_BATCH_EVENTS, EngineKind, Failure, Io, Pipeline, Settings};
pub use summary::{PartitionSummary, Summary};
pub use tally::Tally;
