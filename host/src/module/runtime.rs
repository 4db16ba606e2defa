//! The runtime: the loaded module and the clock of call deadlines, shared by all instances.

use wasmtime::{InstancePre, Linker};

use super::limits::{EpochThread, MemoryLimit};
use crate::error::Error;

/// The module, loaded and ready to be instantiated. While it lives, a thread advances the clock of
/// call deadlines.
pub struct Runtime {
    pub(super) instances: InstancePre<MemoryLimit>,
    _epoch_thread: EpochThread,
}

impl Runtime {
    /// Loads the embedded module. Its imports, which only JavaScript needs, are linked as traps.
    ///
    /// # Errors
    /// [`Error::Module`] if wasmtime cannot run the module on this machine.
    pub fn new() -> Result<Self, Error> {
        let (engine, module) = super::load()?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&module).map_err(Error::module)?;
        let instances = linker.instantiate_pre(&module).map_err(Error::module)?;
        let epoch_thread = EpochThread::start(&engine).map_err(|error| {
            Error::Module(format!(
                "cannot start the thread that measures the time of calls: {error}"
            ))
        })?;
        Ok(Self { instances, _epoch_thread: epoch_thread })
    }
}
