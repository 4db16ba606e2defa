//! A run of a pipeline: from lines of input through the engine to lines of output.
//!
//! The threads of a run and their channels. A number is the capacity of a channel, so a slow thread
//! blocks those before it:
//!
//! ```text
//!             blocks             batches            rows, dropped events
//! +--------+    4    +--------+  3 a shard  +---------+   8 a shard   +--------+
//! | reader | ------> | parser | ----------> | shard 0 | ------------> | writer | -> rows
//! |        |         |        | ---+        +---------+     +-------> |        | -> dead letters
//! +--------+         +--------+    |        +---------+     |         |        | -> late events
//!                       ^  |       +------> | shard 1 | ----+         +--------+
//!                       |  |                +---------+                 ^    |
//!                       |  +------- 3 batch logs: refused lines, text --+    |
//!                       +---------- "writer ended"; a shard: "tick changed" -+
//! ```
//!
//! Processed blocks and batches return to the reader and the parser, which use their memory again.
//! The parser works on the thread that calls [`crate::Pipeline::run`].
//!
//! Who owns what:
//! - The reader ([`reader::InputReader`]) owns the [`Source`](crate::io::Source), which fills
//!   [`input_block::InputBlock`]s ahead of the parser.
//! - The parser ([`parser::Parser`]) owns the text reader, the key dictionary and, with several
//!   shards, the watermark of the whole stream. It cuts the stream into batches:
//!   one [`shard::ShardBatch`] for each shard, and one [`batch_log::BatchLog`] for the writer.
//!   If the first stage is shared, the parser checks the identities of each batch before it sends
//!   it ([`shared_check`]), and waits for the store meanwhile.
//! - Each shard ([`shard::Shard`]) owns one engine and the state of its keys.
//! - The writer ([`writer::Writer`]) owns the [`Sink`](crate::io::Sink) of rows and the other
//!   outputs. For each `BatchLog` it takes the rows of
//!   that batch from all shards, merges them into the defined order, and writes them. Then it
//!   writes the batch's dead letters and late events in the order of the lines.
//! - [`tick_timer::TickTimer`] exists for pipelines that depend on the time of day. The shard sets
//!   the time of the next tick, and the parser waits no longer than that for input.
//!
//! Order of calls: [`setup`] opens inputs, outputs and engines; [`threads::run`] starts the threads
//! and runs the parser on the calling thread. The end of input closes the shards' channels, and
//! they close the writer's. [`progress`] reports during the run, [`summary`] after it.

mod batch_log;
mod dead_letter;
mod disorder;
mod first_times;
mod input_block;
mod merge;
mod parser;
mod progress;
mod reader;
mod row_chunk;
mod setup;
mod shard;
mod shared_check;
mod split;
mod stop;
mod summary;
pub(crate) mod threads;
mod tick_timer;
mod writer;

pub(crate) use batch_log::LoggedEvents;
pub use first_times::UnlikelyTimes;
pub use progress::{Observer, RefusedLine, RunProgress};
pub use stop::StopHandle;
pub use summary::{PartitionSummary, Summary};
