//! Inputs of events: standard input, files (compressed or not) or any reader.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::decompressed;
use super::stdio;
use crate::error::Error;

/// An input of events.
pub enum Input {
    /// Standard input.
    Stdin,
    /// Files, read one after another. Names that end in `.gz` and `.zst` are decompressed.
    Files(Vec<PathBuf>),
    /// Any reader, with its name for messages.
    Reader(String, Box<dyn Read + Send>),
}

impl Input {
    /// Returns the total size of the input in bytes, before decompression. Returns `None` unless
    /// all inputs are regular files.
    #[must_use]
    pub fn len_bytes(&self) -> Option<u64> {
        let Self::Files(paths) = self else { return None };
        paths
            .iter()
            .map(|path| fs::metadata(path).ok().filter(fs::Metadata::is_file))
            .try_fold(0, |total, metadata| Some(total + metadata?.len()))
    }

    /// Returns the sources of the input in order.
    ///
    /// # Errors
    /// [`Error::Read`] if a file does not exist or is a folder, before any file is opened.
    pub(crate) fn into_sources(self) -> Result<Vec<InputSource>, Error> {
        match self {
            Self::Stdin => Ok(vec![InputSource { name: "stdin".into(), kind: SourceKind::Stdin }]),
            Self::Reader(name, reader) => {
                Ok(vec![InputSource { name, kind: SourceKind::Reader(reader) }])
            }
            Self::Files(paths) => paths.into_iter().map(InputSource::file).collect(),
        }
    }
}

/// One file or stream of the input, not open yet.
pub(crate) struct InputSource {
    name: String,
    kind: SourceKind,
}

enum SourceKind {
    Stdin,
    File(PathBuf),
    Reader(Box<dyn Read + Send>),
}

impl InputSource {
    fn file(path: PathBuf) -> Result<Self, Error> {
        let name = path.display().to_string();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                Err(Error::read(name, io::ErrorKind::IsADirectory.into()))
            }
            Ok(_) => Ok(Self { name, kind: SourceKind::File(path) }),
            Err(error) => Err(Error::read(name, error)),
        }
    }

    /// Opens the source. Its reads add to `bytes_read`.
    pub(crate) fn open(self, bytes_read: &Arc<AtomicU64>) -> Result<OpenInput, Error> {
        let bytes_read = Arc::clone(bytes_read);
        let reader: Box<dyn Read + Send> = match self.kind {
            SourceKind::Stdin => match stdio::reader() {
                Ok(reader) => Box::new(CountingReader { reader, bytes_read }),
                Err(error) => return Err(Error::read(self.name, error)),
            },
            SourceKind::Reader(reader) => Box::new(CountingReader { reader, bytes_read }),
            SourceKind::File(path) => {
                let opened = File::open(&path).and_then(|file| {
                    let fills_blocks = file.metadata()?.is_file();
                    let file = CountingReader { reader: file, bytes_read };
                    Ok((decompressed(&path, file)?, fills_blocks))
                });
                return match opened {
                    Ok((reader, fills_blocks)) => {
                        Ok(OpenInput { name: self.name, reader, fills_blocks })
                    }
                    Err(error) => Err(Error::read(self.name, error)),
                };
            }
        };
        Ok(OpenInput { name: self.name, reader, fills_blocks: false })
    }
}

/// An open source.
pub(crate) struct OpenInput {
    /// The path, or `stdin`.
    pub(crate) name: String,
    pub(crate) reader: Box<dyn Read + Send>,
    /// True if to read until a block is full: for regular files. The bytes of a pipe or a terminal
    /// are parsed as they arrive.
    pub(crate) fills_blocks: bool,
}

/// Counts the bytes that a reader returns.
struct CountingReader<R> {
    reader: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
