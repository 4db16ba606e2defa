//! Where rows and letters go: standard output, files or any writer, through one buffer each.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::error::Error;
use crate::stdio;

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
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".into(),
            Self::File(path) => path.display().to_string(),
            Self::Writer(name, _) => name.clone(),
        }
    }

    pub(super) fn open(self) -> Result<TextSink, Error> {
        let name = self.name();
        let writer: io::Result<Box<dyn Write + Send>> = match self {
            Self::Stdout => stdio::writer(),
            Self::Writer(_, writer) => Ok(writer),
            Self::File(path) => File::create(path).map(|file| Box::new(file) as _),
        };
        match writer {
            Ok(writer) => {
                Ok(TextSink { name, writer, buffer: Vec::with_capacity(2 * BUFFER_BYTES) })
            }
            Err(error) => Err(Error::write(name, error)),
        }
    }

    /// Writes `text` and nothing else.
    ///
    /// # Errors
    /// [`Error::Write`], also where standard output was closed when the program was started.
    pub fn write_text(self, text: &str) -> Result<(), Error> {
        let mut sink = self.open()?;
        sink.append(|out| out.extend_from_slice(text.as_bytes()))?;
        sink.flush()
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
