//! Inputs and outputs of a run: opening, decompressing, buffering, and checks against using one
//! file twice.
//!
//! ```text
//! Input --into_source()--> dyn Source <--+-- FileSource    files, decompressed
//!                                        +-- StreamSource  standard input, any reader
//!
//! Output --into_sink()--> dyn Sink <------- TextSink       rows as NDJSON or CSV
//!        --open()-------> TextOutput        lines of dead letters and late events, and TextSink's
//! ```
//!
//! - [`Input`] (`input.rs`) and [`Output`] (`output.rs`) name what a run reads and writes. Their
//!   `of` makes them from a pipeline; every kind of source and sink is registered there.
//! - [`Source`] (`source.rs`) is what the reader thread reads; `text_reader.rs` is shared by both
//!   sources, `compression.rs` decompresses and compresses gzip and zstd.
//! - [`Sink`] (`sink.rs`) is what the writer thread writes rows to.
//! - `detect.rs` says what the first bytes of an input seem to be ([`InputKind`]).
//! - `files.rs` identifies files by device and inode and rejects a run that reads and writes one
//!   file, or writes one file twice.
//! - `stdio.rs` opens the standard streams so that a closed stream is an error.

mod compression;
mod detect;
mod file_source;
pub(crate) mod files;
mod input;
mod output;
mod sink;
mod source;
mod stdio;
mod stream_source;
mod text_output;
mod text_reader;
mod text_sink;

pub use detect::InputKind;
pub use file_source::FileSource;
pub use input::Input;
pub use output::Output;
pub use sink::{EventTexts, Sink, SinkRows};
pub use source::{Position, Source, SourceRead};
pub use stream_source::StreamSource;
pub(crate) use text_output::TextOutput;
