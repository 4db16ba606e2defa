//! Deduplication by a store that several processes share: `shared` of a `dedup` stage.
//!
//! The engine knows no stores. The program checks the identities of a whole batch in one round trip
//! before the batch goes to the engine, and writes the verdicts into the batch in place of the
//! identities. The engine's own stage then passes or drops, counts and reports the events as for
//! identities of its own, so watermarks, counters and dead letters are the same:
//!
//! ```text
//!                identities            verdicts: FOUND_NEW, FOUND_DUPLICATE
//! parser: batch ------------> SharedDedup -----------------> shards: engine
//!                                 |  put-if-absent (identity -> position)
//!                                 v
//!                     Redis, PostgreSQL, fjall, sled
//! ```
//!
//! [`SharedStage`] is the checked description: which store, and the pipeline as the engine runs it.
//! [`SharedDedup`] is the open store of a run. [`ReplayableInput`] and [`RunToken`] decide which
//! marks of an earlier run are this run's own.

mod open;
mod replay;
mod stage;
mod store;

pub(crate) use open::SharedDedup;
pub(crate) use replay::ReplayableInput;
use replay::RunToken;
pub(crate) use stage::SharedStage;
use store::StoreConfig;
