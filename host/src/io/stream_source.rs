//! A source that reads one stream: standard input, or any reader.

use std::io::Read;

use super::source::{Position, Source, SourceRead};
use super::stdio;
use super::text_reader::{Fill, TextReader};
use crate::error::Error;

/// Reads one stream as it arrives.
///
/// [`Source::resume`] drops the text before the position, so the stream must start as it did when
/// the position was stored.
pub struct StreamSource {
    name: String,
    /// `None` until standard input is opened, which the first read does.
    reader: Option<TextReader>,
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
        Self { name: "stdin".into(), reader: None, state: StreamState::Start(0) }
    }

    /// Creates a source that reads `reader`, with its name for messages.
    #[must_use]
    pub fn new(name: impl Into<String>, reader: Box<dyn Read + Send>) -> Self {
        let reader = TextReader::new(reader, Fill::FirstBytes, 0);
        Self { name: name.into(), reader: Some(reader), state: StreamState::Start(0) }
    }

    /// Opens the stream and drops the text before `offset_bytes`.
    fn start(&mut self, offset_bytes: u64) -> std::io::Result<()> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            reader => reader.insert(TextReader::new(stdio::reader()?, Fill::FirstBytes, 0)),
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
        self.offset_bytes()
    }
}
