//! What one instance of the module may use: memory, and time per call.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Engine, ResourceLimiter};

/// Bytes of linear memory that one instance may have, unless set otherwise.
pub const DEFAULT_MEMORY_LIMIT_BYTES: usize = 1 << 30;

/// Elements that a table of the module may have; it grows only for JavaScript.
const MAX_TABLE_ELEMENTS: usize = 1 << 16;

/// How long one call into the module may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How often the engine's epoch moves on: deadlines are exact to this much.
const EPOCH_PERIOD: Duration = Duration::from_millis(200);

/// [`CALL_DEADLINE`] in epochs. The epoch under way when a call begins is not a whole one, hence one more.
pub(super) const DEADLINE_EPOCHS: u64 =
    (CALL_DEADLINE.as_millis() / EPOCH_PERIOD.as_millis()) as u64 + 1;

/// Bounds the memory of one instance and remembers whether the bound was met.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    pub(super) limit_bytes: usize,
    pub(super) struck: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.struck |= desired > self.limit_bytes;
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

/// A thread that moves the engine's epoch on for as long as this value lives.
#[derive(Debug)]
pub(super) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let engine = engine.clone();
        let tick = move || {
            // Nothing is ever sent: the wait ends by time, or because the sender is gone.
            while stopped.recv_timeout(EPOCH_PERIOD)
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                engine.increment_epoch();
            }
        };
        let thread = thread::Builder::new().name("epoch".into()).spawn(tick)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A thread that only counts cannot have failed in a way that matters here.
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
    fn a_call_without_end_is_interrupted() {
        let engine = stream_processor_module::engine().unwrap();
        let _ticker = Ticker::start(&engine).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let module = Module::new(&engine, ENDLESS).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let endless = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let error = endless.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    }
}
