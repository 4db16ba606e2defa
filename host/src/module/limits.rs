//! Limits of one instance of the module: its memory, and the time of a call.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Engine, ResourceLimiter};

/// The default maximum of an instance's linear memory, in bytes.
pub const DEFAULT_MEMORY_LIMIT_BYTES: usize = 1 << 30;

/// Maximum number of elements of a table of the module. Tables grow only for JavaScript.
const MAX_TABLE_ELEMENTS: usize = 1 << 16;

/// The default maximum time of one call into the module. A call does about 10 ms of work
/// (`limits.max_call_work`), so one that takes this long is broken.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// The period of the engine's epoch, which is the precision of deadlines.
const EPOCH_PERIOD: Duration = Duration::from_millis(200);

/// Returns `deadline` in epochs, plus one because a call begins in the middle of an epoch.
pub(super) fn epochs_of(deadline: Duration) -> u64 {
    let epochs = deadline.as_millis().div_ceil(EPOCH_PERIOD.as_millis());
    u64::try_from(epochs).unwrap_or(u64::MAX).saturating_add(1).min(MAX_EPOCHS)
}

/// The longest deadline. wasmtime adds it to the current epoch.
const MAX_EPOCHS: u64 = u64::MAX / 2;

/// The memory limit of one instance.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    pub(super) limit_bytes: usize,
    /// True if a growth of the memory was refused.
    pub(super) was_reached: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.was_reached |= desired > self.limit_bytes;
        Ok(desired <= self.limit_bytes)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

/// A thread that advances the engine's epoch while this value lives.
#[derive(Debug)]
pub(super) struct EpochThread {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EpochThread {
    /// Starts the thread.
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let engine = engine.clone();
        let advance = move || {
            // Nothing is ever sent: the wait ends by time, or because the sender was dropped.
            while stopped.recv_timeout(EPOCH_PERIOD)
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                engine.increment_epoch();
            }
        };
        let thread = thread::Builder::new().name("epoch".into()).spawn(advance)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for EpochThread {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // The thread only increments the epoch, so its result carries no information.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Instance, Module, Store, Trap};

    use super::*;

    /// `(module (func (export "f") (loop (br 0))))`
    const ENDLESS: &[u8] =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\
        \x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

    #[test]
    fn deadlines_are_rounded_up_to_epochs() {
        let epochs = |millis| epochs_of(Duration::from_millis(millis));
        assert_eq!([epochs(1), epochs(200), epochs(201), epochs(10_000)], [2, 2, 3, 51]);
        assert_eq!(epochs_of(Duration::MAX), MAX_EPOCHS);
    }

    #[test]
    fn endless_call_is_interrupted_at_its_deadline() {
        let engine = stream_processor_module::engine().unwrap();
        let _epoch_thread = EpochThread::start(&engine).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let module = Module::new(&engine, ENDLESS).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let endless = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let error = endless.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    }
}
