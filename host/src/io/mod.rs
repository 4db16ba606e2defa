//! Inputs and outputs of a run: opening, decompressing, buffering, and checks against using one
//! file twice.
//!
//! - [`Input`] (`input.rs`) names what a run reads. It resolves into [`input::InputSource`]s, which
//!   the reader thread opens one after another; `compression.rs` decompresses gzip and zstd.
//! - [`Output`] (`output.rs`) names where text goes. It opens into an [`output::TextSink`], a
//!   buffered writer of rows, dead letters or late events.
//! - `files.rs` identifies files by device and inode and rejects a run that reads and writes one
//!   file, or writes one file twice.
//! - `stdio.rs` opens the standard streams so that a closed stream is an error.

mod compression;
pub(crate) mod files;
pub(crate) mod input;
pub(crate) mod output;
mod stdio;

pub use input::Input;
pub use output::Output;
