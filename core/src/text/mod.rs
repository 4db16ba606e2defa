//! Text input and output: parses lines of NDJSON or CSV into columns of events, and formats rows as
//! lines.
//!
//! This is the only reader and the only writer of the project: pure functions on bytes outside the
//! engine. The host, JavaScript and Rust programs all use them.
//!
//! ```text
//! bytes ──> read/ ──┬──> EventBuffer ──> Engine ──> Rows ──> write/ ──> lines
//!             │     └──> Rejection
//!         identity/
//! ```
//!
//! [`Reader`] and [`EventBuffer`] (folder `read/`) turn bytes into batches, and `identity/`
//! computes the identities of events. [`write_rows`] and [`EventWriter`] (folder `write/`) turn
//! rows and unchanged events into text. [`Feed`] connects a reader to an engine, and reports the lines
//! that gave no row, if asked to.
//!
//! # Input
//!
//! A line is the text between line feeds; a carriage return before a line feed belongs to it. A
//! UTF-8 byte order mark at the very start is skipped. An empty rest after the last line feed is
//! not a line. Any other line, even a blank one, is an event or a [`Rejection`]. Checks come in
//! this order, and the first that fails gives the reason:
//!
//! 1. length (`line_too_long`) and UTF-8 (`invalid_utf8`);
//! 2. NDJSON: strict JSON of RFC 8259, one value, at most 128 levels of nesting, escaped surrogates
//!    in pairs (`invalid_json`), that is an object (`not_an_object`). CSV: every quote is closed and
//!    followed by a delimiter or the end of the line (`invalid_csv`), and there are as many fields as in
//!    the header (`wrong_column_count`);
//! 3. the timestamp, the fields of the key, the partition, and the columns, each in the order of
//!    the [`crate::InputSchema`].
//!
//! | field | JSON | CSV |
//! |---|---|---|
//! | timestamp | a string is read by [`crate::time::parse_time_text`], a number is in the reader's unit | a text as a string of JSON |
//! | key | a string, number or boolean; null is missing | text as it stands; empty is missing |
//! | partition | as a key | as a key |
//! | column | a number; null is missing | a number, spaces around it allowed; empty is missing |
//! | text | a string, number or boolean; null is missing | text as it stands; empty is missing |
//! | flag | a number or a boolean; null is missing | a number, `true` or `false`; empty is missing |
//!
//! A missing value is rejected as `missing_field`; in columns that are not required, it becomes NaN
//! instead. A value of another type is always rejected as `wrong_type`. If an object repeats a
//! name, the last value counts, as in `JSON.parse`. Numbers that overflow a double, and `NaN` and
//! `inf` in CSV, are rejected as `non_finite`. A number in a key or a partition must be an integer
//! within the range of doubles, or the shortest decimal of a double. Any other is rejected as
//! `invalid_key_number`.
//!
//! CSV follows RFC 4180 (quotes, line feeds in quotes); its first record is the header. Only quotes
//! at the start of a field count. There are two kinds of bad quotes: those that are not closed
//! before the end of input or within the maximum length of a line, and those whose closing quote is
//! followed by text. The rejection of such a record extends to the end of the line where the quote
//! opens, and has that line's number. Reading resumes at the next line, so lines that the quote
//! would hide are read as records. A record that is too long ends with the line in which it exceeds
//! the limit. A bad quote in the header is a [`HeaderError`].

mod feed;
mod identity;
mod read;
mod report;
mod write;

pub use feed::Feed;
pub use identity::Identifier;
pub use read::check::{FaultyLine, faulty_lines};
pub use read::csv::HeaderError;
pub use read::events::{EventBuffer, NewKeys, Span};
pub use read::reader::{Reader, ReaderOptions};
pub use read::rejection::{FieldRole, Rejection};
pub use read::value::ReadTime;
pub use report::{DroppedEvent, RejectedLine};
pub use write::event_writer::EventWriter;
pub use write::row_writer::{write_csv_header, write_rows};

#[cfg(feature = "host")]
pub(crate) use read::keys::{read_fingerprints, read_keys};

pub use crate::spec::Format;
