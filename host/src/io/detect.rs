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
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return InputKind::Utf16;
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    match text {
        [b'{', ..] => InputKind::Ndjson,
        [b'[', rest @ ..] if matches!(rest.trim_ascii_start(), [b'{', ..]) => InputKind::JsonArray,
        _ if is_header(text) => InputKind::Csv,
        _ => InputKind::Unknown,
    }
}

/// Returns whether the first line is complete and has several names that are separated by commas,
/// none of them empty or a number.
fn is_header(text: &[u8]) -> bool {
    let Some(end) = text.iter().position(|byte| *byte == b'\n') else { return false };
    let line = text.get(..end).unwrap_or_default().trim_ascii_end();
    let Ok(line) = str::from_utf8(line) else { return false };
    let is_name = |field: &str| {
        let name = field.trim().trim_matches('"');
        !name.is_empty() && name.parse::<f64>().is_err() && !name.contains(['{', '}'])
    };
    line.contains(',') && line.split(',').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_say_what_an_input_is() {
        let cases: [(&[u8], InputKind); 13] = [
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
            (b"a,,b\n", InputKind::Unknown),
            (b"[1]\n", InputKind::Unknown),
        ];
        for (start, expected) in cases {
            assert_eq!(kind(start), expected, "{:?}", String::from_utf8_lossy(start));
        }
    }
}
