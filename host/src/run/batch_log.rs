//! The log of one batch: what the writer needs about its lines in addition to the rows.

use std::ops::Range;

use stream_processor_core::RejectReason;

/// The log of one batch: refused lines and, if an output needs it, the text of accepted events.
/// Entries are in the order of the lines.
#[derive(Debug, Default)]
pub(super) struct BatchLog {
    /// The inputs that begin in this batch: the number of lines in all inputs before, and the name.
    /// Empty unless there is an output for dead letters or for late events.
    pub(super) inputs: Vec<(u64, String)>,
    /// The header of the CSV input that begins in this batch, if events pass as text.
    pub(super) header: Option<Vec<u8>>,
    /// The accepted events whose text an output needs.
    pub(super) events: LoggedEvents,
    refused: Vec<RefusedEntry>,
    refused_text: Vec<u8>,
}

/// The texts of accepted events, by line.
#[derive(Debug, Default)]
pub(crate) struct LoggedEvents {
    /// The line of each event, ascending, and the end of its text in `text`.
    ends: Vec<(u64, usize)>,
    text: Vec<u8>,
}

/// A refused line, or one piece of a line that is longer than the limit.
#[derive(Debug, Clone)]
pub(super) struct RefusedEntry {
    pub(super) line: u64,
    pub(super) reason: RejectReason,
    /// True if another piece of the same line follows.
    pub(super) continues: bool,
    text: Range<usize>,
}

impl BatchLog {
    /// Adds a refused line, or a piece of one.
    pub(super) fn add_refused(
        &mut self,
        line: u64,
        reason: RejectReason,
        continues: bool,
        text: &[u8],
    ) {
        let start = self.refused_text.len();
        self.refused_text.extend_from_slice(text);
        let text = start..self.refused_text.len();
        self.refused.push(RefusedEntry { line, reason, continues, text });
    }

    /// Returns the refused lines.
    pub(super) fn refused(&self) -> &[RefusedEntry] {
        &self.refused
    }

    /// Returns the text of a refused line.
    pub(super) fn refused_text(&self, refused: &RefusedEntry) -> &[u8] {
        self.refused_text.get(refused.text.clone()).unwrap_or_default()
    }
}

impl LoggedEvents {
    /// Adds the text of an event. Lines must ascend.
    pub(super) fn add(&mut self, line: u64, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.ends.push((line, self.text.len()));
    }

    /// Returns the text of the event on line `line`, if it was logged.
    pub(crate) fn text(&self, line: u64) -> Option<&[u8]> {
        let index = self.ends.binary_search_by_key(&line, |(line, _)| *line).ok()?;
        let previous = index.checked_sub(1).and_then(|previous| self.ends.get(previous));
        let (_, end) = self.ends.get(index)?;
        self.text.get(previous.map_or(0, |(_, end)| *end)..*end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_text_is_found_by_line() {
        let mut log = BatchLog::default();
        log.events.add(1, b"one");
        log.add_refused(2, RejectReason::InvalidJson, false, b"bad");
        log.events.add(3, b"three");
        assert_eq!(log.events.text(1), Some(&b"one"[..]));
        assert_eq!(log.events.text(3), Some(&b"three"[..]));
        assert_eq!(log.events.text(2), None);
        assert_eq!(log.refused_text(&log.refused()[0]), b"bad");
    }
}
