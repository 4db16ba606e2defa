//! Text on both ends: lines of NDJSON or CSV into columns of events, and rows into lines.
//!
//! This is the one reader and the one writer of the project: pure functions from bytes to bytes beside the engine, used
//! by the host, by JavaScript and by Rust programs alike.
//!
//! # What is read
//!
//! A line is what stands between line feeds; a carriage return before one belongs to it. A UTF-8 byte order mark at the
//! very start is skipped. Nothing after the last line feed is no line; any other line, a blank one too, is an event or a
//! [`Rejection`]. Checks come in this order, and the first that fails names the reason:
//!
//! 1. length (`line_too_long`) and UTF-8 (`invalid_utf8`);
//! 2. NDJSON: strict JSON of RFC 8259, one value, nested 128 levels at most, escaped surrogates in pairs
//!    (`invalid_json`), that is an object (`not_an_object`); CSV: every quote closed, and a comma or the end of the line
//!    after it (`invalid_csv`), as many fields as the header (`wrong_column_count`);
//! 3. the timestamp, the fields of the key, the partition, and the columns, each in the order of the [`crate::InputSchema`].
//!
//! | field | JSON | CSV |
//! |---|---|---|
//! | timestamp | a string is RFC 3339 ([`crate::time::parse_rfc3339`]), a number is in the reader's unit | likewise, decided by whether it is a number |
//! | key | a string, number or boolean; null is missing | text as it stands; empty is missing |
//! | partition | as a key | as a key |
//! | column | a number; null is missing | a number, spaces around it allowed; empty is missing |
//! | text | a string, number or boolean; null is missing | text as it stands; empty is missing |
//! | flag | a number or a boolean; null is missing | a number, `true` or `false`; empty is missing |
//!
//! What is missing is rejected as `missing_field`, but for columns that are not required, where it becomes NaN. A value
//! of another type is rejected as `wrong_type` everywhere. In an object that repeats a name the last one counts, as in
//! `JSON.parse`. Numbers that overflow a double, and `NaN` and `inf` in CSV, are rejected as `non_finite`. A number in a
//! key or a partition is rejected as `invalid_key_number` unless it is an integer within the range of doubles or the shortest
//! decimal of a double.
//!
//! CSV is that of RFC 4180 (quotes, line feeds in quotes); its first record is the header. Quotes count at the start of a
//! field only. A quote that is not closed before the input ends, or within the longest length of a line, and one whose
//! closing quote text follows, make a rejection of the record up to the end of the line where the quote opens, and have
//! that line's number. Reading resumes with the next line, so the lines that the quote would hide are read as records. A
//! record that is too long ends with the line in which it exceeds the limit. A bad quote in the header is a [`HeaderError`].

mod feed;
mod identity;
mod read;
mod write;

pub use feed::Feed;
pub use identity::Identifier;
pub use read::check::{FaultyLine, faulty_lines};
pub use read::csv::HeaderError;
pub use read::events::{EventBuffer, NewKeys, Span};
pub use read::reader::{Reader, ReaderOptions};
pub use read::rejection::{FieldRole, Rejection};
pub use write::passed::EventWriter;
pub use write::writer::{write_csv_header, write_rows};

pub(crate) use read::keys::{read_fingerprints, read_keys};

pub use crate::spec::Format;
