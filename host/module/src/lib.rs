//! How `stream_processor.wasm` is compiled: one engine configuration, shared by the build and by the running host.
//!
//! Wasmtime accepts precompiled code only from an engine that is set up alike, so the set-up lives in one place.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Module};

/// Bytes of the digest that head a precompiled module: the SHA-256 of the wasm file it was made from.
pub const DIGEST_BYTES: usize = 32;

/// The configuration of every engine: epoch interruption for deadlines, no fuel, traps without backtraces.
///
/// Linear memory keeps wasmtime's defaults for 64-bit hosts (4 GiB reserved, guard pages), which need no bounds
/// checks; how much of it an instance may really use is limited per store.
#[must_use]
pub fn engine_config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_backtrace_max_frames(None);
    config
}

/// An engine of [`engine_config`].
///
/// # Errors
/// When this machine cannot run what the configuration asks for.
pub fn engine() -> wasmtime::Result<Engine> {
    Engine::new(&engine_config())
}

/// Compiles a wasm file for this machine, which takes tens of milliseconds.
///
/// # Errors
/// When the bytes are not a valid module.
pub fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Module> {
    Module::from_binary(engine, wasm)
}

/// The precompiled form of a wasm file: [`DIGEST_BYTES`] of [`sha256`], then the code as wasmtime serializes it.
///
/// # Errors
/// When the bytes are not a valid module.
pub fn precompile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut precompiled = sha256(wasm).to_vec();
    precompiled.extend(engine.precompile_module(wasm)?);
    Ok(precompiled)
}

/// The SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::digest(bytes).into()
}

/// The SHA-256 of `bytes` as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    sha256(bytes).iter().fold(String::with_capacity(2 * DIGEST_BYTES), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_standard_one() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn precompiled_code_is_headed_by_the_digest_of_its_source() {
        let engine = engine().unwrap();
        let empty_module = b"\0asm\x01\0\0\0";
        let precompiled = precompile(&engine, empty_module).unwrap();
        assert_eq!(precompiled[..DIGEST_BYTES], sha256(empty_module));
        assert!(Engine::detect_precompiled(&precompiled[DIGEST_BYTES..]).is_some());
    }
}
