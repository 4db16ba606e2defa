#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(rustdoc::broken_intra_doc_links, rustdoc::private_intra_doc_links)]
#![cfg_attr(
    not(test),
    deny(
        clippy::missing_errors_doc,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

mod aggregates;
pub mod aggregation;
mod data;
pub mod dedup;
mod engine;
mod error;
mod event_time;
mod expression;
#[cfg(all(feature = "host", feature = "text"))]
pub mod javascript;
pub mod key;
mod keys;
#[cfg(feature = "host")]
pub mod number;
#[cfg(not(feature = "host"))]
#[allow(dead_code, unreachable_pub, reason = "the feature `host` makes it public")]
mod number;
mod plan;
mod snapshot;
pub mod spec;
mod stages;
pub mod statistics;
#[cfg(feature = "text")]
pub mod text;
pub mod time;
mod util;
#[cfg(feature = "host")]
pub mod wire;

pub use data::batch::{
    Batch, Column, FOUND_DUPLICATE, FOUND_NEW, Identity, KeyColumn, NO_IDENTITY,
};
pub use data::builder::{BatchBuilder, BuiltBatch, EventKey};
pub use data::dropped::Dropped;
pub use data::reject::RejectReason;
pub use data::rows::{RowColumn, Rows};
pub use data::schema::{
    ColumnRole, InputColumn, InputKind, InputSchema, OutputColumn, OutputKind, OutputSchema,
};
pub use data::stats::{PartitionStats, ReasonCount, StageStats, Stats};
pub use data::value::Value;
pub use engine::{
    Engine, KeyDefinitions, Merged, Options, Progress, Pushed, Restore, SnapshotCursor,
};
pub use error::{Error, LimitReached, SnapshotError};
pub use event_time::watermark;
#[cfg(feature = "host")]
pub use keys::interner;
#[cfg(all(feature = "host", feature = "text"))]
pub use keys::key_json;
pub use plan::{OneShard, Plan};
pub use spec::{PipelineSpec, SpecError};
#[cfg(feature = "host")]
pub use util::escaped::Escaped;
pub use util::json;

/// Compiles the Rust example of the project's README as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
