//! Where rows and letters go: standard output, files or any writer, through one buffer each.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 64 << 10;

/// Where lines of text go.
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, which is created or emptied.
    File(PathBuf),
    /// Any writer, and its name for messages.
    Writer(String, Box<dyn Write + Send>),
}

impl Output {
    /// What tells one destination from another: the same one must not be opened twice. `None`: it is like no other.
    pub(super) fn identity(&self) -> Option<PathBuf> {
        match self {
            Self::Stdout => Some("-".into()),
            Self::File(path) => file_identity(path),
            Self::Writer(..) => None,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".into(),
            Self::File(path) => path.display().to_string(),
            Self::Writer(name, _) => name.clone(),
        }
    }

    pub(super) fn open(self) -> Result<TextSink, Error> {
        let name = self.name();
        let writer: Box<dyn Write + Send> = match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::Writer(_, writer) => writer,
            Self::File(path) => match File::create(path) {
                Ok(file) => Box::new(file),
                Err(error) => return Err(Error::write(name, error)),
            },
        };
        Ok(TextSink { name, writer, buffer: Vec::with_capacity(2 * BUFFER_BYTES) })
    }
}

/// What tells one file from another; `None` for devices and pipes.
pub(super) fn file_identity(path: &Path) -> Option<PathBuf> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::canonicalize(path).ok(),
        Ok(_) => None,
        Err(_) => std::path::absolute(path).ok(),
    }
}

/// An open output.
pub(super) struct TextSink {
    name: String,
    writer: Box<dyn Write + Send>,
    buffer: Vec<u8>,
}

impl TextSink {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Has `append` add text, which is written at once where enough has come together.
    pub(super) fn append(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        append(&mut self.buffer);
        if self.buffer.len() >= BUFFER_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes everything that was appended and hands it to the operating system.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.write()?;
        self.writer.flush().map_err(|error| Error::write(&*self.name, error))
    }

    fn write(&mut self) -> Result<(), Error> {
        let written = self.writer.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|error| Error::write(&*self.name, error))
    }
}
