//! Rejected lines, and their descriptions.

use super::events::Span;
use super::quotes::BadQuote;
use super::value::Kind;
use crate::{InputKind, InputSchema, RejectReason};
use core::fmt;

/// Maximum number of characters of a value that a message shows.
const SHOWN_CHARACTERS: usize = 40;

/// A rejected line, or one part of a line that was too long to be read at once.
/// ```
/// use stream_processor_core::{InputSchema, text::{EventBuffer, Reader, ReaderOptions}};
/// let schema = InputSchema { timestamp: "ts".into(), key: vec!["k".into()], ..InputSchema::default() };
/// let mut reader = Reader::new(&schema, ReaderOptions::default());
/// let mut events = EventBuffer::new();
/// let bytes = b"{\"ts\":5,\"k\":\"a\"}\n{\"k\":\"a\"}\n";
/// reader.read(bytes, true, 4096, &mut events)?;
/// assert_eq!(events.rejections()[0].line, 2);
/// # Ok::<(), stream_processor_core::text::HeaderError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// The line; 1 for the first of the input. A CSV record has the line of its first byte or, for
    /// a bad quote, that of the opening quote.
    pub line: u64,
    /// The reason.
    pub reason: RejectReason,
    /// The field that caused the rejection, if any.
    pub field: Option<FieldRole>,
    /// The position of the line, or of this part of it, in the bytes that were read.
    pub span: Span,
    /// True if an earlier rejection has the preceding part of the line: this one must not be
    /// counted again.
    pub continuation: bool,
    /// True if a further rejection, perhaps of a later read, continues the same line.
    pub continues: bool,
    pub(super) found: Found,
}

/// The role of a field.
/// ```
/// use stream_processor_core::{InputSchema, text::{EventBuffer, Reader, ReaderOptions}};
/// let schema = InputSchema { timestamp: "ts".into(), key: vec!["k".into()], ..InputSchema::default() };
/// let mut reader = Reader::new(&schema, ReaderOptions::default());
/// let mut events = EventBuffer::new();
/// let bytes = b"{\"ts\":5,\"k\":\"a\"}\n{\"k\":\"a\"}\n";
/// reader.read(bytes, true, 4096, &mut events)?;
/// let role = events.rejections()[0].field.expect("a field is missing");
/// assert_eq!(role.name(&schema), "ts");
/// # Ok::<(), stream_processor_core::text::HeaderError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRole {
    /// The event time.
    Timestamp,
    /// The key field with this index in [`InputSchema::key`].
    Key(usize),
    /// The partition.
    Partition,
    /// The column with this index in [`InputSchema::columns`].
    Column(usize),
}

impl FieldRole {
    /// Returns the name of the field in the events.
    #[must_use]
    pub fn name(self, schema: &InputSchema) -> &str {
        match self {
            Self::Timestamp => &schema.timestamp,
            Self::Key(index) => schema.key.get(index).map_or("", |name| name),
            Self::Partition => schema.partition.as_deref().unwrap_or_default(),
            Self::Column(index) => schema.columns.get(index).map_or("", |column| &column.name),
        }
    }
}

/// The text found in place of the required one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing to add to the reason.
    Nothing,
    /// A line longer than this.
    Longer { max_line_bytes: usize },
    /// Invalid JSON at this position.
    Syntax { at: usize, expected: &'static str },
    /// A bad quote.
    Quote(BadQuote),
    /// This number of CSV fields.
    Fields { found: usize, expected: usize },
    /// A value, and the position of its text if that lies in the bytes that were read.
    Value { kind: Kind, text: Option<Span> },
}

