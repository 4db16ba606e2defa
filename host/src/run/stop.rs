//! Stops of a run from another thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle that stops a run from another thread, such as one that waits for signals.
///
/// ```
/// use stream_processor::{Input, Io, Output, Pipeline, Settings, StopHandle, spec::PipelineSpec};
///
/// let spec = PipelineSpec::from_toml(r#"
///     [[stages]]
///     type = "window"
///     window = "global"
///     aggregations = ["count"]
/// "#)?;
/// let (reader, events) = std::io::pipe()?;
/// let io = Io {
///     input: Input::Reader("events".into(), Box::new(reader)),
///     output: Output::Stdout,
///     dead_letter: None,
///     late: None,
/// };
/// let stop = StopHandle::default();
/// let other = stop.clone();
/// std::thread::spawn(move || other.stop());
/// // The input stays open, and the run ends.
/// let pipeline = Pipeline::new(spec)?;
/// let summary = pipeline.run_until_stopped(io, &Settings::default(), &mut (), &stop)?;
/// assert!(!summary.complete);
/// # drop(events);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct StopHandle {
    state: Arc<StopState>,
}

#[derive(Default)]
struct StopState {
    is_requested: AtomicBool,
    wake_parser: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl StopHandle {
    /// Stops the run: it reads no more input, and writes what it has read. Has no effect on a run
    /// that has ended.
    pub fn stop(&self) {
        self.state.is_requested.store(true, Ordering::Release);
        let wake = self.state.wake_parser.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = wake.as_ref() {
            wake();
        }
    }

    /// Returns whether [`StopHandle::stop`] was called.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.state.is_requested.load(Ordering::Acquire)
    }

    /// Sets the function that wakes the parser if it waits for input.
    pub(super) fn set_waker(&self, wake_parser: impl Fn() + Send + 'static) {
        let mut waker = self.state.wake_parser.lock().unwrap_or_else(PoisonError::into_inner);
        *waker = Some(Box::new(wake_parser));
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopHandle").field("is_requested", &self.is_requested()).finish()
    }
}
