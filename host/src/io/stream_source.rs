//! A source that reads one stream: standard input, or any reader.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::{CountingReader, decompressed_if_needed};
use super::source::{Position, Source, SourceRead};
use super::stdio;
use super::text_reader::{Fill, TextReader};
use crate::error::Error;

/// Reads one stream as it arrives. A stream that begins as gzip or zstd does is decompressed.
///
/// [`Source::resume`] drops the text before the position, so the stream must start as it did when
/// the position was stored.
pub struct StreamSource {
    name: String,
    /// The reader that the first read opens; `None` is standard input.
    unopened: Option<Box<dyn Read + Send>>,
    reader: Option<TextReader>,
    bytes_read: Arc<AtomicU64>,
    state: StreamState,
}

/// The effect of the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamState {
    /// It starts the input at this offset.
    Start(u64),
    /// It reads text.
    Open,
    /// It returns the end.
    Ended,
}

impl StreamSource {
    /// Creates a source that reads standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self::of("stdin".into(), None)
    }

    /// Creates a source that reads `reader`, with its name for messages.
    #[must_use]
    pub fn new(name: impl Into<String>, reader: Box<dyn Read + Send>) -> Self {
        Self::of(name.into(), Some(reader))
    }

    fn of(name: String, unopened: Option<Box<dyn Read + Send>>) -> Self {
        let state = StreamState::Start(0);
        Self { name, unopened, reader: None, bytes_read: Arc::default(), state }
    }

    /// Opens the stream and drops the text before `offset_bytes`.
    fn start(&mut self, offset_bytes: u64) -> io::Result<()> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            reader => {
                let unopened = self.unopened.take().map_or_else(stdio::reader, Ok)?;
                let bytes_read = Arc::clone(&self.bytes_read);
                let text = decompressed_if_needed(CountingReader { reader: unopened, bytes_read })?;
                reader.insert(TextReader::new(text, Fill::FirstBytes, 0))
            }
        };
        reader.skip_to(offset_bytes)
    }

    fn offset_bytes(&self) -> u64 {
        self.reader.as_ref().map_or(0, TextReader::offset_bytes)
    }
}

impl Source for StreamSource {
    fn read(&mut self, room: &mut [u8]) -> Result<SourceRead, Error> {
        let read = match self.state {
            StreamState::Start(offset_bytes) => {
                self.state = StreamState::Open;
                self.start(offset_bytes).map(|()| SourceRead::InputStart(self.name.clone()))
            }
            StreamState::Open => match self.reader.as_mut().map_or(Ok(0), |open| open.read(room)) {
                Ok(0) => {
                    self.state = StreamState::Ended;
                    Ok(SourceRead::End)
                }
                read => read.map(SourceRead::Text),
            },
            StreamState::Ended => Ok(SourceRead::End),
        };
        read.map_err(|error| Error::read(&*self.name, error))
    }

    fn position(&self) -> Position {
        let offset_bytes = match self.state {
            StreamState::Start(offset_bytes) => offset_bytes,
            StreamState::Open | StreamState::Ended => self.offset_bytes(),
        };
        Position::Text { input: 0, offset_bytes }
    }

    fn resume(&mut self, position: &Position) -> Result<(), Error> {
        let Position::Text { input, offset_bytes } = *position;
        if input > 0 {
            return Err(Error::no_such_input(&*self.name, input, 1));
        }
        self.state = StreamState::Start(offset_bytes);
        Ok(())
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}
