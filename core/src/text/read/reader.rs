//! The reader: turns bytes of lines into columns of events.

use super::collect::Collector;
use super::csv::{Csv, HeaderError, Malformed, Parsed};
use super::events::{EventBuffer, Span};
use super::lines::{before_return, count_feeds, last_character_end, lines_of, next_feed};
use super::names::Names;
use super::ndjson::{Line, scan_line};
use super::rejection::Found;
use super::scan::SyntaxError;
use super::value::ReadTime;
use crate::spec::{Delimiter, Format};
use crate::time::TimeUnit;
use crate::{InputSchema, PipelineSpec, Plan, RejectReason};

/// Maximum number of bytes that one call looks at. Positions in them, and in the keys that they
/// contain, then fit a `u32`.
const MAX_READ_BYTES: usize = 1 << 30;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An unfinished line of this length or more is not scanned again until its end has arrived.
const MIN_SEEN_BYTES: usize = 4 << 10;

/// Options of a reader.
/// ```
/// use stream_processor_core::text::{Format, ReaderOptions};
/// let options = ReaderOptions { format: Format::Csv, ..ReaderOptions::default() };
/// # assert_eq!(options.format, Format::Csv);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// The format of the lines.
    pub format: Format,
    /// The character between the fields of CSV; `None`: that which separates most names of the
    /// header.
    pub delimiter: Option<Delimiter>,
    /// The unit of numeric timestamps.
    pub timestamp_unit: TimeUnit,
    /// Maximum length of a line in bytes, without its line end; a longer one is rejected. Default:
    /// 1 MiB; at most 512 MiB.
    pub max_line_bytes: usize,
    /// Maximum length of an encoded key, or of a partition, in bytes; an event with a longer one is
    /// rejected. Default: 65,536.
    pub max_key_bytes: usize,
    /// Maximum number of keys in the dictionary before it is emptied; default: 65,536.
    pub max_dictionary_keys: usize,
    /// Seed of the dictionary's hash table; must be unpredictable if input is not trusted. Results
    /// do not depend on it.
    pub table_seed: u64,
}

impl ReaderOptions {
    /// Returns the options for the source and limits of `spec`; the seed is 0.
    #[must_use]
    pub fn of(spec: &PipelineSpec) -> Self {
        Self {
            format: spec.source.format,
            delimiter: spec.source.delimiter,
            timestamp_unit: spec.source.timestamp_unit,
            max_line_bytes: spec.limits.max_line_bytes as usize,
            max_key_bytes: spec.limits.max_key_bytes as usize,
            max_dictionary_keys: spec.limits.dictionary_keys() as usize,
            table_seed: 0,
        }
    }
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            format: Format::Ndjson,
            delimiter: None,
            timestamp_unit: TimeUnit::Ms,
            max_line_bytes: 1 << 20,
            max_key_bytes: 65_536,
            max_dictionary_keys: 65_536,
            table_seed: 0,
        }
    }
}

/// Reads NDJSON or CSV into events. Results do not depend on how the input is split into calls.
///
/// ```
/// # use stream_processor_core::{InputColumn, InputKind, InputSchema};
/// # use stream_processor_core::text::{EventBuffer, Reader, ReaderOptions};
/// let value = InputColumn { name: "v".into(), kind: InputKind::F64, required: true };
/// let schema = InputSchema { timestamp: "ts".into(), key: vec!["k".into()], columns: vec![value],
///     ..InputSchema::default() };
/// let mut reader = Reader::new(&schema, ReaderOptions::default());
/// let mut events = EventBuffer::new();
/// let bytes = b"{\"ts\":5,\"k\":\"a\",\"v\":1.5}\n{\"ts\":6,\"k\":\"a\"}\n{\"ts\":";
/// let taken = reader.read(bytes, false, 4096, &mut events)?;
/// assert_eq!(taken, bytes.len() - 6); // the rest is not a whole line yet
/// assert_eq!(events.timestamps(), [5_000]);
/// assert_eq!(events.columns(), [[1.5]]);
/// let rejection = events.rejections()[0];
/// assert_eq!(rejection.line, 2);
/// assert_eq!(
///     rejection.detail(&schema, bytes).to_string(),
///     r#"field "v": expected a number, found no field of this name"#
/// );
/// # Ok::<(), stream_processor_core::text::HeaderError>(())
/// ```
pub struct Reader {
    syntax: Syntax,
    collector: Collector,
    max_line_bytes: usize,
    /// True if nothing of this input was consumed yet.
    at_start: bool,
    /// Within a line that is too long, of which a part was consumed: the number of line feeds in
    /// that part.
    long_line_feeds: Option<u64>,
    /// The number of bytes at the front of the next read that were seen before and contain no end
    /// of a line: they are not scanned again.
    seen_bytes: usize,
}

