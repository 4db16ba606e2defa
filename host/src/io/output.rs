//! Outputs of text: standard output, files or any writer, each with one buffer.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use super::stdio;
use crate::error::Error;

/// Buffered bytes from which on the buffer is written.
const BUFFER_BYTES: usize = 64 << 10;

/// An output of lines of text.
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, which is created or truncated.
    File(PathBuf),
    /// Any writer, with its name for messages.
    Writer(String, Box<dyn Write + Send>),
}

impl Output {
    /// Returns the name of the output in messages.
    fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".into(),
            Self::File(path) => path.display().to_string(),
            Self::Writer(name, _) => name.clone(),
        }
    }

    /// Opens the output; a file is created or truncated.
    pub(crate) fn open(self) -> Result<TextSink, Error> {
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

    /// Opens the output and writes `text` to it.
    ///
    /// # Errors
    /// [`Error::Write`], also if standard output was closed when the program started.
    pub fn write_text(self, text: &str) -> Result<(), Error> {
        let mut sink = self.open()?;
        sink.append(|out| out.extend_from_slice(text.as_bytes()))?;
        sink.flush()
    }
}

/// An open output with a buffer.
pub(crate) struct TextSink {
    name: String,
    writer: Box<dyn Write + Send>,
    buffer: Vec<u8>,
}

impl TextSink {
    /// Returns the name of the output in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Calls `append` to add text to the buffer, and writes the buffer if it is full.
    pub(crate) fn append(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        append(&mut self.buffer);
        if self.buffer.len() >= BUFFER_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes the buffer and flushes the writer.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
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
