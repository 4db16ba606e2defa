//! Data that enters, crosses and leaves the engine, all of it in columns.
//!
//! ```text
//!  caller ──Batch──> engine ──Events──> stage ──Frame──> stage ──Frame──> Rows ──> caller
//!                      │                  │
//!                      └──────────────────┴──> Dropped, with a RejectReason
//! ```
//!
//! - A caller pushes a [`batch::Batch`]; a [`builder::BatchBuilder`] makes one, event by event.
//! - A stage reads [`frame::Events`], borrowed from the batch or from a [`frame::Frame`], and
//!   appends its output to its own frame. The last frame is handed out as [`rows::Rows`].
//! - [`schema`] lists the columns that a pipeline reads and writes. [`row_layout`] says where in a
//!   frame they are.
//! - [`dropped`] and [`reject`] describe events that give no row, and the reasons.
//! - [`stats`] has the counters, and [`limits_struck`] names the limits that were reached.
//! - [`value`] has single values, for callers that do not work with columns.

pub(crate) mod batch;
pub(crate) mod builder;
pub(crate) mod dropped;
pub(crate) mod frame;
pub(crate) mod limits_struck;
pub(crate) mod reject;
pub(crate) mod row_layout;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod stats;
pub(crate) mod value;
