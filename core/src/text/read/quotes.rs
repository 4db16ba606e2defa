//! Finds the end of a CSV record with quotes, and the bad quote if there is one.

use super::lines::before_return;
use core::fmt;

const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The end of a record by RFC 4180: only quotes at the start of a field count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The record ends at the line feed at this position.
    LineFeed(usize),
    /// The bytes end within the record, outside quotes.
    Incomplete,
    /// The bytes end before the quote that opens at this position is closed.
    OpenQuote(usize),
    /// The quote that opens at this position is closed, but its closing quote is followed by text.
    TextAfterQuote(usize),
}

/// A quote that causes the rejection of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadQuote {
    pub(super) fault: QuoteFault,
    /// The column of the opening quote in its line; 1 for the first byte.
    pub(super) column: usize,
}

/// The defect of a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteFault {
    /// Text follows the closing quote.
    TextAfter,
    /// The input ends before the quote is closed.
    OpenAtEnd,
    /// The record reaches the maximum line length before the quote is closed.
    OpenAtLimit { max_line_bytes: usize },
}

impl fmt::Display for BadQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.column;
        match self.fault {
            QuoteFault::TextAfter => write!(
                f,
                "text follows the quoted field at byte {column}: expected a delimiter or the end of the line"
            ),
            QuoteFault::OpenAtEnd => {
                write!(f, "the quote at byte {column} is not closed before the input ends")
            }
            QuoteFault::OpenAtLimit { max_line_bytes } => {
                write!(f, "the quote at byte {column} is not closed within {max_line_bytes} bytes")
            }
        }
    }
}

/// The fields of a record, without their quotes.
#[derive(Default)]
pub(super) struct Fields {
    /// The fields, concatenated.
    text: Vec<u8>,
    /// The end of each field in `text`.
    ends: Vec<usize>,
}

impl Fields {
    /// Returns the concatenated text of all fields.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the start and the end of each field in [`Fields::text`].
    pub(super) fn bounds(&self) -> impl Iterator<Item = (usize, usize)> {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied())
    }

    /// Reads the record at `start`, and returns its end. If that is not a line feed, the fields are
    /// complete only if the input ends with `bytes`.
    pub(super) fn read(&mut self, bytes: &[u8], start: usize, delimiter: u8) -> Extent {
        self.text.clear();
        self.ends.clear();
        let mut at = start;
        loop {
            let opened = at;
            if bytes.get(at) == Some(&b'"') {
                let Some(closed) = self.push_quoted(bytes, opened) else {
                    return Extent::OpenQuote(opened);
                };
                at = closed + 1;
            } else {
                at = plain_end(bytes, opened, delimiter);
                let is_last = bytes.get(at) != Some(&delimiter);
                let end = if is_last { before_return(bytes, opened, at) } else { at };
                self.text.extend_from_slice(bytes.get(opened..end).unwrap_or(&[]));
            }
            self.ends.push(self.text.len());
            match bytes.get(at..).unwrap_or(&[]) {
                [byte, ..] if *byte == delimiter => at += 1,
                [b'\n', ..] => return Extent::LineFeed(at),
                [b'\r', b'\n', ..] => return Extent::LineFeed(at + 1),
                [] | [b'\r'] => return Extent::Incomplete,
                _ => return Extent::TextAfterQuote(opened),
            }
        }
    }

    /// Appends the content of the quotes that open at `opened`, and returns the position of the
    /// closing quote.
    fn push_quoted(&mut self, bytes: &[u8], opened: usize) -> Option<usize> {
        let (mut from, mut at) = (opened + 1, opened + 1);
        loop {
            at = skip_plain(bytes, at, b'"', &mut 0);
            if bytes.get(at)? == &b'\n' {
                at += 1;
                continue;
            }
            self.text.extend_from_slice(bytes.get(from..at)?);
            if bytes.get(at + 1) != Some(&b'"') {
                return Some(at);
            }
            // The second quote of a doubled one is content.
            (from, at) = (at + 1, at + 2);
        }
    }
}

/// Returns the end of the unquoted field at `start`: the position of the next delimiter or line
/// feed, or the end of `bytes`.
fn plain_end(bytes: &[u8], start: usize, delimiter: u8) -> usize {
    let mut at = start;
    loop {
        at = skip_plain(bytes, at, delimiter, &mut 0);
        if bytes.get(at) != Some(&b'"') {
            return at;
        }
        at += 1;
    }
}

/// Returns the position of the next quote, line feed or delimiter from `at` on; else the end of
/// `bytes`. In quotes, the delimiter is a quote.
#[inline]
pub(super) fn skip_plain(bytes: &[u8], mut at: usize, delimiter: u8, seen: &mut u64) -> usize {
    let delimiters = ONES * u64::from(delimiter);
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        *seen |= word;
        // As in the JSON scanner: of the bytes found, only the first one is certain.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_ends_at_the_first_line_feed_outside_of_quotes() {
        let mut fields = Fields::default();
        for (text, extent) in [
            ("a,b\nc", Extent::LineFeed(3)),
            ("\"a\nb\",\"\"\"\"\n", Extent::LineFeed(10)),
            ("\"a\"\r\n", Extent::LineFeed(4)),
            ("a\"b,c\"\n", Extent::LineFeed(6)),
            ("\n", Extent::LineFeed(0)),
            ("a,\"b\"", Extent::Incomplete),
            ("a,\"b\"\r", Extent::Incomplete),
            ("", Extent::Incomplete),
            ("a,\"b\n\"\"", Extent::OpenQuote(2)),
            ("\"", Extent::OpenQuote(0)),
            ("\"a\"b\n", Extent::TextAfterQuote(0)),
            ("\"a\",\"b\"\rc\n", Extent::TextAfterQuote(4)),
            ("\"a\" ,\n", Extent::TextAfterQuote(0)),
        ] {
            assert_eq!(fields.read(text.as_bytes(), 0, b','), extent, "{text:?}");
        }
    }
}