/// The syntax of the lines, with its state.
enum Syntax {
    Ndjson(Names),
    Csv(Box<Csv>),
}

impl Reader {
    /// Creates a reader of events for `schema`.
    #[must_use]
    pub fn new(schema: &InputSchema, options: ReaderOptions) -> Self {
        let max_line_bytes = options.max_line_bytes.min(MAX_READ_BYTES / 2);
        let collector = Collector::new(schema, &options);
        let syntax = match options.format {
            Format::Ndjson => Syntax::Ndjson(Names::new(collector.needed().clone())),
            Format::Csv => Syntax::Csv(Box::new(Csv::new(max_line_bytes, options.delimiter))),
        };
        Self {
            syntax,
            collector,
            max_line_bytes,
            at_start: true,
            long_line_feeds: None,
            seen_bytes: 0,
        }
    }

    /// Has `times` read all event times from now on.
    pub fn read_times_by(&mut self, times: Box<dyn ReadTime>) {
        self.collector.read_times_by(times);
    }

    /// Skips lines that lack a key or a value if the filters in front of `plan` remove them. Without
    /// this they are rejected.
    pub fn filter_first(&mut self, plan: &Plan) {
        self.collector.filter_first(plan);
    }

    /// Returns the number of lines of the current input that were read.
    #[must_use]
    pub fn lines_read(&self) -> u64 {
        self.collector.lines_before
    }

