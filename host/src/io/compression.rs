//! Gzip and zstd: decompression by the name or the first bytes of an input, and compression by the
//! name of an output.
//!
//! Gzip files are read as `gzip -d` reads them: all members, and zero bytes after the last one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

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

    /// Returns the compression that begins with `bytes`; `None` if more bytes decide.
    fn of_start(bytes: &[u8]) -> Option<Self> {
        let magics = [(GZIP_MAGIC, Self::Gzip), (ZSTD_MAGIC, Self::Zstd)];
        for (magic, compression) in magics {
            match bytes.len().cmp(&magic.len()) {
                _ if bytes.starts_with(magic) => return Some(compression),
                std::cmp::Ordering::Less if magic.starts_with(bytes) => return None,
                _ => {}
            }
        }
        Some(Self::None)
    }
}

/// The first bytes of a gzip file with deflate, the only method there is.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];

/// The first bytes of a zstd frame.
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes of one read for [`detected`].
const FIRST_BYTES: usize = 8 << 10;

/// Reads as many bytes from `reader` as decide about its compression. Returns the compression, and a
/// reader of all bytes. Blocks until the first byte is there.
pub(super) fn detected<R: Read>(mut reader: R) -> io::Result<(Compression, impl Read + use<R>)> {
    let mut start = Vec::new();
    let mut room = [0; FIRST_BYTES];
    let compression = loop {
        match reader.read(&mut room) {
            Ok(0) => break Compression::None,
            Ok(bytes) => start.extend_from_slice(room.get(..bytes).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(compression) = Compression::of_start(&start) {
            break compression;
        }
    };
    Ok((compression, Cursor::new(start).chain(reader)))
}

/// Counts the bytes that a reader returns.
pub(super) struct CountingReader<R> {
    pub(super) reader: R,
    pub(super) bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A writer to a file, compressed as the name of the file says.
pub(super) enum CompressedFile {
    Plain(File),
    Gzip(GzEncoder<File>),
    Zstd(zstd::stream::write::Encoder<'static, File>),
}

impl CompressedFile {
    /// Creates or truncates the file at `path`.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(match Compression::of_path(path) {
            Compression::None => Self::Plain(file),
            Compression::Gzip => Self::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(
                file,
                zstd::DEFAULT_COMPRESSION_LEVEL,
            )?),
        })
    }

    /// Writes the end of the compressed data, without which the file is truncated.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Zstd(encoder) => encoder.do_finish(),
        }
    }
}

impl Write for CompressedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Passes everything that was written to the operating system.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
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

/// Returns a reader of the bytes of `reader`, decompressed if the first ones say so.
pub(super) fn decompressed_if_needed<R: Read + Send + 'static>(
    reader: R,
) -> io::Result<Box<dyn Read + Send>> {
    let (compression, reader) = detected(reader)?;
    decompressed(compression, reader)
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
