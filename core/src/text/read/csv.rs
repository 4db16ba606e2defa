//! CSV: records by RFC 4180, the first of which names the columns.
//!
//! A record without doubled quotes and without line feeds in quotes is read in place. For all
//! others, [`Fields`] finds the end, checks the quotes and removes them. It looks only at the bytes
//! of one record of at most the maximum length, so that results do not depend on how the input is
//! split.

use super::lines::{before_return, count_feeds, next_feed};
use super::names::UNNEEDED;
use super::quotes::{BadQuote, Extent, Fields, HIGH_BITS, QuoteFault, skip_plain};
use super::value::{Kind, Value};
use crate::spec::Delimiter;
use crate::util::names::{NameTable, first_repeated};
use memchr::memrchr;

/// Error: the header of a CSV input cannot be used.
/// ```
/// use stream_processor_core::{InputSchema, text::{EventBuffer, Format, Reader, ReaderOptions}};
/// let schema = InputSchema { timestamp: "ts".into(), ..InputSchema::default() };
/// let options = ReaderOptions { format: Format::Csv, ..ReaderOptions::default() };
/// let mut reader = Reader::new(&schema, options);
/// let error = reader.read(b"time,value\n", true, 4096, &mut EventBuffer::new()).unwrap_err();
/// println!("{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// A column that the pipeline needs is missing.
    #[error("the CSV header has no column {name:?}; its columns are {}", quoted(columns))]
    MissingColumn {
        /// The column.
        name: String,
        /// The columns of the header.
        columns: Vec<String>,
    },
    /// A name occurs more than once.
    #[error("the CSV header has the column {name:?} more than once: rename one of them")]
    RepeatedColumn {
        /// The column.
        name: String,
    },
    /// The header is longer than a line may be.
    #[error("the CSV header is longer than {max_line_bytes} bytes")]
    TooLong {
        /// The limit.
        max_line_bytes: usize,
    },
    /// The header is not UTF-8.
    #[error("the CSV header is not UTF-8")]
    InvalidUtf8,
    /// A quote in the header is not closed, or its closing quote is followed by text.
    #[error("line {line}, in the CSV header: {problem}")]
    BadQuote {
        /// The line of the input where the quote opens.
        line: u64,
        /// The defect, and the byte of the line where the quote opens.
        problem: String,
    },
}

/// Returns the names in quotes, escaped, separated by commas.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<String>>().join(", ")
}

/// The columns that a reader needs from a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The columns of the slots. Those from index `required` on are optional.
    pub(super) names: &'a NameTable,
    pub(super) required: usize,
    /// If true, every other column has a slot, too, after those.
    pub(super) all: bool,
}

/// The result of parsing a record.
pub(super) enum Parsed {
    Record(Record),
    Malformed(Malformed),
    /// The record is incomplete.
    Incomplete,
}

/// A record with a bad quote, up to the end of the line where the quote opens. The lines after that
/// are records of their own.
pub(super) struct Malformed {
    pub(super) quote: BadQuote,
    /// Number of line feeds of the record before the quote.
    pub(super) lines_before: u64,
    /// The end of the line where the quote opens, without its line end.
    pub(super) end: usize,
    /// The start of the next line.
    pub(super) next: usize,
}

/// A parsed record.
pub(super) struct Record {
    /// The end of its text, without its line end.
    pub(super) end: usize,
    /// The start of the next record.
    pub(super) next: usize,
    pub(super) fields: usize,
    /// True if the values lie in the bytes that were read, all on one line; otherwise they are in
    /// [`Csv::unquoted`].
    pub(super) in_place: bool,
    pub(super) check_utf8: bool,
}

/// Reads records.
pub(super) struct Csv {
    /// The slot of each column of the header; `None` before the header is read.
    header: Option<Vec<usize>>,
    /// The text of the header.
    header_text: Vec<u8>,
    /// The fields of a quoted record, without their quotes.
    unquoted: Fields,
    max_line_bytes: usize,
    /// The delimiter that the options set.
    given: Option<Delimiter>,
    /// The delimiter of the current input.
    delimiter: u8,
}

impl Csv {
    pub(super) fn new(max_line_bytes: usize, given: Option<Delimiter>) -> Self {
        let (header_text, unquoted) = (Vec::new(), Fields::default());
        let delimiter = given.unwrap_or(Delimiter::Comma).byte();
        Self { header: None, header_text, unquoted, max_line_bytes, given, delimiter }
    }

    /// Returns the number of columns; `None` before the header is read.
    pub(super) fn columns(&self) -> Option<usize> {
        self.header.as_ref().map(Vec::len)
    }

