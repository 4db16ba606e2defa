//! The WebAssembly module that this program carries: its bytes, its digest, and how it gets ready to run.

use wasmtime::{Engine, Module};

use crate::error::Error;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The bytes of `stream_processor.wasm`, the same as in the npm package.
pub const WASM: &[u8] = EMBEDDED_WASM;

/// The SHA-256 of [`WASM`], as hexadecimal digits.
pub const SHA256: &str = EMBEDDED_SHA256;

/// The version of the module's C ABI that this program speaks.
pub const ABI_VERSION: u32 = 1;

/// An engine and the module made ready for it: from the embedded precompiled code where wasmtime accepts that on this
/// machine, otherwise compiled from [`WASM`].
pub(crate) fn load() -> Result<(Engine, Module), Error> {
    let engine = stream_processor_module::engine().map_err(Error::module)?;
    let module = match PRECOMPILED.and_then(|code| deserialize(&engine, code)) {
        Some(module) => module,
        None => stream_processor_module::compile(&engine, WASM).map_err(Error::module)?,
    };
    Ok((engine, module))
}

/// Loads precompiled code; `None` where it was made for another kind of processor or by another wasmtime.
#[allow(unsafe_code, reason = "wasmtime cannot check native code, so it asks us to vouch for it")]
fn deserialize(engine: &Engine, code: &'static [u8]) -> Option<Module> {
    // SAFETY: `code` is the unchanged output of `Engine::precompile_module`: stream-processor-module wrote it, build.rs
    // embedded it only where the digest in its header is that of the embedded wasm file.
    unsafe { Module::deserialize(engine, code) }.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_for_another_engine_is_refused_not_run() {
        // An engine that is set up otherwise stands for another processor or another wasmtime.
        let other = Engine::default();
        assert!(PRECOMPILED.is_none_or(|code| deserialize(&other, code).is_none()));
    }

    #[test]
    fn the_module_needs_no_precompiled_code() {
        let engine = stream_processor_module::engine().unwrap();
        let module = stream_processor_module::compile(&engine, WASM).unwrap();
        assert!(module.exports().any(|export| export.name() == "sp_abi_version"));
        assert_eq!(stream_processor_module::sha256_hex(WASM), SHA256);
    }
}