impl Rejection {
    /// Returns a description of the rejection: the field, what was found, and what would be right.
    ///
    /// `schema` is that of the reader, and `bytes` are those that were read. Nothing is computed
    /// before it is printed.
    #[must_use]
    pub fn detail<'a>(
        &'a self,
        schema: &'a InputSchema,
        bytes: &'a [u8],
    ) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.describe(schema, bytes, f))
    }

    fn describe(
        &self,
        schema: &InputSchema,
        bytes: &[u8],
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match self.found {
            Found::Longer { max_line_bytes } => {
                write!(f, "the line is longer than {max_line_bytes} bytes")
            }
            Found::Syntax { at, expected } => self.describe_syntax(bytes, at, expected, f),
            Found::Quote(quote) => write!(f, "{quote}"),
            Found::Fields { found, expected } => {
                write!(f, "the record has {found} fields, the header has {expected}")
            }
            Found::Value { kind, text } => {
                let role = self.field.unwrap_or(FieldRole::Timestamp);
                let is_missing = self.reason == RejectReason::MissingField;
                if let FieldRole::Column(column) = role
                    && is_missing
                    && column < schema.require_any_of
                {
                    return write_all_missing(schema, f);
                }
                write!(f, "field {:?}: ", role.name(schema))?;
                write_problem(self.reason, role, schema, f)?;
                if is_missing && kind == Kind::Text {
                    return f.write_str(", but it is empty");
                }
                f.write_str(", found ")?;
                write_value(kind, text.map(|span| span.of(bytes)), f)
            }
            Found::Nothing => f.write_str(match self.reason {
                RejectReason::InvalidUtf8 => "the line is not UTF-8",
                RejectReason::NotAnObject => "the line is JSON, but not an object",
                reason => reason.name(),
            }),
        }
    }

    fn describe_syntax(
        &self,
        bytes: &[u8],
        at: usize,
        expected: &str,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let line = self.span.of(bytes);
        if line.iter().all(u8::is_ascii_whitespace) {
            return f.write_str("the line is blank");
        }
        let column = at.saturating_sub(self.span.start as usize);
        write!(f, "byte {}: expected {expected}, found ", column + 1)?;
        let rest = String::from_utf8_lossy(line.get(column..).unwrap_or(&[]));
        match rest.chars().next() {
            Some(character) => write!(f, "{character:?}"),
            None => f.write_str("the end of the line"),
        }
    }
}

/// Writes that none of the values is there of which an event must have one.
fn write_all_missing(schema: &InputSchema, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("expected a number in at least one of the fields ")?;
    for (index, column) in schema.columns.iter().take(schema.require_any_of).enumerate() {
        write!(f, "{}{:?}", if index == 0 { "" } else { ", " }, column.name)?;
    }
    f.write_str(", found none of them")
}

/// Writes what the pipeline requires of the field.
fn write_problem(
    reason: RejectReason,
    role: FieldRole,
    schema: &InputSchema,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let is_text = |column: usize| {
        schema.columns.get(column).is_some_and(|column| column.kind == InputKind::Text)
    };
    f.write_str(match (reason, role) {
        (RejectReason::InvalidTimestamp, _) => {
            "expected an RFC 3339 time such as 2024-01-31T12:00:00Z (in the program, \
             timestamp_format reads other forms, timestamp_zone local times)"
        }
        (RejectReason::TimestampOutOfRange, _) => {
            "expected a time in the years -271821 to 275760 (is timestamp_unit right?)"
        }
        (RejectReason::NonFinite, _) => "expected a finite number",
        (RejectReason::KeyTooLong, FieldRole::Partition) => {
            "expected a partition of at most limits.max_key_bytes"
        }
        (RejectReason::KeyTooLong, _) => {
            "expected a key of at most limits.max_key_bytes, all its fields together"
        }
        (RejectReason::InvalidKeyNumber, _) => {
            "expected a number that is an integer within ±1.8e308 or the shortest decimal of a double"
        }
        (_, FieldRole::Timestamp) => "expected a time: RFC 3339 text or a number",
        (_, FieldRole::Key(_)) => "expected a key: a string, a number or a boolean",
        (_, FieldRole::Partition) => "expected a partition: a string, a number or a boolean",
        (_, FieldRole::Column(column)) if is_text(column) => {
            "expected a string, a number or a boolean"
        }
        (_, FieldRole::Column(_)) => "expected a number",
    })
}

