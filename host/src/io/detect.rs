//! Detects the format of an input from its first bytes, for command lines that name no format.

use std::fs::{self, File};
use std::io::{self, Cursor, ErrorKind, Read};

use super::compression::decompressed_if_needed;
use super::input::Input;
use super::stdio;

/// Bytes that are looked at.
const FIRST_BYTES: u64 = 64 << 10;

/// The format that the first bytes of an input indicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputKind {
    /// JSON objects, one a line.
    Ndjson,
    /// CSV with a header line.
    Csv,
    /// A JSON array.
    JsonArray,
    /// Text in UTF-16.
    Utf16,
    /// Text whose lines end in carriage returns alone.
    LoneReturns,
    /// Nothing of these, or nothing yet.
    Unknown,
}

impl Input {
    /// Returns what the input seems to be, by its first bytes after decompression. Blocks until
    /// standard input has some; they are read again by the run. Of several files, the first one
    /// decides. Readers, sources, pipes and devices are unknown.
    ///
    /// # Errors
    /// The input cannot be read. A run of it fails as well.
    pub fn detect(&self) -> io::Result<InputKind> {
        let start = match self {
            Self::Stdin => stdio::read_ahead(FIRST_BYTES)?,
            Self::Files(paths) => match paths.first() {
                Some(path) if fs::metadata(path)?.is_file() => {
                    let mut start = Vec::new();
                    File::open(path)?.take(FIRST_BYTES).read_to_end(&mut start)?;
                    start
                }
                _ => return Ok(InputKind::Unknown),
            },
            Self::Reader(..) | Self::Source(_) => return Ok(InputKind::Unknown),
        };
        Ok(kind(&decompressed_start(start)?))
    }
}

/// Decompresses the first bytes of an input as far as they go.
fn decompressed_start(start: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut reader = decompressed_if_needed(Cursor::new(start))?.take(FIRST_BYTES);
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(text),
            Ok(bytes) => text.extend_from_slice(buffer.get(..bytes).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The compressed bytes are cut off.
            Err(_) => return Ok(text),
        }
    }
}

/// Returns what a text that begins with `start` seems to be.
fn kind(start: &[u8]) -> InputKind {
    if is_utf16(start) {
        return InputKind::Utf16;
    }
    if has_lone_returns(start) {
        return InputKind::LoneReturns;
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    match text {
        [b'{', ..] => InputKind::Ndjson,
        [b'[', rest @ ..] if matches!(rest.trim_ascii_start(), [b'{', ..]) => InputKind::JsonArray,
        _ if is_header(text) => InputKind::Csv,
        _ => InputKind::Unknown,
    }
}

/// Returns whether the text has a byte order mark of UTF-16, or starts with ASCII in UTF-16.
fn is_utf16(start: &[u8]) -> bool {
    let is_ascii = |byte: u8| byte.is_ascii() && byte != 0;
    match *start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] => is_ascii(a) && is_ascii(b),
        _ => false,
    }
}

/// Returns whether a carriage return is followed by another character, and no line feed occurs.
fn has_lone_returns(start: &[u8]) -> bool {
    let followed = start.split_last().is_some_and(|(_, front)| front.contains(&b'\r'));
    followed && !start.contains(&b'\n')
}

/// Returns whether the first line is complete and has several names that are separated by a
/// delimiter, some of them not empty and none of them a number.
fn is_header(text: &[u8]) -> bool {
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else { return false };
    let line = text.get(..end).unwrap_or_default().trim_ascii_end();
    let Ok(line) = str::from_utf8(line) else { return false };
    let name = |field: &str| field.trim().trim_matches('"').to_owned();
    let is_name = |name: &String| name.parse::<f64>().is_err() && !name.contains(['{', '}']);
    [',', ';', '\t', '|'].into_iter().any(|delimiter| {
        let names: Vec<String> = line.split(delimiter).map(name).collect();
        names.len() > 1 && names.iter().all(is_name) && names.iter().any(|name| !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_say_what_an_input_is() {
        let cases: &[(&[u8], InputKind)] = &[
            (b"{\"ts\":1}\n", InputKind::Ndjson),
            (b"\xef\xbb\xbf \r\n{", InputKind::Ndjson),
            (b"ts,service\n1,a\n", InputKind::Csv),
            (b"\xef\xbb\xbf\"ts\",\"a b\"\r\n", InputKind::Csv),
            (b"[\n  {\"ts\":1}]", InputKind::JsonArray),
            (b"\xff\xfet\0s\0", InputKind::Utf16),
            (b"\xfe\xff\0t", InputKind::Utf16),
            (b"", InputKind::Unknown),
            (b"bad\nbad\n", InputKind::Unknown),
            (b"ts,serv", InputKind::Unknown),
            (b"1,2\n3,4\n", InputKind::Unknown),
            (b"a,,b\n", InputKind::Csv),
            (b",ts,v\n", InputKind::Csv),
            (b"ts;v\n1;2\n", InputKind::Csv),
            (b"ts\tv\n", InputKind::Csv),
            (b"ts|v\r\n", InputKind::Csv),
            (b",,\n", InputKind::Unknown),
            (b"t\0s\0", InputKind::Utf16),
            (b"\0{\0\"", InputKind::Utf16),
            (b"ts,v\r1,2\r3,4", InputKind::LoneReturns),
            (b"{\"ts\":1}\r{", InputKind::LoneReturns),
            (b"{\"ts\":1}\r", InputKind::Ndjson),
            (b"[1]\n", InputKind::Unknown),
        ];
        for (start, expected) in cases {
            assert_eq!(kind(start), *expected, "{:?}", String::from_utf8_lossy(start));
        }
    }
}
