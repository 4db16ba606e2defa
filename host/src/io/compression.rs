//! Decompression of gzip and zstd files, chosen by the name of the file.
//!
//! Gzip files are read as `gzip -d` reads them: all members, and zero bytes after the last one.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

/// Bytes read ahead of a decompressor.
const COMPRESSED_BUFFER_BYTES: usize = 128 << 10;

/// The compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Returns the compression by the name of a file: `.gz` is gzip, `.zst` is zstd.
    pub(super) fn of_path(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Returns a reader of the decompressed bytes of `file`.
pub(super) fn decompressed<R: Read + Send + 'static>(
    compression: Compression,
    file: R,
) -> io::Result<Box<dyn Read + Send>> {
    let buffered = |file| BufReader::with_capacity(COMPRESSED_BUFFER_BYTES, file);
    Ok(match compression {
        Compression::Gzip => Box::new(Gzip::new(buffered(file))),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(file))?),
        Compression::None => Box::new(file),
    })
}

/// Reads all members of a gzip file as one stream. Skips the zero bytes that tapes and block
/// devices append to files.
struct Gzip<R> {
    /// The current member, or `None` at the end of the file.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    /// Creates a reader that starts at the first member.
    fn new(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let bytes = member.read(buffer)?;
            if bytes > 0 || buffer.is_empty() {
                return Ok(bytes);
            }
            let next = self.member.take().map(GzDecoder::into_inner).map(next_member);
            self.member = next.transpose()?.flatten();
        }
        Ok(0)
    }
}

/// Returns a decoder of the next member in `reader`, or `None` at the end of the file, also after
/// zero bytes.
fn next_member<R: BufRead>(mut reader: R) -> io::Result<Option<GzDecoder<R>>> {
    let mut is_padded = false;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        is_padded |= zeros > 0;
        let is_padding = zeros == bytes.len();
        reader.consume(zeros);
        match (is_padding, is_padded) {
            (true, _) => {}
            (false, false) => return Ok(Some(GzDecoder::new(reader))),
            (false, true) => {
                let message = "other data follows the zero bytes after a gzip member";
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::{BufReader, Write};

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8]) -> io::Result<String> {
        let whole = io::read_to_string(Gzip::new(file))?;
        let mut small = String::new();
        Gzip::new(BufReader::with_capacity(1, file)).read_to_string(&mut small)?;
        assert_eq!(small, whole, "reads of one byte");
        Ok(whole)
    }

    #[test]
    fn zero_bytes_after_the_last_member_are_skipped() {
        let (one, two) = (gzip(b"one"), gzip(b"two"));
        for padding in [0, 1, 511, 100_000] {
            let padding = vec![0; padding];
            assert_eq!(read(&[&one[..], &padding].concat()).unwrap(), "one");
            assert_eq!(read(&[&one[..], &two, &gzip(b""), &padding].concat()).unwrap(), "onetwo");
        }
    }

    #[test]
    fn other_bytes_after_a_member_are_an_error() {
        let one = gzip(b"one");
        for trailing in [&b"x"[..], b"\0x", &[&[0; 9][..], &one].concat(), &one[..one.len() - 1]] {
            assert!(read(&[&one[..], trailing].concat()).is_err(), "{trailing:?}");
        }
        assert!(read(&[0; 20]).is_err(), "no member at all");
        assert!(read(b"").is_err(), "an empty file");
    }
}
