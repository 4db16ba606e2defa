//! Dead letters and late events: lines that gave no row, with the reason and their original text.

use stream_processor_core::json::{write_string, write_string_lossy, write_string_part_lossy};
use stream_processor_core::spec::Stage;
use stream_processor_core::time::{NULL_TIME, write_rfc3339};
use stream_processor_core::watermark::END_OF_TIME;
use stream_processor_core::{Dropped, PipelineSpec, RejectReason};

use super::batch_log::{BatchLog, RefusedEntry};
use crate::error::Error;
use crate::io::TextOutput;

/// Writes dead letters and late events to their outputs.
pub(super) struct DeadLetterWriter {
    dead: Option<TextOutput>,
    late: Option<TextOutput>,
    /// The inputs so far: the number of lines in all inputs before, and the name.
    inputs: Vec<(u64, String)>,
    /// The first stage that makes rows. Later stages drop rows, which belong to no input line.
    row_stage: Option<usize>,
    /// Set while the last line in `dead` lacks the end of its text. Holds the first bytes of a
    /// character whose last bytes are in the next piece.
    unfinished: Option<Vec<u8>>,
}

impl DeadLetterWriter {
    /// Creates a writer; without an output, its lines are skipped.
    pub(super) fn new(
        dead: Option<TextOutput>,
        late: Option<TextOutput>,
        pipeline: &PipelineSpec,
    ) -> Self {
        let row_stage = pipeline.stages.iter().position(Stage::emits_rows);
        Self { dead, late, inputs: Vec::new(), row_stage, unfinished: None }
    }

    /// Writes the refused lines and dropped events of one batch, in the order of the lines.
    pub(super) fn write(&mut self, log: &BatchLog, dropped: &[Dropped]) -> Result<(), Error> {
        self.inputs.extend_from_slice(&log.inputs);
        let mut dropped = dropped.iter().peekable();
        for refused in log.refused() {
            while let Some(earlier) = dropped.next_if(|dropped| dropped.ordinal < refused.line) {
                self.write_dropped(log, earlier)?;
            }
            self.write_refused(log, refused)?;
        }
        for later in dropped {
            self.write_dropped(log, later)?;
        }
        Ok(())
    }

    /// Ends the last dead letter if the run has stopped before its whole text arrived.
    pub(super) fn end_unfinished_line(&mut self) -> Result<(), Error> {
        match (self.unfinished.take(), &mut self.dead) {
            (Some(cut), Some(dead)) => dead.append(|out| {
                write_string_part_lossy(&cut, out);
                out.extend_from_slice(TEXT_END);
            }),
            _ => Ok(()),
        }
    }

    /// Flushes both outputs.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.dead.iter_mut().chain(&mut self.late).try_for_each(TextOutput::flush)
    }

    /// Ends both outputs.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.dead.iter_mut().chain(&mut self.late).try_for_each(TextOutput::finish)
    }

    /// Writes a dropped event: a late one to the output for late events if there is one, all others
    /// to the dead letters.
    fn write_dropped(&mut self, log: &BatchLog, dropped: &Dropped) -> Result<(), Error> {
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
                line.and_then(|line| find_line(inputs, line)),
            );
            write_times(out, Some(dropped.watermark), dropped.window_end);
            match line.and_then(|line| log.events.text(line)) {
                Some(text) => write_string_lossy(text, out),
                None => out.extend_from_slice(b"null"),
            }
            out.extend_from_slice(b"}\n");
        })
    }

    /// Writes a refused line. The pieces of a line longer than the limit become one string.
    fn write_refused(&mut self, log: &BatchLog, refused: &RefusedEntry) -> Result<(), Error> {
        let Self { dead: Some(dead), inputs, unfinished, .. } = self else { return Ok(()) };
        let split_character = unfinished.take();
        dead.append(|out| {
            let mut text = split_character.unwrap_or_else(|| {
                write_head(out, refused.reason, None, find_line(inputs, refused.line));
                write_times(out, None, None);
                out.push(b'"');
                Vec::new()
            });
            text.extend_from_slice(log.refused_text(refused));
            if refused.continues {
                *unfinished = Some(text.split_off(complete_len(&text)));
                write_string_part_lossy(&text, out);
            } else {
                write_string_part_lossy(&text, out);
                out.extend_from_slice(TEXT_END);
            }
        })
    }
}

/// Closes the text of a line and its object.
const TEXT_END: &[u8] = b"\"}\n";

/// Returns the input that contains line `line` of all inputs, and the line number in that input.
fn find_line(inputs: &[(u64, String)], line: u64) -> Option<(&str, u64)> {
    let started = inputs.partition_point(|(lines_before, _)| *lines_before < line);
    let (lines_before, name) = inputs.get(started.checked_sub(1)?)?;
    Some((name, line - lines_before))
}

/// Writes the reason, the stage and the position of a line.
fn write_head(
    out: &mut Vec<u8>,
    reason: RejectReason,
    stage: Option<u32>,
    position: Option<(&str, u64)>,
) {
    out.extend_from_slice(b"{\"reason\":");
    write_string(reason.name(), out);
    out.extend_from_slice(b",\"stage\":");
    match stage {
        Some(stage) => out.extend_from_slice(stage.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    let Some((input, line)) = position else {
        out.extend_from_slice(b",\"input\":null,\"line\":null");
        return;
    };
    out.extend_from_slice(b",\"input\":");
    write_string(input, out);
    out.extend_from_slice(b",\"line\":");
    out.extend_from_slice(line.to_string().as_bytes());
}

/// Writes the times of a dropped event, and the name of the field of its text.
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

/// Returns the length of `text` without an incomplete UTF-8 character at its end.
fn complete_len(text: &[u8]) -> usize {
    let earliest_start = text.len().saturating_sub(3);
    for start in (earliest_start..text.len()).rev() {
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
    fn line_numbers_count_from_the_start_of_each_input() {
        let inputs = [(0, "a".to_owned()), (3, "empty".to_owned()), (3, "b".to_owned())];
        let positions: Vec<_> = (1..6).map(|line| find_line(&inputs, line)).collect();
        let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)];
        assert_eq!(positions, expected.map(Some));
        assert_eq!(find_line(&[], 1), None);
    }

    #[test]
    fn incomplete_character_at_the_end_is_not_counted() {
        let text = "aé😀".as_bytes();
        let lengths: Vec<usize> = (0..=text.len()).map(|end| complete_len(&text[..end])).collect();
        assert_eq!(lengths, [0, 1, 1, 3, 3, 3, 3, 7]);
        assert_eq!(complete_len(b"\x80\x80\x80\x80"), 4);
        assert_eq!(complete_len(b"\xff"), 1);
    }
}
