//! Reads of text from one file or stream: full rooms of files, single reads of live streams.

use std::io::{self, ErrorKind, Read};

/// Bytes that are skipped at once.
const SKIPPED_BYTES: usize = 64 << 10;

/// A reader of text that counts its bytes.
pub(super) struct TextReader {
    reader: Box<dyn Read + Send>,
    fill: Fill,
    /// The end or the failure that a read found after the bytes that it returned.
    end: Option<io::Result<()>>,
    offset_bytes: u64,
}

/// The amount of text after which a read returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// A full room: for regular files.
    WholeRoom,
    /// The first bytes: those of a pipe or a terminal are parsed as they arrive.
    FirstBytes,
}

impl TextReader {
    /// Creates a reader whose next byte has the offset `offset_bytes`.
    pub(super) fn new(reader: Box<dyn Read + Send>, fill: Fill, offset_bytes: u64) -> Self {
        Self { reader, fill, end: None, offset_bytes }
    }

    /// Returns the offset of the next byte.
    pub(super) fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// Reads text into `room`. Returns 0 at the end.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if let Some(end) = self.end.take() {
            return end.map(|()| 0);
        }
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => self.end = Some(Ok(())),
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => self.end = Some(Err(error)),
            }
            if self.end.is_some() || self.fill == Fill::FirstBytes {
                break;
            }
        }
        self.offset_bytes += filled as u64;
        match self.end.take_if(|_| filled == 0) {
            Some(end) => end.map(|()| 0),
            None => Ok(filled),
        }
    }

    /// Reads and drops text up to the offset `offset_bytes`.
    ///
    /// # Errors
    /// The text ends before, or the next byte is behind it already.
    pub(super) fn skip_to(&mut self, offset_bytes: u64) -> io::Result<()> {
        let mut room = vec![0; SKIPPED_BYTES];
        while self.offset_bytes < offset_bytes {
            let left = usize::try_from(offset_bytes - self.offset_bytes).unwrap_or(usize::MAX);
            let room = room.get_mut(..left.min(SKIPPED_BYTES)).unwrap_or_default();
            if self.read(room)? == 0 {
                return Err(too_short(self.offset_bytes, offset_bytes));
            }
        }
        match self.offset_bytes == offset_bytes {
            true => Ok(()),
            false => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the stored position is byte {offset_bytes}, but byte {} is read already",
                    self.offset_bytes
                ),
            )),
        }
    }
}

/// Returns the error of a position behind the end of its input.
pub(super) fn too_short(len_bytes: u64, offset_bytes: u64) -> io::Error {
    let message =
        format!("it has {len_bytes} bytes of text, but the stored position is byte {offset_bytes}");
    io::Error::new(ErrorKind::UnexpectedEof, message)
}
