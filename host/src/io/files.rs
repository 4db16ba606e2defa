//! Checks that a run does not read and write one file, or write one file twice.
//!
//! Files are compared by device and inode, so hard links, symbolic links, redirected standard
//! streams and other spellings of a path count as one file. Devices, pipes and terminals may be
//! used any number of times.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use stream_processor_core::Escaped;

use super::input::Input;
use super::output::Output;
use super::stdio::StandardStream;
use crate::error::Error;
use crate::pipeline::Io;

/// Maximum number of links to follow to a file that does not exist yet.
const MAX_LINKS: usize = 40;

/// The identity of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FileId {
    /// An existing file.
    Existing(Inode),
    /// A file that does not exist yet: its folder, and its name there.
    New(Inode, PathBuf),
}

impl FileId {
    /// Returns the identity of the file at `path`; `None` if it is not a regular file.
    fn of_path(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(metadata) => Self::of_metadata(&metadata, path),
            Err(_) => Self::of_new(path.to_owned()),
        }
    }

    fn of_metadata(metadata: &Metadata, path: &Path) -> Option<Self> {
        metadata.is_file().then(|| Self::Existing(inode(metadata, path)))
    }

    /// Returns the identity of the file that would be created at `path`.
    fn of_new(mut path: PathBuf) -> Option<Self> {
        for _ in 0..MAX_LINKS {
            let Ok(target) = fs::read_link(&path) else { break };
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let metadata = fs::metadata(folder).ok()?;
        Some(Self::New(inode(&metadata, folder), path.file_name()?.into()))
    }

    /// Returns the identity of the file that a standard stream is redirected to.
    #[cfg(unix)]
    fn of_stream(stream: StandardStream) -> Option<Self> {
        let metadata = stream.file().and_then(|file| file.metadata()).ok()?;
        Self::of_metadata(&metadata, Path::new(""))
    }

    #[cfg(not(unix))]
    fn of_stream(_: StandardStream) -> Option<Self> {
        None
    }
}

/// The device and the inode of a file.
#[cfg(unix)]
type Inode = (u64, u64);

#[cfg(unix)]
fn inode(metadata: &Metadata, _: &Path) -> Inode {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// The path without links. Hard links are not detected.
#[cfg(not(unix))]
type Inode = PathBuf;

#[cfg(not(unix))]
fn inode(_: &Metadata, path: &Path) -> Inode {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A file and its name in messages.
struct Named {
    name: String,
    id: Option<FileId>,
}

impl Named {
    fn path(path: &Path) -> Self {
        Self { name: path.display().to_string(), id: FileId::of_path(path) }
    }

    fn stream(name: &str, stream: StandardStream) -> Self {
        Self { name: name.to_owned(), id: FileId::of_stream(stream) }
    }

    fn output(output: &Output) -> Self {
        match output {
            Output::Stdout => Self::stream("stdout", StandardStream::Stdout),
            Output::File(path) => Self::path(path),
            Output::Writer(..) | Output::Sink(_) => Self { name: output.name(), id: None },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.id.is_some() && self.id == other.id
    }
}

/// Returns whether two outputs are the same, so that only one may be opened.
pub(crate) fn is_same_output(one: &Output, other: &Output) -> bool {
    matches!((one, other), (Output::Stdout, Output::Stdout))
        || Named::output(one).is_same(&Named::output(other))
}

impl Io {
    /// Checks that no file is both read and written, or written twice. Opens and creates nothing.
    ///
    /// `pipeline` is the file that the pipeline was read from. `summary` is the output that the
    /// caller writes after the run; it may be stdout even if rows go there too.
    ///
    /// # Errors
    /// [`Error::Write`], with the names of both files.
    pub fn check_files(
        &self,
        pipeline: Option<&Path>,
        summary: Option<&Output>,
    ) -> Result<(), Error> {
        let mut others = match &self.input {
            Input::Stdin => vec![Named::stream("stdin", StandardStream::Stdin)],
            Input::Files(paths) => paths.iter().map(PathBuf::as_path).map(Named::path).collect(),
            Input::Reader(..) | Input::Source(_) => Vec::new(),
        };
        others.extend(pipeline.map(Named::path));
        let stderr = Named::stream("stderr", StandardStream::Stderr);
        if let Some(read) = others.iter().find(|read| read.is_same(&stderr)) {
            return Err(same_file(&stderr.name, &read.name));
        }
        let mut outputs = vec![&self.output];
        outputs.extend(&self.dead_letter);
        // If both go to one file, late events are written as dead letters.
        let dead_letter = self.dead_letter.as_ref();
        outputs.extend(self.late.as_ref().filter(|late| {
            dead_letter.is_none_or(|dead_letter| !is_same_output(late, dead_letter))
        }));
        let is_stdout = |output: &Output| matches!(output, Output::Stdout);
        if outputs.iter().filter(|output| is_stdout(output)).count() > 1 {
            return Err(same_file("stdout", "stdout"));
        }
        let has_stdout = outputs.iter().any(|output| is_stdout(output));
        outputs.extend(summary.filter(|summary| !(has_stdout && is_stdout(summary))));
        for output in outputs {
            let named = Named::output(output);
            // Messages and rows may share a file, as with `> all 2>&1`.
            let stderr = Some(&stderr).filter(|_| !is_stdout(output));
            if let Some(other) = others.iter().chain(stderr).find(|other| other.is_same(&named)) {
                return Err(same_file(&named.name, &other.name));
            }
            others.push(named);
        }
        Ok(())
    }
}

fn same_file(name: &str, other: &str) -> Error {
    let message = match name == other {
        true => "this run uses the file twice: choose another file for this output".to_owned(),
        false => format!(
            "this run uses the file twice, it is the same as {}: choose another file for this output",
            Escaped(other)
        ),
    };
    Error::write(name, io::Error::other(message))
}
