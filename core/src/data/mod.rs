//! Data that enters, crosses and leaves the engine, all of it in columns.
//!
//! ```text
//!  caller ──Batch──> engine ──Events──> stage ──Frame──> stage ──Frame──> Rows ──> caller
//!                      │                  │
//!                      └──────────────────┴──> Dropped, with a RejectReason
//! ```
//!
//! ```text
//!  Batch ──> Frame ──> Frame ──> Rows        events in, from stage to stage, rows out
//!     │         │
//!     └─────────┴──> Dropped, RejectReason    what was refused or dropped, and why
//! ```
//!
//! A [`batch::Batch`] is what a caller pushes; a [`builder::BatchBuilder`] makes one, event by event. [`schema`] lists the columns that it needs and the
//! columns of a row. A stage reads [`frame::Events`], borrowed from the batch or from a
//! [`frame::Frame`], and appends its output to its own frame. The last frame is handed out as
//! [`rows::Rows`]. [`stats`] has the counters.

pub(crate) mod batch;
pub(crate) mod builder;
pub(crate) mod dropped;
pub(crate) mod frame;
pub(crate) mod reject;
pub(crate) mod row_layout;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod stats;
pub(crate) mod value;
