//! Standard input and output. A closed stream is an error here, not an empty input or a success.
//!
//! The standard library opens `/dev/null` before `main` in place of a closed standard stream, and
//! it ignores reads and writes on a stream that is not open in that direction. Both would lose rows
//! without an error.

use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::{Mutex, PoisonError};

pub(crate) use platform::{StandardStream, writer};

/// Bytes of standard input that were read before it was opened by a run.
static AHEAD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Reads the first bytes of standard input, at most `max`, and keeps them for [`reader`]. Blocks
/// until there are some. Returns none at the end of input.
pub(crate) fn read_ahead(max: u64) -> io::Result<Vec<u8>> {
    let mut ahead = AHEAD.lock().unwrap_or_else(PoisonError::into_inner);
    if ahead.is_empty() {
        let mut stdin = platform::reader()?;
        let mut room = vec![0; usize::try_from(max).unwrap_or(usize::MAX)];
        let bytes = loop {
            match stdin.read(&mut room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        room.truncate(bytes);
        *ahead = room;
    }
    Ok(ahead.clone())
}

/// Returns a reader of standard input, from its first byte on.
pub(crate) fn reader() -> io::Result<Box<dyn Read + Send>> {
    let ahead = std::mem::take(&mut *AHEAD.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Box::new(Cursor::new(ahead).chain(platform::reader()?)))
}

#[cfg(unix)]
mod platform {
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// EBADF, the same on every Unix.
    const BAD_DESCRIPTOR: i32 = 9;

    /// A standard stream.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum StandardStream {
        Stdin,
        Stdout,
        Stderr,
    }

    /// True if each stream was closed when the program started.
    static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

    /// Makes the loader call [`store_closed_streams`] before `main`, as it calls C++ constructors.
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    #[used]
    static AT_START: extern "C" fn() = store_closed_streams;

    /// Stores which streams are closed.
    extern "C" fn store_closed_streams() {
        for stream in [StandardStream::Stdin, StandardStream::Stdout, StandardStream::Stderr] {
            let is_closed = matches!(
                stream.duplicate(),
                Err(error) if error.raw_os_error() == Some(BAD_DESCRIPTOR)
            );
            stream.closed().store(is_closed, Ordering::Relaxed);
        }
    }

    impl StandardStream {
        fn closed(self) -> &'static AtomicBool {
            let [stdin, stdout, stderr] = &CLOSED;
            match self {
                Self::Stdin => stdin,
                Self::Stdout => stdout,
                Self::Stderr => stderr,
            }
        }

        fn duplicate(self) -> io::Result<File> {
            let descriptor = match self {
                Self::Stdin => io::stdin().as_fd().try_clone_to_owned(),
                Self::Stdout => io::stdout().as_fd().try_clone_to_owned(),
                Self::Stderr => io::stderr().as_fd().try_clone_to_owned(),
            };
            descriptor.map(File::from)
        }

        /// Returns the stream as a file.
        ///
        /// # Errors
        /// The stream was closed when the program started.
        pub(crate) fn file(self) -> io::Result<File> {
            if self.closed().load(Ordering::Relaxed) {
                return Err(io::Error::from_raw_os_error(BAD_DESCRIPTOR));
            }
            self.duplicate()
        }
    }

    /// Returns a reader of standard input.
    pub(super) fn reader() -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(StandardStream::Stdin.file()?))
    }

    /// Returns an unbuffered writer to standard output.
    pub(crate) fn writer() -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(StandardStream::Stdout.file()?))
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io::{self, Read, Write};

    /// A standard stream.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum StandardStream {
        Stdin,
        Stdout,
        Stderr,
    }

    /// Returns a reader of standard input.
    pub(super) fn reader() -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::stdin()))
    }

    /// Returns a writer to standard output.
    pub(crate) fn writer() -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(io::stdout()))
    }
}
