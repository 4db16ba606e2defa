#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
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

mod batch;
mod byte_table;
pub mod dedup;
mod drops;
mod engine;
mod error;
mod event_time;
mod expression;
mod frame;
mod head;
pub mod interner;
pub mod json;
pub mod key;
#[cfg(feature = "text")]
pub mod key_json;
mod keys;
mod lanes;
pub mod number;
mod plan;
mod probing;
mod rank;
mod reject;
mod rows;
mod schema;
mod select;
mod snapshot;
mod sort;
pub mod spec;
mod stages;
pub mod statistics;
mod stats;
#[cfg(feature = "text")]
pub mod text;
pub mod time;
pub mod watermark;
pub mod wire;

pub use batch::{Batch, Column, Identity, KeyColumn, NO_IDENTITY};
pub use drops::Dropped;
pub use engine::{
    Engine, KeyDefinitions, Merged, Options, Progress, Pushed, Restore, SnapshotCursor,
};
pub use error::{Error, LimitReached, SnapshotError};
pub use plan::{OneShard, Plan};
pub use reject::RejectReason;
pub use rows::{RowColumn, Rows};
pub use schema::{InputColumn, InputKind, InputSchema, OutputColumn, OutputKind, OutputSchema};
pub use spec::{PipelineSpec, SpecError};
pub use stats::{PartitionStats, ReasonCount, StageStats, Stats};

/// The Rust of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
