//! Inputs of a run by name, and the source of each.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use stream_processor_core::spec::SourceType;
use stream_processor_core::{PipelineSpec, SpecError};

use super::file_source::FileSource;
use super::source::Source;
use super::stream_source::StreamSource;
use crate::error::Error;

/// An input of events.
pub enum Input {
    /// Standard input.
    Stdin,
    /// Files, read one after another. Names that end in `.gz` and `.zst` are decompressed.
    Files(Vec<PathBuf>),
    /// Any reader, with its name for messages.
    Reader(String, Box<dyn Read + Send>),
    /// Any other source.
    Source(Box<dyn Source>),
}

impl Input {
    /// Returns the input that `[source]` of a pipeline names. The path `-` is standard input.
    ///
    /// # Errors
    /// [`Error::Spec`] if `-` is one of several paths, or this library has no source of this type.
    pub fn of(spec: &PipelineSpec) -> Result<Self, Error> {
        match spec.source.r#type {
            SourceType::Stdin => Ok(Self::Stdin),
            SourceType::File => {
                let paths = spec.source.path.0.iter().map(PathBuf::from).collect();
                Ok(Self::of_paths(paths)?)
            }
            _ => {
                let message = "this program reads only from \"stdin\" and \"file\"";
                Err(SpecError::new("source.type", message).into())
            }
        }
    }

    /// Returns the input of paths, of which `-` is standard input.
    ///
    /// # Errors
    /// The field `source.path`, if `-` is one of several paths.
    pub fn of_paths(paths: Vec<PathBuf>) -> Result<Self, SpecError> {
        let stdin = Path::new("-");
        match paths.as_slice() {
            [path] if path == stdin => Ok(Self::Stdin),
            paths if paths.iter().any(|path| path == stdin) => {
                let message = "- (stdin) cannot be one of several inputs: give it alone";
                Err(SpecError::new("source.path", message))
            }
            _ => Ok(Self::Files(paths)),
        }
    }

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

    /// Returns the source of the input.
    ///
    /// # Errors
    /// [`Error::Read`] if a file does not exist or is a folder, before any file is opened.
    pub(crate) fn into_source(self) -> Result<Box<dyn Source>, Error> {
        Ok(match self {
            Self::Stdin => Box::new(StreamSource::stdin()),
            Self::Reader(name, reader) => Box::new(StreamSource::new(name, reader)),
            Self::Files(paths) => Box::new(FileSource::new(paths)?),
            Self::Source(source) => source,
        })
    }
}
