//! Finds where a CSV record with quotes ends, and which quote is wrong if it does not end well.

use core::fmt;

use memchr::{memchr, memchr2};

/// The end of a record, by RFC 4180: quotes count at the start of a field only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The record ends at the line feed at this place.
    LineFeed(usize),
    /// The bytes end within the record, outside of quotes.
    Unended,
    /// The bytes end before the quote that opens at this place is closed.
    OpenQuote(usize),
    /// The quote that opens at this place is closed, and text follows the closing quote.
    TextAfterQuote(usize),
}

/// A quote for which a record is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadQuote {
    pub(super) fault: QuoteFault,
    /// The place of the opening quote on its line, 1 for the first byte.
    pub(super) column: usize,
}

/// The ways in which a quote is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteFault {
    /// Text follows the closing quote.
    TextAfter,
    /// The input ends before the quote is closed.
    OpenAtEnd,
    /// The record reaches the limit of a line before the quote is closed.
    OpenAtLimit { max_line_bytes: usize },
}

impl fmt::Display for BadQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.column;
        match self.fault {
            QuoteFault::TextAfter => write!(
                f,
                "text follows the quoted field at byte {column}: expected ',' or the end of the line"
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

/// Returns where the record at `start` ends in `bytes`.
pub(super) fn record_extent(bytes: &[u8], start: usize) -> Extent {
    let mut at = start;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        if rest.first() != Some(&b'"') {
            match memchr2(b',', b'\n', rest) {
                None => return Extent::Unended,
                Some(found) if rest.get(found) == Some(&b'\n') => {
                    return Extent::LineFeed(at + found);
                }
                Some(comma) => at += comma + 1,
            }
            continue;
        }
        let opened = at;
        let Some(closed) = closing_quote(bytes, opened) else { return Extent::OpenQuote(opened) };
        at = closed + 1;
        match bytes.get(at..).unwrap_or(&[]) {
            [b',', ..] => at += 1,
            [b'\n', ..] => return Extent::LineFeed(at),
            [b'\r', b'\n', ..] => return Extent::LineFeed(at + 1),
            [] | [b'\r'] => return Extent::Unended,
            _ => return Extent::TextAfterQuote(opened),
        }
    }
}

/// Returns the place of the quote that closes the one at `opened`; a doubled quote does not.
fn closing_quote(bytes: &[u8], opened: usize) -> Option<usize> {
    let mut at = opened + 1;
    loop {
        let quote = at + memchr(b'"', bytes.get(at..)?)?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_ends_at_the_first_line_feed_outside_of_quotes() {
        for (text, extent) in [
            ("a,b\nc", Extent::LineFeed(3)),
            ("\"a\nb\",\"\"\"\"\n", Extent::LineFeed(10)),
            ("\"a\"\r\n", Extent::LineFeed(4)),
            ("a\"b,c\"\n", Extent::LineFeed(6)),
            ("\n", Extent::LineFeed(0)),
            ("a,\"b\"", Extent::Unended),
            ("a,\"b\"\r", Extent::Unended),
            ("", Extent::Unended),
            ("a,\"b\n\"\"", Extent::OpenQuote(2)),
            ("\"", Extent::OpenQuote(0)),
            ("\"a\"b\n", Extent::TextAfterQuote(0)),
            ("\"a\",\"b\"\rc\n", Extent::TextAfterQuote(4)),
            ("\"a\" ,\n", Extent::TextAfterQuote(0)),
        ] {
            assert_eq!(record_extent(text.as_bytes(), 0), extent, "{text:?}");
        }
    }
}