    /// Returns the text of the header, once it is read.
    pub(super) fn header_text(&self) -> Option<&[u8]> {
        self.header.is_some().then_some(&self.header_text)
    }

    /// Starts a new input, which has a header.
    pub(super) fn restart(&mut self) {
        self.header = None;
    }

    /// Returns the bytes that contain the values of `record`.
    #[inline]
    pub(super) fn text<'a>(&'a self, record: &Record, bytes: &'a [u8]) -> &'a [u8] {
        if record.in_place { bytes } else { self.unquoted.text() }
    }

    /// Reads the header at `start`; `None` if it is incomplete. Line feeds before it are skipped.
    pub(super) fn read_header(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
        wanted: Wanted<'_>,
    ) -> Option<Result<Record, HeaderError>> {
        let rest = bytes.get(start..).unwrap_or(&[]);
        let skipped = rest.iter().take_while(|byte| **byte == b'\n').count();
        let start = start + skipped;
        if self.given.is_none() {
            let header = bytes.get(start..).unwrap_or(&[]);
            self.delimiter = find_delimiter(header.get(..self.max_line_bytes).unwrap_or(header));
        }
        let record = match self.parse(bytes, start, end, &mut []) {
            Parsed::Incomplete => return None,
            Parsed::Record(record) => record,
            Parsed::Malformed(Malformed { quote, lines_before, .. }) => {
                let line = skipped as u64 + lines_before + 1;
                return Some(Err(HeaderError::BadQuote { line, problem: quote.to_string() }));
            }
        };
        let row = bytes.get(start..record.end).unwrap_or(&[]);
        let slots = match core::str::from_utf8(row) {
            Ok(_) => self.slots_of(wanted),
            Err(_) => Err(HeaderError::InvalidUtf8),
        };
        Some(slots.map(|slots| {
            self.header = Some(slots);
            self.header_text = row.to_vec();
            record
        }))
    }

    /// Returns the slot of each column of the header that was parsed.
    fn slots_of(&self, wanted: Wanted<'_>) -> Result<Vec<usize>, HeaderError> {
        let columns = self.names();
        let repeated = first_repeated(columns.iter().map(String::as_str));
        if let Some(name) = repeated.and_then(|column| columns.get(column)) {
            return Err(HeaderError::RepeatedColumn { name: name.clone() });
        }
        let Wanted { names, required, all } = wanted;
        let unneeded = |column| if all { names.len() + column } else { UNNEEDED };
        let slots = columns.iter().enumerate();
        let slots = slots.map(|(column, name)| names.find(name).unwrap_or(unneeded(column)));
        let slots: Vec<usize> = slots.collect();
        let mut is_found = vec![false; names.len()];
        for slot in &slots {
            if let Some(is_found) = is_found.get_mut(*slot) {
                *is_found = true;
            }
        }
        let missing = is_found.iter().take(required).position(|is_found| !is_found);
        if let Some(name) = missing.and_then(|slot| names.names().get(slot)) {
            return Err(HeaderError::MissingColumn { name: name.to_string(), columns });
        }
        Ok(slots)
    }

    /// Returns the names and the slots of all columns of the header that was parsed last.
    pub(super) fn named_slots(&self) -> impl Iterator<Item = (String, usize)> {
        let slots = self.header.as_deref().unwrap_or(&[]);
        self.names().into_iter().zip(slots.iter().copied())
    }

    /// Returns the names in the record that was parsed last.
    fn names(&self) -> Vec<String> {
        let text = self.unquoted.text();
        let bounds = self.unquoted.bounds().enumerate();
        bounds
            .map(|(index, (from, to))| column_name(index, text.get(from..to).unwrap_or(&[])))
            .collect()
    }

