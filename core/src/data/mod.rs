//! The data that enters, crosses and leaves the engine, all of it in columns.
//!
//! ```text
//!  Batch ──> Frame ──> Frame ──> Rows        events in, from stage to stage, rows out
//!     │         │
//!     └─────────┴──> Dropped, RejectReason    what was refused or dropped, and why
//! ```
//!
//! A [`batch::Batch`] is what a caller pushes; [`schema`] says which columns it needs and which a row has. Between stages,
//! events and rows travel as [`frame::Events`], borrowed from the batch or from the [`frame::Frame`] that the stage before
//! filled. The last frame is handed out as [`rows::Rows`]. [`stats`] counts all of it.

pub(crate) mod batch;
pub(crate) mod dropped;
pub(crate) mod frame;
pub(crate) mod reject;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod stats;
