//! Deduplication: in one process with [`Deduplicator`], across restarts and processes with
//! [`SharedDeduplicator`].
//!
//! [`Identifier`] computes the identity of an event by a chain of strategies: fields, combinations
//! of fields, or the whole content. Both deduplicators use the same identities as a `dedup` stage.
//!
//! ```text
//! event ──> Identifier ──> FrontFilter (optional) ──> StateBackend::put_if_absent_all
//!                              │ seen by this process        │ absent, or own position: New
//!                              └──> Duplicate                └ another position: Duplicate
//! ```
//!
//! [README.md](https://github.com/stream-processor/stream-processor/blob/main/host/processor/src/deduplication/README.md)
//! is the manual.

mod front_filter;
mod options;
mod shared;

pub use crate::engine::dedup::{
    Check, Deduplicator, DeduplicatorOptions, DeduplicatorStats, Token,
};
pub use crate::engine::spec::Strategy;
pub use crate::engine::text::Identifier;
pub use options::{OnUnavailable, SharedDeduplicatorBuilder};
pub use shared::{Seen, SharedDeduplicator, SharedStats};

/// The snippets of the manual are tests.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Manual;
