//! An open output of text with one buffer.

use std::io::{self, Write};

use super::compression::CompressedFile;
use crate::error::Error;

/// Buffered bytes from which on the buffer is written.
const BUFFER_BYTES: usize = 64 << 10;

/// An open output with a buffer.
pub(crate) struct TextOutput {
    name: String,
    writer: TextWriter,
    buffer: Vec<u8>,
    /// True if the writer has bytes that it may not have passed on.
    needs_flush: bool,
}

/// What an output writes to.
pub(super) enum TextWriter {
    File(CompressedFile),
    Other(Box<dyn Write + Send>),
}

impl TextWriter {
    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::File(file) => file,
            Self::Other(writer) => writer,
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Other(_) => Ok(()),
        }
    }
}

impl TextOutput {
    /// Creates an output that writes to `writer`, with its name for messages.
    pub(super) fn new(name: String, writer: TextWriter) -> Self {
        Self { name, writer, buffer: Vec::with_capacity(2 * BUFFER_BYTES), needs_flush: false }
    }

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
        if !self.buffer.is_empty() {
            self.write()?;
        }
        if self.needs_flush {
            self.writer.as_write().flush().map_err(|error| Error::write(&*self.name, error))?;
            self.needs_flush = false;
        }
        Ok(())
    }

    /// Writes the buffer and ends the output. Nothing can be written afterwards.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.writer.finish().map_err(|error| Error::write(&*self.name, error))
    }

    fn write(&mut self) -> Result<(), Error> {
        let written = self.writer.as_write().write_all(&self.buffer);
        self.buffer.clear();
        self.needs_flush = true;
        written.map_err(|error| Error::write(&*self.name, error))
    }
}
