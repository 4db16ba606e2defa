//! Where events come from: standard input, files (compressed or not) or any reader.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::gzip::Gzip;
use crate::error::Error;
use crate::stdio;

/// Bytes read ahead of a decompressor.
const COMPRESSED_BUFFER_BYTES: usize = 128 << 10;

/// Where events come from.
pub enum Input {
    /// Standard input.
    Stdin,
    /// Files, read one after another; names that end in `.gz` and `.zst` are decompressed.
    Files(Vec<PathBuf>),
    /// Any reader, and its name for messages.
    Reader(String, Box<dyn Read + Send>),
}

impl Input {
    /// Bytes that will be read, as stored, where that is known: all inputs are regular files.
    #[must_use]
    pub fn len_bytes(&self) -> Option<u64> {
        let Self::Files(paths) = self else { return None };
        paths
            .iter()
            .map(|path| fs::metadata(path).ok().filter(fs::Metadata::is_file))
            .try_fold(0, |total, metadata| Some(total + metadata?.len()))
    }

    /// The parts of the input in order. Every file is looked at now, so that a missing one is known before any is read.
    pub(super) fn into_parts(self) -> Result<Vec<Part>, Error> {
        match self {
            Self::Stdin => Ok(vec![Part { name: "stdin".into(), kind: Kind::Stdin }]),
            Self::Reader(name, reader) => Ok(vec![Part { name, kind: Kind::Reader(reader) }]),
            Self::Files(paths) => paths.into_iter().map(Part::file).collect(),
        }
    }
}

/// One file or stream of the input.
pub(super) struct Part {
    pub(super) name: String,
    kind: Kind,
}

enum Kind {
    Stdin,
    File(PathBuf),
    Reader(Box<dyn Read + Send>),
}

impl Part {
    fn file(path: PathBuf) -> Result<Self, Error> {
        let name = path.display().to_string();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                Err(Error::read(name, io::ErrorKind::IsADirectory.into()))
            }
            Ok(_) => Ok(Self { name, kind: Kind::File(path) }),
            Err(error) => Err(Error::read(name, error)),
        }
    }

    /// Opens the part; `taken` counts the bytes that it reads.
    pub(super) fn open(self, taken: &Arc<AtomicU64>) -> Result<Stream, Error> {
        let taken = Arc::clone(taken);
        let reader: Box<dyn Read + Send> = match self.kind {
            Kind::Stdin => match stdio::reader() {
                Ok(reader) => Box::new(Counted { reader, taken }),
                Err(error) => return Err(Error::read(self.name, error)),
            },
            Kind::Reader(reader) => Box::new(Counted { reader, taken }),
            Kind::File(path) => {
                let opened = File::open(&path)
                    .and_then(|file| decompressed(&path, Counted { reader: file, taken }));
                return match opened {
                    Ok((reader, whole_blocks)) => {
                        Ok(Stream { name: self.name, reader, whole_blocks })
                    }
                    Err(error) => Err(Error::read(self.name, error)),
                };
            }
        };
        Ok(Stream { name: self.name, reader, whole_blocks: false })
    }
}

/// An open part.
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) reader: Box<dyn Read + Send>,
    /// Whether blocks may wait until they are full: not for what may pause in the middle.
    pub(super) whole_blocks: bool,
}

/// Chooses the decompressor by the name of the file.
fn decompressed(path: &Path, file: Counted<File>) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let whole_blocks = file.reader.metadata()?.is_file();
    let buffered = |file| BufReader::with_capacity(COMPRESSED_BUFFER_BYTES, file);
    let reader: Box<dyn Read + Send> = match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(Gzip::new(buffered(file))),
        Some("zst") => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(file))?),
        _ => Box::new(file),
    };
    Ok((reader, whole_blocks))
}

/// Counts the bytes that a reader gives.
struct Counted<R> {
    reader: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
