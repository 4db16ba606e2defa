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

    /// Returns the input of paths, of which `-` is standard input. A path that does not exist may
    /// be a pattern, such as `logs/*.csv`: it stands for the files that match, in order of their
    /// names.
    ///
    /// # Errors
    /// The field `source.path`, if `-` is one of several paths, or nothing matches a pattern.
    pub fn of_paths(paths: Vec<PathBuf>) -> Result<Self, SpecError> {
        let stdin = Path::new("-");
        let paths = paths.into_iter().map(matching).collect::<Result<Vec<_>, _>>()?.concat();
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

/// Returns the files that match `path` if it is a pattern, otherwise `path` itself.
fn matching(path: PathBuf) -> Result<Vec<PathBuf>, SpecError> {
    let text = path.to_string_lossy().into_owned();
    if !text.contains(['*', '?', '[']) || path.exists() {
        return Ok(vec![path]);
    }
    let failed = |problem: String| SpecError::new("source.path", format!("{text:?}: {problem}"));
    let found = glob::glob(&text).map_err(|error| failed(error.to_string()))?;
    let paths: Result<Vec<PathBuf>, _> = found.collect();
    let mut paths = paths.map_err(|error| failed(error.to_string()))?;
    paths.retain(|path| !path.is_dir());
    if paths.is_empty() {
        return Err(failed("no file matches this pattern".to_owned()));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_stands_for_the_files_that_match() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "[x].csv", "c.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("d.csv")).unwrap();
        let names = |pattern: &str| match Input::of_paths(vec![folder.path().join(pattern)]) {
            Ok(Input::Files(paths)) => paths
                .iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect(),
            Ok(_) => Vec::new(),
            Err(error) => vec![error.message().to_owned()],
        };
        assert_eq!(names("*.csv"), ["[x].csv", "a.csv", "b.csv"]);
        assert_eq!(names("?.csv"), ["a.csv", "b.csv"]);
        assert_eq!(names("[x].csv"), ["[x].csv"]);
        assert_eq!(names("missing.csv"), ["missing.csv"]);
        assert!(names("*.ndjson")[0].ends_with("no file matches this pattern"));
    }
}