fn write_value(kind: Kind, text: Option<&[u8]>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = match kind {
        Kind::Missing => return f.write_str("no field of this name"),
        Kind::Null => return f.write_str("null"),
        Kind::True => return f.write_str("true"),
        Kind::False => return f.write_str("false"),
        Kind::Array => return f.write_str("an array"),
        Kind::Object => return f.write_str("an object"),
        Kind::Number => "the number",
        Kind::String | Kind::EscapedString => "the string",
        Kind::Text => "the text",
    };
    f.write_str(name)?;
    let Some(text) = text else { return Ok(()) };
    let text = String::from_utf8_lossy(text);
    let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    match kind {
        Kind::Number => write!(f, " {shown}{more}"),
        _ => write!(f, " {shown:?}{more}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::text::{EventBuffer, Format, Reader, ReaderOptions};
    use crate::{InputColumn, InputKind, InputSchema};

    fn detail(format: Format, text: &str) -> String {
        let column = |name: &str, required| InputColumn {
            name: name.into(),
            kind: InputKind::F64,
            required,
        };
        let schema = InputSchema {
            timestamp: "ts".into(),
            key: vec!["svc".into()],
            partition: None,
            columns: vec![column("v", true), column("w", false)],
            ..InputSchema::default()
        };
        let options = ReaderOptions { format, max_line_bytes: 100, ..ReaderOptions::default() };
        let mut events = EventBuffer::new();
        let mut reader = Reader::new(&schema, options);
        reader.read(text.as_bytes(), true, 100, &mut events).unwrap();
        let rejection = events.rejections().first().unwrap();
        format!("{}: {}", rejection.reason, rejection.detail(&schema, text.as_bytes()))
    }

    #[test]
    fn detail_contains_field_found_and_expected() {
        for (line, expected) in [
            ("  ", "invalid_json: the line is blank"),
            ("{\"ts\":1,}", "invalid_json: byte 9: expected a field name in quotes, found '}'"),
            ("{\"ts\":1", "invalid_json: byte 8: expected ',' or '}', found the end of the line"),
            ("[1]", "not_an_object: the line is JSON, but not an object"),
            (
                "{}",
                "missing_field: field \"ts\": expected a time: RFC 3339 text or a number, found no field of this name",
            ),
            (
                "{\"ts\":\"soon\"}",
                "invalid_timestamp: field \"ts\": expected an RFC 3339 time such as 2024-01-31T12:00:00Z (in the program, timestamp_format reads other forms, timestamp_zone local times), found the string \"soon\"",
            ),
            (
                "{\"ts\":1e30}",
                "timestamp_out_of_range: field \"ts\": expected a time in the years -271821 to 275760 (is timestamp_unit \
                 right?), found the number 1e30",
            ),
            (
                "{\"ts\":1,\"svc\":[]}",
                "wrong_type: field \"svc\": expected a key: a string, a number or a boolean, found an array",
            ),
            (
                "{\"ts\":1,\"svc\":1e400}",
                "invalid_key_number: field \"svc\": expected a number that is an integer within ±1.8e308 or the shortest \
                 decimal of a double, found the number 1e400",
            ),
            (
                "{\"ts\":1,\"svc\":\"a\",\"v\":\"a text that is longer than what a message shows of it\"}",
                "wrong_type: field \"v\": expected a number, found the string \"a text that is longer than what a messag\"…",
            ),
            (
                "{\"ts\":1,\"svc\":\"a\",\"v\":1,\"w\":-1e999}",
                "non_finite: field \"w\": expected a finite number, found the number -1e999",
            ),
        ] {
            assert_eq!(detail(Format::Ndjson, line), expected);
        }
        assert_eq!(
            detail(Format::Ndjson, &"x".repeat(101)),
            "line_too_long: the line is longer than 100 bytes"
        );
        for (record, expected) in [
            (
                "1,\"a\"b,3,4",
                "invalid_csv: text follows the quoted field at byte 3: expected a delimiter or the end of the line",
            ),
            (
                "\"1\n\",\"a\n,3,4",
                "invalid_csv: the quote at byte 3 is not closed before the input ends",
            ),
            ("1,2", "wrong_column_count: the record has 2 fields, the header has 4"),
            (
                "1,,3,4",
                "missing_field: field \"svc\": expected a key: a string, a number or a boolean, but it is empty",
            ),
            (
                "1,a,nan,4",
                "non_finite: field \"v\": expected a finite number, found the text \"nan\"",
            ),
        ] {
            assert_eq!(detail(Format::Csv, &format!("ts,svc,v,w\n{record}")), expected);
        }
    }
}
