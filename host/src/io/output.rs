//! Outputs of a run by name, and the open output of each.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use stream_processor_core::spec::SinkType;
use stream_processor_core::{PipelineSpec, SpecError};

use super::compression::CompressedFile;
use super::sink::Sink;
use super::stdio;
use super::text_output::{TextOutput, TextWriter};
use super::text_sink::TextSink;
use crate::error::Error;

/// An output of rows, dead letters or late events.
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, which is created or truncated. Names that end in `.gz` and `.zst` are compressed.
    File(PathBuf),
    /// Any writer, with its name for messages.
    Writer(String, Box<dyn Write + Send>),
    /// Any other sink of rows. Dead letters and late events are text and need another output.
    Sink(Box<dyn Sink>),
}

impl Output {
    /// Returns the output that `[sink]` of a pipeline names.
    ///
    /// # Errors
    /// [`Error::Spec`] if this library has no sink of this type, or the path is missing.
    pub fn of(spec: &PipelineSpec) -> Result<Self, Error> {
        match (spec.sink.r#type, &spec.sink.path) {
            (SinkType::Stdout, _) => Ok(Self::Stdout),
            (SinkType::File, Some(path)) => Ok(Self::of_path(Path::new(path))),
            (SinkType::File, None) => {
                Err(SpecError::new("sink.path", "missing: type = \"file\" needs a path").into())
            }
            _ => {
                let message = "this program writes only to \"stdout\" and \"file\"";
                Err(SpecError::new("sink.type", message).into())
            }
        }
    }

    /// Returns the output of a path; `-` is standard output.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdout } else { Self::File(path.to_owned()) }
    }

    /// Returns the name of the output in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".into(),
            Self::File(path) => path.display().to_string(),
            Self::Writer(name, _) => name.clone(),
            Self::Sink(sink) => sink.name().to_owned(),
        }
    }

    /// Opens the output of text; a file is created or truncated.
    pub(crate) fn open(self) -> Result<TextOutput, Error> {
        let name = self.name();
        let writer: io::Result<TextWriter> = match self {
            Self::Stdout => stdio::writer().map(TextWriter::Other),
            Self::Writer(_, writer) => Ok(TextWriter::Other(writer)),
            Self::File(path) => CompressedFile::create(&path).map(TextWriter::File),
            Self::Sink(_) => {
                let message = "this sink takes rows, but dead letters, late events and summaries are text: use a file";
                Err(io::Error::new(io::ErrorKind::Unsupported, message))
            }
        };
        match writer {
            Ok(writer) => Ok(TextOutput::new(name, writer)),
            Err(error) => Err(Error::write(name, error)),
        }
    }

    /// Opens the output of rows in the format of the sink. Events that pass come in the format of
    /// the source.
    pub(crate) fn into_sink(self, spec: &PipelineSpec) -> Result<Box<dyn Sink>, Error> {
        let (source, to) = (&spec.source, spec.sink.format);
        match self {
            Self::Sink(sink) => Ok(sink),
            text => Ok(Box::new(TextSink::new(text.open()?, source.format, to, source.delimiter))),
        }
    }

    /// Opens the output and writes `text` to it.
    ///
    /// # Errors
    /// [`Error::Write`], also if standard output was closed when the program started.
    pub fn write_text(self, text: &str) -> Result<(), Error> {
        let mut output = self.open()?;
        output.append(|out| out.extend_from_slice(text.as_bytes()))?;
        output.finish()
    }
}