    /// Reads `texts` as missing values from now on, in all needed fields.
    pub fn read_as_null<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        self.collector.read_as_null(texts);
    }

    /// Starts a new input, such as the next file: line numbers restart at 1, and it may have a byte
    /// order mark and a header of its own. Keys keep their ids.
    pub fn next_input(&mut self) {
        self.collector.lines_before = 0;
        self.at_start = true;
        self.long_line_feeds = None;
        self.seen_bytes = 0;
        if let Syntax::Csv(csv) = &mut self.syntax {
            csv.restart();
        }
    }

    /// Returns the header of the current input without its line end; `None` if none was read, and
    /// for NDJSON.
    #[must_use]
    pub fn header(&self) -> Option<&[u8]> {
        match &self.syntax {
            Syntax::Ndjson(_) => None,
            Syntax::Csv(csv) => csv.header_text(),
        }
    }

    /// Consumes whole lines from the front of `bytes`, and returns the number of bytes consumed. It
    /// stops when `events` holds `max_events` events or rejections; `events` is cleared before. The
    /// caller presents the remaining bytes again, followed by more. `end` means that nothing
    /// follows `bytes`, so that a last line without a line feed counts.
    ///
    /// A read stops early before a key that exceeds the dictionary; the next read empties it and
    /// reports that ([`EventBuffer::reset`]). So all ids of a buffer belong to one dictionary. A
    /// line that is too long is consumed in parts as they arrive. To guarantee progress, present
    /// [`ReaderOptions::max_line_bytes`] + 6 bytes, or the `end`.
    ///
    /// # Errors
    ///
    /// Only for a CSV header that is too long or not UTF-8, repeats a name, or lacks a column that
    /// the schema names. Even an optional column must be present, so that misspelt names are found. The
    /// reader is unusable afterwards.
    pub fn read(
        &mut self,
        bytes: &[u8],
        end: bool,
        max_events: usize,
        events: &mut EventBuffer,
    ) -> Result<usize, HeaderError> {
        let (bytes, end) = match bytes.split_at_checked(MAX_READ_BYTES) {
            Some((front, back)) if !back.is_empty() => (front, false),
            _ => (bytes, end),
        };
        self.collector.start(events);
        let mut at = 0;
        let seen = core::mem::take(&mut self.seen_bytes);
        if seen > 0 && !end && next_feed(bytes, seen).is_none() && self.may_grow(bytes, 0) {
            self.seen_bytes = bytes.len();
            self.collector.finish(events);
            return Ok(0);
        }
        if self.at_start {
            if bytes.starts_with(BYTE_ORDER_MARK) {
                at = BYTE_ORDER_MARK.len();
            } else if !end && BYTE_ORDER_MARK.starts_with(bytes) {
                return Ok(0);
            }
            self.at_start = false;
        }
        while events.has_room(max_events) {
            let next = if self.long_line_feeds.is_some() {
                self.long_line_part(bytes, at, true, end, events)
            } else if at == bytes.len() {
                None
            } else {
                match &mut self.syntax {
                    Syntax::Ndjson(_) => self.ndjson_line(bytes, at, end, events),
                    Syntax::Csv(_) => self.csv_record(bytes, at, end, events)?,
                }
            };
            let Some(next) = next else {
                self.keep_seen(bytes, at);
                break;
            };
            at = next;
        }
        self.collector.finish(events);
        Ok(at)
    }

    /// Records that the line at `start`, at which a read stopped, has no end in `bytes`.
    #[cold]
    fn keep_seen(&mut self, bytes: &[u8], start: usize) {
        let rest = bytes.get(start..).unwrap_or_default();
        if rest.len() >= MIN_SEEN_BYTES && next_feed(rest, 0).is_none() {
            self.seen_bytes = rest.len();
        }
    }

    /// Reads the line at `start`, and returns the start of the next one; `None` if the line must
    /// not be consumed yet.
    #[inline]
    fn ndjson_line(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
        events: &mut EventBuffer,
    ) -> Option<usize> {
        let Syntax::Ndjson(names) = &mut self.syntax else { return None };
        let line = scan_line(bytes, start, names, &mut self.collector.slots);
        if let Line::Object { end, check_utf8 } = line
            && end < bytes.len()
            && end - start <= self.max_line_bytes
        {
            let span = Span::new(start, before_return(bytes, start, end));
            if !check_utf8 || core::str::from_utf8(span.of(bytes)).is_ok() {
                return self.collector.take(bytes, true, span, 1, events).then_some(end + 1);
            }
        }
        self.finish_unusual_line(bytes, start, end, line, events)
    }

    /// Continues [`Reader::ndjson_line`] after its scan, for lines that are not plain valid
    /// objects.
    #[cold]
    fn finish_unusual_line(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
        line: Line,
        events: &mut EventBuffer,
    ) -> Option<usize> {
        let (line_end, next) = match next_feed(bytes, start) {
            Some(feed) => (feed, feed + 1),
            None if end => (bytes.len(), bytes.len()),
            None => return self.begin_long_line(bytes, start, end, events),
        };
        let span = Span::new(start, before_return(bytes, start, line_end));
        let refusal = check_text(span.of(bytes), self.max_line_bytes).or(match line {
            Line::Object { .. } => None,
            Line::Other => Some((RejectReason::NotAnObject, Found::Nothing)),
            Line::Broken(SyntaxError { at, expected }) => {
                Some((RejectReason::InvalidJson, Found::Syntax { at, expected }))
            }
        });
        let Some((reason, found)) = refusal else {
            return self.collector.take(bytes, true, span, 1, events).then_some(next);
        };
        self.collector.reject(reason, found, span, 1, events);
        Some(next)
    }

    /// Reads the record at `start`, and returns the start of the next one; `None` if the record
    /// must not be consumed yet.
    #[inline]
    fn csv_record(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
        events: &mut EventBuffer,
    ) -> Result<Option<usize>, HeaderError> {
        let Syntax::Csv(csv) = &mut self.syntax else { return Ok(None) };
        let Some(expected) = csv.columns() else { return self.csv_header(bytes, start, end) };
        let record = match csv.read(bytes, start, end, &mut self.collector.slots) {
            Parsed::Record(record) => record,
            Parsed::Malformed(malformed) => {
                return Ok(Some(self.reject_quote(bytes, start, &malformed, events)));
            }
            Parsed::Incomplete => return Ok(self.begin_long_line(bytes, start, end, events)),
        };
        let span = Span::new(start, record.end);
        let fits = record.fields == expected && record.end - start <= self.max_line_bytes;
        if fits && !record.check_utf8 {
            let taken = self.collector.take(bytes, true, span, 1, events);
            return Ok(taken.then_some(record.next));
        }
        let lines = if record.in_place { 1 } else { lines_of(bytes, start, record.next) };
        let wrong_count = Found::Fields { found: record.fields, expected };
        let wrong_count = (RejectReason::WrongColumnCount, wrong_count);
        let refusal = check_text(span.of(bytes), self.max_line_bytes)
            .or((record.fields != expected).then_some(wrong_count));
        if let Some((reason, found)) = refusal {
            self.collector.reject(reason, found, span, lines, events);
            return Ok(Some(record.next));
        }
        let text = csv.text(&record, bytes);
        let taken = self.collector.take(text, record.in_place, span, lines, events);
        Ok(taken.then_some(record.next))
    }

    /// Rejects the record at `start` up to the end of the line where a bad quote opens, and returns
    /// the start of the next line.
    #[cold]
    fn reject_quote(
        &mut self,
        bytes: &[u8],
        start: usize,
        malformed: &Malformed,
        events: &mut EventBuffer,
    ) -> usize {
        let span = Span::new(start, malformed.end);
        let Malformed { quote, lines_before, next, .. } = *malformed;
        if let Some((reason, found)) = check_text(span.of(bytes), self.max_line_bytes) {
            self.collector.reject(reason, found, span, lines_before + 1, events);
        } else {
            self.collector.lines_before += lines_before;
            self.collector.reject(RejectReason::InvalidCsv, Found::Quote(quote), span, 1, events);
        }
        next
    }

    /// Reads the CSV header at `start`, and returns the start of the first record; `None` if the
    /// header is incomplete.
    #[cold]
    fn csv_header(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
    ) -> Result<Option<usize>, HeaderError> {
        let Syntax::Csv(csv) = &mut self.syntax else { return Ok(None) };
        let header = csv.read_header(bytes, start, end, self.collector.wanted());
        let length = match &header {
            Some(Ok(record)) => record.end - start,
            Some(Err(_)) => 0,
            None => (bytes.len() - start).saturating_sub(1),
        };
        if length > self.max_line_bytes {
            return Err(HeaderError::TooLong { max_line_bytes: self.max_line_bytes });
        }
        let Some(record) = header.transpose()? else { return Ok(None) };
        self.collector.begin_records(csv.named_slots());
        self.collector.lines_before += lines_of(bytes, start, record.next);
        Ok(Some(record.next))
    }

    /// Returns true if the incomplete line at `start` may still turn out to fit the limit. Its last
    /// byte may be the carriage return of its end.
    fn may_grow(&self, bytes: &[u8], start: usize) -> bool {
        bytes.len() - start <= self.max_line_bytes + 1
    }

    /// Consumes the first part of the incomplete line at `start` if it is certainly too long.
    fn begin_long_line(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: bool,
        events: &mut EventBuffer,
    ) -> Option<usize> {
        if self.may_grow(bytes, start) {
            return None;
        }
        self.long_line_part(bytes, start, false, end, events)
    }

    /// Consumes a part of a line that is too long, from `at` to the line's end or else to the last
    /// whole character. Returns `None` if there is no whole character. A CSV record that is too
    /// long ends with the line in which it exceeds the limit: line feeds before that are in quotes,
    /// and later quotes are ignored.
    #[cold]
    fn long_line_part(
        &mut self,
        bytes: &[u8],
        at: usize,
        continuation: bool,
        end: bool,
        events: &mut EventBuffer,
    ) -> Option<usize> {
        let part_end = if end { bytes.len() } else { last_character_end(bytes, at) };
        let part = bytes.get(at..part_end)?;
        let seen = if continuation { 0 } else { self.max_line_bytes + 2 };
        let length = next_feed(part, seen).map(|feed| feed + 1);
        let next = at + length.unwrap_or(part.len());
        let continues = length.is_none() && !end;
        if continues && part.is_empty() {
            return None;
        }
        let text_end = next - usize::from(length.is_some());
        let text_end = if continues { next } else { before_return(bytes, at, text_end) };
        let feeds = self.long_line_feeds.unwrap_or(0) + count_feeds(bytes, at, next);
        let unended = u64::from(length.is_none());
        self.collector.reject_part(
            Span::new(at, text_end),
            self.max_line_bytes,
            continuation,
            continues,
            events,
        );
        self.long_line_feeds = continues.then_some(feeds);
        if !continues {
            self.collector.lines_before += feeds + unended;
        }
        Some(next)
    }
}

/// Returns the reason for rejecting a line by its length or encoding, if any.
fn check_text(text: &[u8], max_line_bytes: usize) -> Option<(RejectReason, Found)> {
    if text.len() > max_line_bytes {
        return Some((RejectReason::LineTooLong, Found::Longer { max_line_bytes }));
    }
    let invalid = core::str::from_utf8(text).is_err();
    invalid.then_some((RejectReason::InvalidUtf8, Found::Nothing))
}
