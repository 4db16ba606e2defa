//! The module at work: an engine for all instances, and instances that each hold the state of one shard.

mod exports;
mod instance;
mod limits;
mod native;
mod worker;

use wasmtime::{InstancePre, Linker};

pub use instance::Instance;
pub use limits::{CALL_DEADLINE, DEFAULT_MEMORY_LIMIT_BYTES};
pub use native::NativeEngine;
pub use worker::Worker;

use crate::error::Error;
use crate::module;
use limits::{MemoryLimit, Ticker};

/// The module, ready to be instantiated. While it lives, a thread keeps the time for the deadlines of calls.
pub struct Runtime {
    instances: InstancePre<MemoryLimit>,
    _ticker: Ticker,
}

impl Runtime {
    /// Makes the embedded module ready. Its imports, which only JavaScript needs, are linked as traps.
    ///
    /// # Errors
    /// [`Error::Module`] where wasmtime cannot run the module on this machine.
    pub fn new() -> Result<Self, Error> {
        let (engine, module) = module::load()?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&module).map_err(Error::module)?;
        let instances = linker.instantiate_pre(&module).map_err(Error::module)?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| Error::Module(format!("cannot start its clock: {error}")))?;
        Ok(Self { instances, _ticker: ticker })
    }
}
