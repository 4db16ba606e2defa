//! Dead letters and late events: the lines that made no row, with the reason and their text as it came.

use stream_processor_core::json::{write_string, write_string_lossy, write_string_part_lossy};
use stream_processor_core::spec::Stage;
use stream_processor_core::time::{NULL_TIME, write_rfc3339};
use stream_processor_core::watermark::END_OF_TIME;
use stream_processor_core::{Dropped, PipelineSpec, RejectReason};

use super::notes::{Notes, Refused};
use super::output::TextSink;
use crate::error::Error;

/// The outputs for lines that made no row.
pub(super) struct Letters {
    dead: Option<TextSink>,
    late: Option<TextSink>,
    /// The inputs so far: the lines of all inputs before, and the name.
    inputs: Vec<(u64, String)>,
    /// The first stage that makes rows. What stages behind it drop are rows, which stand on no line.
    row_stage: Option<usize>,
    /// Whether the last line in `dead` waits for the rest of its text, and the first bytes of a character cut in two.
    unfinished: Option<Vec<u8>>,
}

impl Letters {
    pub(super) fn new(
        dead: Option<TextSink>,
        late: Option<TextSink>,
        pipeline: &PipelineSpec,
    ) -> Self {
        let makes_rows = |stage: &Stage| matches!(stage, Stage::Window(_) | Stage::Normalize(_));
        let row_stage = pipeline.stages.iter().position(makes_rows);
        Self { dead, late, inputs: Vec::new(), row_stage, unfinished: None }
    }

    /// Writes what became of the lines of one batch, in the order of the lines.
    pub(super) fn write(&mut self, notes: &Notes, dropped: &[Dropped]) -> Result<(), Error> {
        self.inputs.extend_from_slice(&notes.inputs);
        let mut dropped = dropped.iter().peekable();
        for refused in notes.refused() {
            while let Some(earlier) = dropped.next_if(|dropped| dropped.ordinal < refused.line) {
                self.write_dropped(notes, earlier)?;
            }
            self.write_refused(notes, refused)?;
        }
        for rest in dropped {
            self.write_dropped(notes, rest)?;
        }
        Ok(())
    }

    /// Ends a line whose rest will not come, because the run has stopped within it.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        match (self.unfinished.take(), &mut self.dead) {
            (Some(cut), Some(dead)) => dead.append(|out| {
                write_string_part_lossy(&cut, out);
                out.extend_from_slice(TEXT_END);
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.dead.iter_mut().chain(&mut self.late).try_for_each(TextSink::flush)
    }

    /// Late events go to their own output, or to the dead letters; all other dropped events go there at once.
    fn write_dropped(&mut self, notes: &Notes, dropped: &Dropped) -> Result<(), Error> {
        let Self { dead, late, inputs, row_stage, .. } = self;
        let own = late.as_mut().filter(|_| dropped.reason == RejectReason::Late);
        let Some(sink) = own.or(dead.as_mut()) else { return Ok(()) };
        let is_row = dropped
            .stage
            .is_some_and(|stage| row_stage.is_some_and(|row_stage| stage as usize > row_stage));
        let line = Some(dropped.ordinal).filter(|_| !is_row);
        sink.append(|out| {
            write_head(
                out,
                dropped.reason,
                dropped.stage,
                line.and_then(|line| place(inputs, line)),
            );
            write_times(out, Some(dropped.watermark), dropped.window_end);
            match line.and_then(|line| notes.event(line)) {
                Some(text) => write_string_lossy(text, out),
                None => out.extend_from_slice(b"null"),
            }
            out.extend_from_slice(b"}\n");
        })
    }

    /// A line longer than the limit comes in parts; its text is one string all the same.
    fn write_refused(&mut self, notes: &Notes, refused: &Refused) -> Result<(), Error> {
        let Self { dead: Some(dead), inputs, unfinished, .. } = self else { return Ok(()) };
        let begun = unfinished.take();
        dead.append(|out| {
            let mut text = begun.unwrap_or_else(|| {
                write_head(out, refused.reason, None, place(inputs, refused.line));
                write_times(out, None, None);
                out.push(b'"');
                Vec::new()
            });
            text.extend_from_slice(notes.text(refused));
            if refused.continues {
                *unfinished = Some(text.split_off(whole_characters(&text)));
                write_string_part_lossy(&text, out);
            } else {
                write_string_part_lossy(&text, out);
                out.extend_from_slice(TEXT_END);
            }
        })
    }
}

/// What follows the text of a line.
const TEXT_END: &[u8] = b"\"}\n";

/// Returns the input that line `line` of all inputs stands in, and its number there.
fn place(inputs: &[(u64, String)], line: u64) -> Option<(&str, u64)> {
    let begun = inputs.partition_point(|(lines_before, _)| *lines_before < line);
    let (lines_before, name) = inputs.get(begun.checked_sub(1)?)?;
    Some((name, line - lines_before))
}

fn write_head(
    out: &mut Vec<u8>,
    reason: RejectReason,
    stage: Option<u32>,
    place: Option<(&str, u64)>,
) {
    out.extend_from_slice(b"{\"reason\":");
    write_string(reason.name(), out);
    out.extend_from_slice(b",\"stage\":");
    match stage {
        Some(stage) => out.extend_from_slice(stage.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    let Some((input, line)) = place else {
        out.extend_from_slice(b",\"input\":null,\"line\":null");
        return;
    };
    out.extend_from_slice(b",\"input\":");
    write_string(input, out);
    out.extend_from_slice(b",\"line\":");
    out.extend_from_slice(line.to_string().as_bytes());
}

fn write_times(out: &mut Vec<u8>, watermark: Option<i64>, window_end: Option<i64>) {
    for (name, time) in [("watermark", watermark), ("window_end", window_end)] {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match time {
            None | Some(NULL_TIME | END_OF_TIME) => out.extend_from_slice(b"null"),
            Some(time) => {
                out.push(b'"');
                write_rfc3339(time, out);
                out.push(b'"');
            }
        }
    }
    out.extend_from_slice(b",\"event\":");
}

/// The length of `text` without a character at its end whose last bytes are still to come.
fn whole_characters(text: &[u8]) -> usize {
    let longest_start = text.len().saturating_sub(3);
    for start in (longest_start..text.len()).rev() {
        let needed = match text.get(start) {
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf4) => 4,
            Some(0x80..=0xbf) => continue,
            _ => return text.len(),
        };
        return if text.len() - start < needed { start } else { text.len() };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_in_their_input() {
        let inputs = [(0, "a".to_owned()), (3, "empty".to_owned()), (3, "b".to_owned())];
        let places: Vec<_> = (1..6).map(|line| place(&inputs, line)).collect();
        let due = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)];
        assert_eq!(places, due.map(Some));
        assert_eq!(place(&[], 1), None);
    }

    #[test]
    fn a_character_cut_in_two_is_kept_whole() {
        let text = "aé😀".as_bytes();
        let whole: Vec<usize> =
            (0..=text.len()).map(|end| whole_characters(&text[..end])).collect();
        assert_eq!(whole, [0, 1, 1, 3, 3, 3, 3, 7]);
        assert_eq!(whole_characters(b"\x80\x80\x80\x80"), 4);
        assert_eq!(whole_characters(b"\xff"), 1);
    }
}
