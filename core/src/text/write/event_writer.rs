//! Writes events that pass a pipeline unchanged.

use csv_core::{ReadRecordResult, ReaderBuilder};

use crate::number::{ScannedNumber, scan_json_number};
use crate::spec::{Delimiter, Format};
use crate::text::read::csv::{column_name, find_delimiter};
use crate::util::json::write_string;

/// Writes unchanged events of the source ([`crate::OutputSchema::passes_events`]). It copies their
/// text or, from CSV to NDJSON, writes an object of all their fields. In the object, a field whose
/// text is a JSON number becomes a number, an empty field null, and any other field a string.
///
/// ```
/// # use stream_processor_core::text::{EventWriter, Format};
/// let mut writer = EventWriter::new(Format::Csv, Format::Ndjson);
/// let mut out = Vec::new();
/// writer.begin(b"ts,host,ok", &mut out);
/// writer.write(b"5,\"a,b\",", &mut out);
/// assert_eq!(out, b"{\"ts\":5,\"host\":\"a,b\",\"ok\":null}\n");
/// ```
#[derive(Debug)]
pub struct EventWriter {
    from: Format,
    to: Format,
    /// The delimiter that the options set.
    given: Option<Delimiter>,
    /// The delimiter of the current input.
    delimiter: u8,
    /// The text before each value: `{"ts":`, `,"host":`.
    members: Vec<Vec<u8>>,
    has_header: bool,
}

impl EventWriter {
    /// Creates a writer from the format `from` to the format `to`. NDJSON cannot be converted to
    /// CSV, and stays NDJSON.
    #[must_use]
    pub fn new(from: Format, to: Format) -> Self {
        let delimiter = Delimiter::Comma.byte();
        Self { from, to, given: None, delimiter, members: Vec::new(), has_header: false }
    }

    /// Sets the delimiter of CSV; without one it is found in each header, as readers do.
    #[must_use]
    pub fn delimited_by(self, given: Option<Delimiter>) -> Self {
        Self { given, ..self }
    }

    /// Starts a CSV input with its header. CSV output keeps the first header only.
    pub fn begin(&mut self, header: &[u8], out: &mut Vec<u8>) {
        if self.to == Format::Csv {
            if !self.has_header {
                out.extend_from_slice(header);
                out.push(b'\n');
            }
            self.has_header = true;
            return;
        }
        self.members.clear();
        self.delimiter = self.given.map_or_else(|| find_delimiter(header), Delimiter::byte);
        let members = &mut self.members;
        for_each_field(header, self.delimiter, |name| {
            let mut member = vec![if members.is_empty() { b'{' } else { b',' }];
            write_string(&column_name(members.len(), name), &mut member);
            member.push(b':');
            members.push(member);
        });
    }

    /// Appends the event whose text is `text`.
    pub fn write(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.from == Format::Ndjson || self.to == Format::Csv {
            out.extend_from_slice(text);
            out.push(b'\n');
            return;
        }
        let mut members = self.members.iter();
        for_each_field(text, self.delimiter, |value| {
            let Some(member) = members.next() else { return };
            out.extend_from_slice(member);
            if value.is_empty() {
                out.extend_from_slice(b"null");
            } else if is_number(value) {
                out.extend_from_slice(value);
            } else {
                write_string(&String::from_utf8_lossy(value), out);
            }
        });
        out.extend_from_slice(b"}\n");
    }
}

fn is_number(text: &[u8]) -> bool {
    scan_json_number(text, 0, &mut ScannedNumber::default()) == Ok(text.len())
}

/// Calls `see` with each field of a CSV record, without its quotes.
fn for_each_field(record: &[u8], delimiter: u8, mut see: impl FnMut(&[u8])) {
    let mut fields = vec![0; record.len()];
    let mut ends = vec![0; record.iter().filter(|byte| **byte == delimiter).count() + 1];
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut read, mut written, mut count) = (0, 0, 0);
    loop {
        let (result, took, wrote, ended) = reader.read_record(
            record.get(read..).unwrap_or_default(),
            fields.get_mut(written..).unwrap_or_default(),
            ends.get_mut(count..).unwrap_or_default(),
        );
        (read, written, count) = (read + took, written + wrote, count + ended);
        // Empty input tells the parser that the record ends here.
        if result != ReadRecordResult::InputEmpty {
            break;
        }
    }
    let mut from = 0;
    for end in ends.into_iter().take(count) {
        see(fields.get(from..end).unwrap_or_default());
        from = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(from: Format, to: Format, header: Option<&str>, events: &[&str]) -> String {
        let mut writer = EventWriter::new(from, to);
        let mut out = Vec::new();
        if let Some(header) = header {
            writer.begin(header.as_bytes(), &mut out);
        }
        events.iter().for_each(|event| writer.write(event.as_bytes(), &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_of_the_same_format_is_kept() {
        let ndjson = written(Format::Ndjson, Format::Ndjson, None, &["{ \"a\": 1.0 }", "{}"]);
        assert_eq!(ndjson, "{ \"a\": 1.0 }\n{}\n");
        let csv = written(Format::Csv, Format::Csv, Some("a,\"b\""), &["1,\"x\ny\"", ","]);
        assert_eq!(csv, "a,\"b\"\n1,\"x\ny\"\n,\n");
    }

    #[test]
    fn records_become_objects() {
        let json = written(
            Format::Csv,
            Format::Ndjson,
            Some("a,\"the \"\"b\"\"\",c"),
            &["1.50,-0,", "\"1\",\"x\ny\",01", "true,1e400,é", ",,"],
        );
        let due = r#"{"a":1.50,"the \"b\"":-0,"c":null}
{"a":1,"the \"b\"":"x\ny","c":"01"}
{"a":"true","the \"b\"":1e400,"c":"é"}
{"a":null,"the \"b\"":null,"c":null}
"#;
        assert_eq!(json, due);
    }
}
