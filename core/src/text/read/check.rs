//! Finds lines of NDJSON that no reader would accept, without reading their fields.

use super::lines::next_feed;
use super::names::Names;
use super::ndjson::{Line, scan_line};
use crate::RejectReason;
use crate::util::names::NameTable;

/// A line that is not a JSON object.
/// ```
/// use stream_processor_core::text::faulty_lines;
/// let faulty = &faulty_lines("{\"ts\":1}\noops\n")[0];
/// assert_eq!((faulty.index, faulty.reason.name()), (1, "invalid_json"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyLine {
    /// The index of the line; 0 for the first.
    pub index: usize,
    /// The reason why readers reject it.
    pub reason: RejectReason,
    /// Description of the defect.
    pub message: String,
}

/// Returns those of `lines`, UTF-8 text, that are not JSON objects by the rules of the readers.
///
/// ```
/// # use stream_processor_core::{RejectReason, text::faulty_lines};
/// let faults = faulty_lines("{\"a\":1}\n[2]\n{\"a\":\"\\ud800\"}");
/// assert_eq!(faults.iter().map(|fault| fault.index).collect::<Vec<_>>(), [1, 2]);
/// assert_eq!(faults[1].reason, RejectReason::InvalidJson);
/// ```
#[must_use]
pub fn faulty_lines(lines: &str) -> Vec<FaultyLine> {
    let bytes = lines.as_bytes();
    let mut names = Names::new(NameTable::default());
    let mut faults = Vec::new();
    let (mut next, mut index) = (Some(0), 0);
    while let Some(start) = next {
        let (reason, message) = match scan_line(bytes, start, &mut names, &mut []) {
            Line::Object { .. } => (None, String::new()),
            Line::Other => (Some(RejectReason::NotAnObject), "it is no object".to_owned()),
            Line::Broken(error) => {
                let place = error.at.saturating_sub(start) + 1;
                let message = format!("byte {place}: expected {}", error.expected);
                (Some(RejectReason::InvalidJson), message)
            }
        };
        if let Some(reason) = reason {
            faults.push(FaultyLine { index, reason, message });
        }
        next = next_feed(bytes, start).map(|feed| feed + 1);
        index += 1;
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faulty_lines_are_those_that_readers_reject() {
        let deep = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let lines =
            ["{}", r#"{"a":"😀"}"#, r#"{"a":"\udc00"}"#, "", "7", &deep(127), &deep(128), " {} "];
        let faults = faulty_lines(&lines.join("\n"));
        let found: Vec<_> = faults.iter().map(|fault| (fault.index, fault.reason)).collect();
        let (json, object) = (RejectReason::InvalidJson, RejectReason::NotAnObject);
        assert_eq!(found, [(2, json), (3, json), (4, object), (6, json)]);
        assert_eq!(faults[0].message, "byte 8: expected a high surrogate before this low one");
    }
}
