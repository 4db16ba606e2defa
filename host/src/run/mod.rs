//! A run of a pipeline: from lines of input through the engine to lines of output.
//!
//! Threads, and what flows between them. Each channel is bounded, so a slow thread slows those
//! before it:
//!
//! ```text
//!  reader            parser (caller's thread)             shard 0..n            writer
//!  reader.rs         parser.rs, split.rs                  shard.rs              writer.rs
//! +--------+ blocks +-------------------------+ batches  +--------+ row chunks +-----------------+
//! | read,  |------->| parse lines, split by   |--------->| engine |----------->| merge shards    |
//! | decom- |   4    | key, stamp watermarks   | 3/shard  | (module|  8/shard   | (merge.rs),     |
//! | press  |<-------|                         |<---------| or     | + dropped  | write rows and  |
//! +--------+ reuse  +-------------------------+  reuse   | native)|   events   | dead letters    |
//!     ^               ^                 |                +--------+            +-----------------+
//!     |               |                 |  one BatchLog per batch: refused lines   ^    |
//!     |               |                 +------------------------------------------+    |
//!     |               +----- "stopped" when the writer ends, "tick changed" from shard 0+
//! ```
//!
//! Who owns what:
//! - The reader ([`reader::InputReader`]) owns the inputs and fills [`input_block::InputBlock`]s
//!   ahead of the parser. It reads one input after another.
//! - The parser ([`parser::Parser`]) owns the text reader, the key dictionary and, with several
//!   shards, the watermark of the whole stream. It cuts the stream into batches:
//!   one [`shard::ShardBatch`] for each shard, and one [`batch_log::BatchLog`] for the writer.
//! - Each shard ([`shard::Shard`]) owns one engine and the state of its keys.
//! - The writer ([`writer::Writer`]) owns the outputs. For each `BatchLog` it takes the rows of
//!   that batch from all shards, merges them into the defined order, and writes them. Then it
//!   writes the batch's dead letters and late events in the order of the lines.
//! - [`tick_timer::TickTimer`] exists for pipelines that depend on the time of day. The shard sets
//!   the time of the next tick, and the parser waits no longer than that for input.
//!
//! Order of calls: [`setup`] opens inputs, outputs and engines; [`threads::run`] starts the threads
//! and runs the parser on the calling thread. The end of input closes the shards' channels, and
//! they close the writer's. [`progress`] reports while the run is under way, [`summary`]
//! afterwards.

mod batch_log;
mod dead_letter;
mod input_block;
mod merge;
mod parser;
mod progress;
mod reader;
mod row_chunk;
mod setup;
mod shard;
mod split;
mod summary;
pub(crate) mod threads;
mod tick_timer;
mod writer;

pub use progress::{Observer, RefusedLine, Tally};
pub use summary::{PartitionSummary, Summary};