    /// Reads the record at `start`, and stores the needed fields in `slots`.
    #[inline]
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
        slots: &mut [Value],
    ) -> Parsed {
        let header = self.header.as_deref().unwrap_or(&[]);
        let separator = self.delimiter;
        let mut fields = 0;
        let mut at = start;
        let mut seen = 0;
        loop {
            let quoted = bytes.get(at) == Some(&b'"');
            let field_start = at + usize::from(quoted);
            let mut field_end =
                skip_plain(bytes, field_start, if quoted { b'"' } else { separator }, &mut seen);
            at = field_end;
            if quoted {
                // The parser handles a quote that is not the field's last byte, and a line feed
                // before it.
                if bytes.get(at) != Some(&b'"') {
                    return self.parse(bytes, start, end, slots);
                }
                at += 1;
                if let Some([b'\r', b'\n']) = bytes.get(at..at + 2) {
                    at += 1;
                }
            }
            let delimiter = bytes.get(at).copied();
            match delimiter {
                Some(byte) if byte == separator || byte == b'\n' => {}
                None if end => {}
                None => return Parsed::Incomplete,
                Some(_) => return self.parse(bytes, start, end, slots),
            }
            if !quoted && delimiter != Some(separator) {
                field_end = before_return(bytes, field_start, at);
            }
            if let Some(slot) = header.get(fields).and_then(|&slot| slots.get_mut(slot)) {
                slot.set(Kind::Text, field_start, field_end);
            }
            fields += 1;
            if delimiter != Some(separator) {
                let record_end = before_return(bytes, start, at);
                let next = (at + 1).min(bytes.len());
                let check_utf8 = seen & HIGH_BITS != 0;
                let record = Record { end: record_end, next, fields, in_place: true, check_utf8 };
                return Parsed::Record(record);
            }
            at += 1;
        }
    }

    /// Parses the record at `start` by the rules of RFC 4180, and removes its quotes.
    #[cold]
    fn parse(&mut self, bytes: &[u8], start: usize, end: bool, slots: &mut [Value]) -> Parsed {
        // A record that has no line end within this length is too long, and need not be buffered.
        let longest = self.max_line_bytes + 2;
        let window = bytes.get(..bytes.len().min(start + longest)).unwrap_or(&[]);
        let end = end && window.len() == bytes.len();
        let max_line_bytes = self.max_line_bytes;
        let (line_end, next) = match self.unquoted.read(window, start, self.delimiter) {
            Extent::LineFeed(feed) => (feed, feed + 1),
            Extent::Incomplete if end => (window.len(), window.len()),
            Extent::OpenQuote(opened) if end => {
                return malformed(window, start, opened, QuoteFault::OpenAtEnd, end);
            }
            Extent::OpenQuote(opened) if window.len() - start == longest => {
                let fault = QuoteFault::OpenAtLimit { max_line_bytes };
                return malformed(window, start, opened, fault, end);
            }
            Extent::TextAfterQuote(opened) => {
                return malformed(window, start, opened, QuoteFault::TextAfter, end);
            }
            Extent::Incomplete | Extent::OpenQuote(_) => return Parsed::Incomplete,
        };
        let mut fields = 0;
        for (column, (from, to)) in self.unquoted.bounds().enumerate() {
            let slot = self.header.as_ref().and_then(|header| header.get(column));
            if let Some(slot) = slot.and_then(|&slot| slots.get_mut(slot)) {
                slot.set(Kind::Text, from, to);
            }
            fields += 1;
        }
        let end = before_return(window, start, line_end);
        Parsed::Record(Record { end, next, fields, in_place: false, check_utf8: true })
    }
}

/// Returns the name of the column `index` of a header; columns without a name are `#1`, `#2`.
pub(in crate::text) fn column_name(index: usize, text: &[u8]) -> String {
    match text {
        [] => format!("#{}", index + 1),
        text => String::from_utf8_lossy(text).into_owned(),
    }
}

/// Returns the delimiter of the header at the start of `text`: the one that separates most names. A
/// quote within a name shows that a delimiter within quotes was taken for one.
pub(in crate::text) fn find_delimiter(text: &[u8]) -> u8 {
    let mut fields = Fields::default();
    let mut best = (Delimiter::Comma.byte(), 0);
    for delimiter in Delimiter::ALL.map(Delimiter::byte) {
        let _ = fields.read(text, 0, delimiter);
        let names = fields.bounds().map(|(from, to)| fields.text().get(from..to).unwrap_or(&[]));
        let count = names.filter(|name| !name.contains(&b'"')).count();
        if count > best.1 {
            best = (delimiter, count);
        }
    }
    best.0
}

/// Rejects the record at `start` for the quote at `opened`, once the line of the quote is complete.
fn malformed(bytes: &[u8], start: usize, opened: usize, fault: QuoteFault, end: bool) -> Parsed {
    let (line_end, next) = match next_feed(bytes, opened) {
        Some(feed) => (feed, feed + 1),
        None if end => (bytes.len(), bytes.len()),
        None => return Parsed::Incomplete,
    };
    let before = bytes.get(start..opened).unwrap_or(&[]);
    let line_start = memrchr(b'\n', before).map_or(0, |feed| feed + 1);
    Parsed::Malformed(Malformed {
        quote: BadQuote { fault, column: before.len() - line_start + 1 },
        lines_before: count_feeds(bytes, start, opened),
        end: before_return(bytes, start, line_end),
        next,
    })
}
