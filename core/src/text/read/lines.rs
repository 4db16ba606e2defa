//! The ends of lines, and positions where a line may be split.

use memchr::{memchr, memchr_iter};

/// Returns the position of the first line feed from `start` on.
pub(in crate::text) fn next_feed(bytes: &[u8], start: usize) -> Option<usize> {
    Some(start + memchr(b'\n', bytes.get(start..)?)?)
}

/// Returns `line_end`, or the position of the carriage return before it, but not before `start`.
#[inline]
pub(in crate::text) fn before_return(bytes: &[u8], start: usize, line_end: usize) -> usize {
    let returns = line_end > start && bytes.get(line_end - 1) == Some(&b'\r');
    line_end - usize::from(returns)
}

/// Returns the end of the last whole character from `start` on. A carriage return at the end is
/// excluded, too: a line feed may follow.
pub(in crate::text) fn last_character_end(bytes: &[u8], start: usize) -> usize {
    let tail = bytes.get(start..).unwrap_or(&[]);
    let (tail, len) = match tail {
        [rest @ .., b'\r'] => (rest, bytes.len() - 1),
        _ => (tail, bytes.len()),
    };
    for (behind, &byte) in (1..=3).zip(tail.iter().rev()) {
        let width = match byte {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => break,
        };
        return if behind < width { len - behind } else { len };
    }
    len
}

/// Returns the number of line feeds from `start` to `end`.
pub(in crate::text) fn count_feeds(bytes: &[u8], start: usize, end: usize) -> u64 {
    memchr_iter(b'\n', bytes.get(start..end).unwrap_or(&[])).fold(0, |feeds, _| feeds + 1)
}

/// Returns the number of lines that a record occupies.
pub(in crate::text) fn lines_of(bytes: &[u8], start: usize, next: usize) -> u64 {
    let unended = bytes.get(next - 1) != Some(&b'\n');
    count_feeds(bytes, start, next) + u64::from(unended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_their_carriage_return() {
        assert_eq!(next_feed(b"ab\n\n", 0), Some(2));
        assert_eq!(next_feed(b"ab\n\n", 3), Some(3));
        assert_eq!(next_feed(b"ab\n\n", 4), None);
        assert_eq!(before_return(b"a\r\n", 0, 2), 1);
        assert_eq!(before_return(b"a\r\n", 2, 2), 2);
        assert_eq!(before_return(b"\r\r\n", 0, 2), 1);
        assert_eq!(lines_of(b"x\"a\nb\"\ny", 1, 7), 2);
        assert_eq!(lines_of(b"x\"a\nb\"", 1, 6), 2);
    }

    #[test]
    fn parts_end_with_whole_characters() {
        let text = "aé€😀\r".as_bytes();
        let ends: Vec<usize> =
            (0..=text.len()).map(|end| last_character_end(&text[..end], 0)).collect();
        assert_eq!(ends, [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10]);
        // Invalid bytes may be split anywhere.
        assert_eq!(last_character_end(b"\x80\x80\x80\x80", 0), 4);
        assert_eq!(last_character_end(b"\xff", 0), 1);
        assert_eq!(last_character_end(b"a\xe2\x82", 1), 1);
    }
}
