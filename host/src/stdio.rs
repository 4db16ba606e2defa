//! Standard input and output, whose errors are never taken for the end of input or for success.
//!
//! Before `main` the standard library opens `/dev/null` in the place of a standard stream that is closed. Later it ignores
//! that a stream is not open for the direction it is used in. Both would lose rows without a word.

pub(crate) use platform::{Stream, reader, writer};

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
    pub(crate) enum Stream {
        Stdin,
        Stdout,
        Stderr,
    }

    /// Whether each stream was closed when the program was started.
    static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

    /// Has the loader call [`note_closed_streams`] before `main`, as it calls constructors of C++.
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    #[used]
    static AT_START: extern "C" fn() = note_closed_streams;

    extern "C" fn note_closed_streams() {
        for stream in [Stream::Stdin, Stream::Stdout, Stream::Stderr] {
            let is_closed = matches!(
                stream.duplicate(),
                Err(error) if error.raw_os_error() == Some(BAD_DESCRIPTOR)
            );
            stream.closed().store(is_closed, Ordering::Relaxed);
        }
    }

    impl Stream {
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
        /// It was closed when the program was started.
        pub(crate) fn file(self) -> io::Result<File> {
            if self.closed().load(Ordering::Relaxed) {
                return Err(io::Error::from_raw_os_error(BAD_DESCRIPTOR));
            }
            self.duplicate()
        }
    }

    /// Returns what reads standard input.
    pub(crate) fn reader() -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Stream::Stdin.file()?))
    }

    /// Returns what writes to standard output, without a buffer.
    pub(crate) fn writer() -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(Stream::Stdout.file()?))
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io::{self, Read, Write};

    /// A standard stream.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Stream {
        Stdin,
        Stdout,
        Stderr,
    }

    /// Returns what reads standard input.
    pub(crate) fn reader() -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::stdin()))
    }

    /// Returns what writes to standard output.
    pub(crate) fn writer() -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(io::stdout()))
    }
}
