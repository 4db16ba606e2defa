//! CSV: records by RFC 4180, the first of which names the columns.
//!
//! A record without doubled quotes and line feeds in quotes is read in place. For all others [`record_extent`] finds the end
//! and checks the quotes, and `csv-core` undoes them. Both look at the bytes of one record of at most the longest length
//! alone, so that cuts of the input never show.

use super::lines::{before_return, count_feeds, next_feed};
use super::names::UNNEEDED;
use super::quotes::{BadQuote, Extent, QuoteFault, record_extent};
use super::value::{Kind, Value};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use memchr::memrchr;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Why the header of a CSV input cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// A column that the pipeline needs is not there.
    #[error("the CSV header has no column {name:?}; its columns are {}", columns.join(", "))]
    MissingColumn {
        /// The column.
        name: String,
        /// The columns that are there.
        columns: Vec<String>,
    },
    /// A column that the pipeline needs is there more than once.
    #[error("the CSV header has the column {name:?} more than once")]
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
    /// A quote in the header is not closed, or text follows the closing quote.
    #[error("line {line}, in the CSV header: {problem}")]
    BadQuote {
        /// The line of the input where the quote opens.
        line: u64,
        /// What is wrong, and the byte of the line where the quote opens.
        problem: String,
    },
}

/// What a reader looks for in a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The columns of the slots. Those from number `required` on need not be there.
    pub(super) names: &'a [Box<str>],
    pub(super) required: usize,
    /// Whether every other column has a slot too, behind those.
    pub(super) all: bool,
}

/// What stands at the start of a record.
pub(super) enum Parsed {
    Record(Record),
    Malformed(Malformed),
    /// The end of the record is not in sight.
    Unended,
}

/// A record with a bad quote, up to the end of the line where the quote opens: the lines after that are records of their own.
pub(super) struct Malformed {
    pub(super) quote: BadQuote,
    /// Line feeds of the record before the quote.
    pub(super) lines_before: u64,
    /// The end of the line where the quote opens, before its line end.
    pub(super) end: usize,
    /// Where the next line starts.
    pub(super) next: usize,
}

/// A record that was read.
pub(super) struct Record {
    /// The end of its text, before its line end.
    pub(super) end: usize,
    /// Where the next one starts.
    pub(super) next: usize,
    pub(super) fields: usize,
    /// Whether the values stand in the bytes that were read, all on one line; otherwise they are in [`Csv::unquoted`].
    pub(super) in_place: bool,
    pub(super) check_utf8: bool,
}

/// Reads records.
pub(super) struct Csv {
    /// The columns of the header: the slot of each one. `None`: the header is still to come.
    header: Option<Vec<usize>>,
    /// The text of the header.
    header_text: Vec<u8>,
    /// The fields of a record with quotes, without them, end to end.
    unquoted: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Undoes quotes.
    parser: Reader,
    max_line_bytes: usize,
}

impl Csv {
    pub(super) fn new(max_line_bytes: usize) -> Self {
        // The parser is given the text of one record without its line end: carriage returns in it are text.
        let parser = ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        Self {
            header: None,
            header_text: Vec::new(),
            unquoted: vec![0; 256],
            ends: vec![0; 16],
            parser,
            max_line_bytes,
        }
    }

    /// The number of columns; `None`: the header is still to come.
    pub(super) fn columns(&self) -> Option<usize> {
        self.header.as_ref().map(Vec::len)
    }

    /// The text of the header, once it was read.
    pub(super) fn header_text(&self) -> Option<&[u8]> {
        self.header.is_some().then_some(&self.header_text)
    }

    /// A new input begins, with a header.
    pub(super) fn restart(&mut self) {
        self.header = None;
    }

    /// The bytes that the values of `record` stand in.
    #[inline]
    pub(super) fn text<'a>(&'a self, record: &Record, bytes: &'a [u8]) -> &'a [u8] {
        if record.in_place { bytes } else { &self.unquoted }
    }

