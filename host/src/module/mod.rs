//! The embedded WebAssembly module: its bytes, and its instances in wasmtime.
//!
//! ```text
//! Runtime ------------- one wasmtime engine, the loaded module, a thread that advances the epoch
//!   |
//!   +-- Instance 0      one linear memory, one memory limit, one open pipeline
//!   +-- Instance 1
//!
//! Worker (trait) <--+-- Instance       the engine in the module
//!                   +-- NativeEngine   the engine compiled into this program
//! ```
//!
//! - [`runtime::Runtime`] loads the module once; [`instance::Instance::open`] instantiates it.
//! - `exports.rs` has the typed functions of the C ABI (docs/abi.md).
//! - `limits.rs` bounds the memory of an instance and the time of a call.
//! - [`worker::Worker`] is what a shard of a run needs of an engine.

mod exports;
pub(crate) mod instance;
pub(crate) mod limits;
pub(crate) mod native;
pub(crate) mod runtime;
pub(crate) mod worker;

use wasmtime::{Engine, Module};

use crate::error::Error;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The bytes of `stream_processor.wasm`, identical to the file in the npm package.
pub const WASM: &[u8] = EMBEDDED_WASM;

/// The SHA-256 of [`WASM`] in hexadecimal digits.
pub const SHA256: &str = EMBEDDED_SHA256;

/// The version of the module's C ABI that this program uses.
pub const ABI_VERSION: u32 = 1;

/// Returns a wasmtime engine and the module loaded for it: from the embedded precompiled code if
/// wasmtime accepts that on this machine, otherwise compiled from [`WASM`].
fn load() -> Result<(Engine, Module), Error> {
    let engine = stream_processor_module::engine().map_err(Error::module)?;
    let module = match PRECOMPILED.and_then(|code| deserialize(&engine, code)) {
        Some(module) => module,
        None => stream_processor_module::compile(&engine, WASM).map_err(Error::module)?,
    };
    Ok((engine, module))
}

/// Loads precompiled code. Returns `None` if it was compiled for another processor or by another
/// version of wasmtime.
#[allow(
    unsafe_code,
    reason = "wasmtime cannot check native code, so the caller guarantees its origin"
)]
fn deserialize(engine: &Engine, code: &'static [u8]) -> Option<Module> {
    // SAFETY: `code` is the unchanged output of `Engine::precompile_module`.
    // stream-processor-module wrote it, and build.rs embeds it only if its header has the digest of
    // the embedded wasm file.
    unsafe { Module::deserialize(engine, code) }.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_for_another_engine_configuration_is_refused() {
        // Another configuration stands for another processor or another version of wasmtime.
        let other = Engine::default();
        assert!(PRECOMPILED.is_none_or(|code| deserialize(&other, code).is_none()));
    }

    #[test]
    fn module_compiles_without_precompiled_code() {
        let engine = stream_processor_module::engine().unwrap();
        let module = stream_processor_module::compile(&engine, WASM).unwrap();
        assert!(module.exports().any(|export| export.name() == "sp_abi_version"));
        assert_eq!(stream_processor_module::sha256_hex(WASM), SHA256);
    }
}
