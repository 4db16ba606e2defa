//! What the parser tells the far end about one batch: the lines it refused and, where asked for, the text of all others.

use std::ops::Range;

use stream_processor_core::RejectReason;

/// Notes on one batch, in the order of its lines.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The inputs that begin with this batch, where dead letters name them: the lines of all inputs before, and the name.
    pub(super) inputs: Vec<(u64, String)>,
    /// The header of an input of CSV that begins with this batch, where events pass as text.
    pub(super) header: Option<Vec<u8>>,
    refused: Vec<Refused>,
    /// The lines of the events whose text is kept, ascending, and where the text of each ends.
    events: Vec<(u64, usize)>,
    event_text: Vec<u8>,
    refused_text: Vec<u8>,
}

/// A line that the reader refused, or a part of one that is longer than the limit.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) line: u64,
    pub(super) reason: RejectReason,
    /// Whether another part of the line follows.
    pub(super) continues: bool,
    text: Range<usize>,
}

impl Notes {
    pub(super) fn refuse(&mut self, line: u64, reason: RejectReason, continues: bool, text: &[u8]) {
        let start = self.refused_text.len();
        self.refused_text.extend_from_slice(text);
        let text = start..self.refused_text.len();
        self.refused.push(Refused { line, reason, continues, text });
    }

    pub(super) fn keep_event(&mut self, line: u64, text: &[u8]) {
        self.event_text.extend_from_slice(text);
        self.events.push((line, self.event_text.len()));
    }

    pub(super) fn refused(&self) -> &[Refused] {
        &self.refused
    }

    pub(super) fn text(&self, refused: &Refused) -> &[u8] {
        self.refused_text.get(refused.text.clone()).unwrap_or_default()
    }

    /// The text of the event that came as line `line`.
    pub(super) fn event(&self, line: u64) -> Option<&[u8]> {
        let place = self.events.binary_search_by_key(&line, |(line, _)| *line).ok()?;
        let start = place.checked_sub(1).and_then(|before| self.events.get(before));
        let (_, end) = self.events.get(place)?;
        self.event_text.get(start.map_or(0, |(_, end)| *end)..*end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_line() {
        let mut notes = Notes::default();
        notes.keep_event(1, b"one");
        notes.refuse(2, RejectReason::InvalidJson, false, b"bad");
        notes.keep_event(3, b"three");
        assert_eq!(notes.event(1), Some(&b"one"[..]));
        assert_eq!(notes.event(3), Some(&b"three"[..]));
        assert_eq!(notes.event(2), None);
        assert_eq!(notes.text(&notes.refused()[0]), b"bad");
    }
}
