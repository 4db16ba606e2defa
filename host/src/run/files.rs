//! The files that a run reads and writes, so that none is read and written, or written twice.
//!
//! Files are compared by device and inode: hard links, symbolic links, redirected standard streams and other spellings of a
//! path are one file. Devices, pipes and terminals may be used as often as one likes.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::input::Input;
use super::output::Output;
use super::pipeline::Io;
use crate::error::Error;
use crate::stdio::Stream;

/// Links that are followed to a file that does not exist yet.
const MAX_LINKS: usize = 40;

/// Tells one file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileId {
    /// A file that exists.
    Existing(Inode),
    /// A file that is yet to be created: its folder, and its name there.
    New(Inode, PathBuf),
}

impl FileId {
    /// Returns the identity of the file at `path`; `None` where it is no regular file.
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
    fn of_stream(stream: Stream) -> Option<Self> {
        let metadata = stream.file().and_then(|file| file.metadata()).ok()?;
        Self::of_metadata(&metadata, Path::new(""))
    }

    #[cfg(not(unix))]
    fn of_stream(_: Stream) -> Option<Self> {
        None
    }
}

/// Device and inode.
#[cfg(unix)]
type Inode = (u64, u64);

#[cfg(unix)]
fn inode(metadata: &Metadata, _: &Path) -> Inode {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// The path without links: hard links are not noticed.
#[cfg(not(unix))]
type Inode = PathBuf;

#[cfg(not(unix))]
fn inode(_: &Metadata, path: &Path) -> Inode {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A file, and the name that messages give it.
struct Named {
    name: String,
    id: Option<FileId>,
}

impl Named {
    fn path(path: &Path) -> Self {
        Self { name: path.display().to_string(), id: FileId::of_path(path) }
    }

    fn stream(name: &str, stream: Stream) -> Self {
        Self { name: name.to_owned(), id: FileId::of_stream(stream) }
    }

    fn output(output: &Output) -> Self {
        match output {
            Output::Stdout => Self::stream("stdout", Stream::Stdout),
            Output::File(path) => Self::path(path),
            Output::Writer(name, _) => Self { name: name.clone(), id: None },
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.id.is_some() && self.id == other.id
    }
}

/// Returns whether two outputs are one, so that one must be opened for both.
pub(super) fn is_same_output(one: &Output, other: &Output) -> bool {
    matches!((one, other), (Output::Stdout, Output::Stdout))
        || Named::output(one).is_same(&Named::output(other))
}

impl Io {
    /// Checks that no file is both read and written, or written twice. Nothing is opened or created.
    ///
    /// `pipeline` is the file that the pipeline was read from. `summary` is where the caller writes when the run has ended:
    /// this may be stdout although rows go there too.
    ///
    /// # Errors
    /// [`Error::Write`], which names both files.
    pub fn check_files(
        &self,
        pipeline: Option<&Path>,
        summary: Option<&Output>,
    ) -> Result<(), Error> {
        let mut others = match &self.input {
            Input::Stdin => vec![Named::stream("stdin", Stream::Stdin)],
            Input::Files(paths) => paths.iter().map(PathBuf::as_path).map(Named::path).collect(),
            Input::Reader(..) => Vec::new(),
        };
        others.extend(pipeline.map(Named::path));
        let mut outputs = vec![&self.output];
        outputs.extend(&self.dead_letter);
        // Late events that go where the dead letters go are dead letters.
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
        let stderr = Named::stream("stderr", Stream::Stderr);
        for output in outputs {
            let named = Named::output(output);
            // Messages may go where rows go, as with `> all 2>&1`.
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
        true => "this run reads it, or writes something else to it".to_owned(),
        false => {
            format!(
                "this run reads it, or writes something else to it: it is the same file as {other}"
            )
        }
    };
    Error::write(name, io::Error::other(message))
}
