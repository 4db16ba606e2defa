//! Reads lines of NDJSON and CSV into columns of events.
//!
//! ```text
//!  bytes ──> reader ──> ndjson (scan, words) ─┬─> value ──> collect ──> events
//!                  └──> csv (quotes, lines) ──┘     │
//!                                                   └──> rejection
//! ```
//!
//! The [`reader::Reader`] finds whole lines in the bytes and has one of the two syntaxes parse each
//! of them into [`value::Value`]s, one for each field that the pipeline needs. The collector turns
//! these into a row of an [`events::EventBuffer`], or into a [`rejection::Rejection`]. Field names
//! are looked up in [`names::Names`].

pub(super) mod check;
mod collect;
pub(super) mod csv;
pub(super) mod events;
mod front_filter;
#[cfg(feature = "host")]
pub(super) mod keys;
pub(super) mod lines;
pub(super) mod names;
pub(super) mod ndjson;
pub(super) mod paths;
mod quotes;
pub(super) mod reader;
pub(super) mod rejection;
pub(super) mod scan;
pub(super) mod unescape;
pub(super) mod value;
mod words;
