//! Conversions for JavaScript, on both sides of the engine: batches in memory that JavaScript
//! writes, and rows as arrays of doubles.
//!
//! ```text
//! JavaScript                                               engine
//! writes columns ──> ReservedBatch (milliseconds ──> us) ──> push
//! lines of JSON  ──> CallIdentities ─────────────────────────^
//!                    InputIds: key ids of columns, of text
//! reads doubles  <── PolledRows <── SpilledRows <──────────── poll
//! ```
//!
//! Times are milliseconds in JavaScript and microseconds in the engine. Keys are ids on both sides,
//! each with a dictionary of its own.

mod identities;
mod input_ids;
mod polled_rows;
mod reserved_batch;
mod spilled_rows;

pub use identities::CallIdentities;
pub use input_ids::InputIds;
pub use polled_rows::PolledRows;
pub use reserved_batch::{ReservedBatch, ReservedRange};
pub use spilled_rows::SpilledRows;
