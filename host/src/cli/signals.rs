//! SIGINT and SIGTERM: the first one stops a run, a second one ends the program at once.

use stream_processor::StopHandle;

pub(crate) use platform::Signals;

/// A signal that stops runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal(i32);

impl Signal {
    /// Returns the exit code of a program that the signal has ended: 128 and its number.
    pub(crate) fn exit_code(self) -> u8 {
        u8::try_from(128 + self.0).unwrap_or(u8::MAX)
    }

    /// Returns the name of the signal.
    pub(crate) fn name(self) -> &'static str {
        if self.exit_code() == 143 { "SIGTERM" } else { "SIGINT" }
    }
}

#[cfg(unix)]
mod platform {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::thread;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{iterator, low_level};

    use super::{Signal, StopHandle};

    /// The signals that the program has received since a run began.
    pub(crate) struct Signals {
        /// The number of the first signal; 0 before.
        first: Arc<AtomicI32>,
    }

    impl Signals {
        /// Starts a thread that stops the run of `stop` at the first signal.
        pub(crate) fn stopping(stop: StopHandle) -> io::Result<Self> {
            let first = Arc::new(AtomicI32::new(0));
            let mut signals = iterator::Signals::new([SIGINT, SIGTERM])?;
            let received = Arc::clone(&first);
            thread::Builder::new().name("signals".into()).spawn(move || {
                for signal in signals.forever() {
                    if received.swap(signal, Ordering::AcqRel) != 0 {
                        low_level::exit(128 + signal);
                    }
                    stop.stop();
                }
            })?;
            Ok(Self { first })
        }

        /// Returns the signal that stopped the run.
        pub(crate) fn received(&self) -> Option<Signal> {
            Some(self.first.load(Ordering::Acquire)).filter(|signal| *signal != 0).map(Signal)
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    use super::{Signal, StopHandle};

    /// No signals: the operating system ends the program.
    pub(crate) struct Signals;

    impl Signals {
        pub(crate) fn stopping(_: StopHandle) -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn received(&self) -> Option<Signal> {
            None
        }
    }
}