    /// Reads the header at `start`; `None` if its end is not in sight. Line feeds before it are skipped.
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
        let record = match self.parse(bytes, start, end, &mut []) {
            Parsed::Unended => return None,
            Parsed::Record(record) => record,
            Parsed::Malformed(Malformed { quote, lines_before, .. }) => {
                let line = skipped as u64 + lines_before + 1;
                return Some(Err(HeaderError::BadQuote { line, problem: quote.to_string() }));
            }
        };
        let row = bytes.get(start..record.end).unwrap_or(&[]);
        let slots = match core::str::from_utf8(row) {
            Ok(_) => self.slots_of(record.fields, wanted),
            Err(_) => Err(HeaderError::InvalidUtf8),
        };
        Some(slots.map(|slots| {
            self.header = Some(slots);
            self.header_text = row.to_vec();
            record
        }))
    }

    /// The slot of each column of the header that was parsed.
    fn slots_of(&self, fields: usize, wanted: Wanted<'_>) -> Result<Vec<usize>, HeaderError> {
        let columns = self.names(fields);
        let Wanted { names, required, all } = wanted;
        let unneeded = |column| if all { names.len() + column } else { UNNEEDED };
        let mut slots: Vec<usize> = (0..columns.len()).map(unneeded).collect();
        for (slot, name) in names.iter().enumerate() {
            let mut places =
                columns.iter().zip(&mut slots).filter(|(column, _)| **column == **name);
            let Some((_, place)) = places.next() else {
                if slot >= required {
                    continue;
                }
                let name = name.to_string();
                return Err(HeaderError::MissingColumn { name, columns });
            };
            if places.next().is_some() {
                return Err(HeaderError::RepeatedColumn { name: name.to_string() });
            }
            *place = slot;
        }
        Ok(slots)
    }

    /// The names and the slots of all columns of the header that was parsed last.
    pub(super) fn named_slots(&self) -> impl Iterator<Item = (String, usize)> {
        let slots = self.header.as_deref().unwrap_or(&[]);
        self.names(slots.len()).into_iter().zip(slots.iter().copied())
    }

    /// The fields of the record that was parsed last.
    fn names(&self, fields: usize) -> Vec<String> {
        let mut from = 0;
        let columns = self.ends.iter().take(fields).map(|&to| {
            let name = String::from_utf8_lossy(self.unquoted.get(from..to).unwrap_or(&[]));
            from = to;
            name.into_owned()
        });
        columns.collect()
    }

    /// Reads the record at `start`, putting the needed fields into `slots`.
    #[inline]
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
        slots: &mut [Value],
    ) -> Parsed {
        let header = self.header.as_deref().unwrap_or(&[]);
        let mut fields = 0;
        let mut at = start;
        let mut seen = 0;
        loop {
            let quoted = bytes.get(at) == Some(&b'"');
            let field_start = at + usize::from(quoted);
            let mut field_end = skip_plain(bytes, field_start, quoted, &mut seen);
            at = field_end;
            if quoted {
                // A quote that is not the field's last byte, or a line feed before it, is for the parser.
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
                Some(b',' | b'\n') => {}
                None if end => {}
                None => return Parsed::Unended,
                Some(_) => return self.parse(bytes, start, end, slots),
            }
            if !quoted && delimiter != Some(b',') {
                field_end = before_return(bytes, field_start, at);
            }
            if let Some(slot) = header.get(fields).and_then(|&slot| slots.get_mut(slot)) {
                slot.set(Kind::Text, field_start, field_end);
            }
            fields += 1;
            if delimiter != Some(b',') {
                let record_end = before_return(bytes, start, at);
                let next = (at + 1).min(bytes.len());
                let check_utf8 = seen & HIGH_BITS != 0;
                let record = Record { end: record_end, next, fields, in_place: true, check_utf8 };
                return Parsed::Record(record);
            }
            at += 1;
        }
    }

    /// Reads the record at `start` by the rules of RFC 4180, undoing its quotes.
    #[cold]
    fn parse(&mut self, bytes: &[u8], start: usize, end: bool, slots: &mut [Value]) -> Parsed {
        // A record without its line end in this much is too long, and need not be kept.
        let longest = self.max_line_bytes + 2;
        let window = bytes.get(..bytes.len().min(start + longest)).unwrap_or(&[]);
        let end = end && window.len() == bytes.len();
        let max_line_bytes = self.max_line_bytes;
        let (line_end, next) = match record_extent(window, start) {
            Extent::LineFeed(feed) => (feed, feed + 1),
            Extent::Unended if end => (window.len(), window.len()),
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
            Extent::Unended | Extent::OpenQuote(_) => return Parsed::Unended,
        };
        let record_end = before_return(window, start, line_end);
        let fields = self.undo_quotes(window.get(start..record_end).unwrap_or(&[]));
        let mut from = 0;
        for (column, &to) in self.ends.iter().take(fields).enumerate() {
            let slot = self.header.as_ref().and_then(|header| header.get(column));
            if let Some(slot) = slot.and_then(|&slot| slots.get_mut(slot)) {
                slot.set(Kind::Text, from, to);
            }
            from = to;
        }
        Parsed::Record(Record { end: record_end, next, fields, in_place: false, check_utf8: true })
    }

    /// Puts the fields of `record` into [`Csv::unquoted`] and [`Csv::ends`], and returns their number.
    fn undo_quotes(&mut self, record: &[u8]) -> usize {
        self.parser.reset();
        let (mut at, mut written, mut fields) = (0, 0, 0);
        loop {
            // An empty input at the end tells the parser that the record ends there.
            let input = record.get(at..).unwrap_or(&[]);
            let output = self.unquoted.get_mut(written..).unwrap_or(&mut []);
            let ends = self.ends.get_mut(fields..).unwrap_or(&mut []);
            let (result, read, wrote, ended) = self.parser.read_record(input, output, ends);
            at += read;
            written += wrote;
            fields += ended;
            match result {
                ReadRecordResult::OutputFull => self.unquoted.resize(2 * self.unquoted.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => return fields,
            }
        }
    }
}

/// Rejects the record at `start` for the quote at `opened`, once the end of the quote's line is in sight.
fn malformed(bytes: &[u8], start: usize, opened: usize, fault: QuoteFault, end: bool) -> Parsed {
    let (line_end, next) = match next_feed(bytes, opened) {
        Some(feed) => (feed, feed + 1),
        None if end => (bytes.len(), bytes.len()),
        None => return Parsed::Unended,
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

/// The place of the next quote or line feed from `at` on, or comma where there is no `quoted` text; or the end of `bytes`.
#[inline]
fn skip_plain(bytes: &[u8], mut at: usize, quoted: bool, seen: &mut u64) -> usize {
    // In quotes a second look for quotes stands for the one for commas.
    let delimiter = if quoted { b'"' } else { b',' };
    let delimiters = ONES * u64::from(delimiter);
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        *seen |= word;
        // As in the scanner of JSON: of the bytes found, the first one is right.
        let commas = (word ^ delimiters).wrapping_sub(ONES);
        let quotes = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
        let line_feeds = (word ^ (ONES * 0x0a)).wrapping_sub(ONES);
        let found = (commas | quotes | line_feeds) & !word & HIGH_BITS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at)
        && byte != delimiter
        && !matches!(byte, b'"' | b'\n')
    {
        *seen |= u64::from(byte);
        at += 1;
    }
    at
}
