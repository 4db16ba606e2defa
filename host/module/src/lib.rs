//! Compiles `stream_processor.wasm` with wasmtime: one engine configuration for the build and for
//! the running host.
//!
//! Wasmtime accepts precompiled code only from an engine with the same configuration, so it is
//! defined once, here.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, Module};

/// Bytes of the digest at the start of a precompiled module: the SHA-256 of its wasm file.
pub const DIGEST_BYTES: usize = 32;

/// Returns the configuration of every engine: epoch interruption for deadlines, no fuel, traps
/// without backtraces.
///
/// Linear memory keeps wasmtime's defaults for 64-bit hosts (4 GiB reserved, guard pages), which
/// need no bounds checks. Each store limits the memory that its instance may use.
#[must_use]
pub fn engine_config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_backtrace_max_frames(None);
    config
}

/// Creates an engine of [`engine_config`].
///
/// # Errors
/// This machine does not support the configuration.
pub fn engine() -> wasmtime::Result<Engine> {
    Engine::new(&engine_config())
}

/// Compiles a wasm file for this machine, which takes tens of milliseconds.
///
/// # Errors
/// The bytes are not a valid module.
pub fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Module> {
    Module::from_binary(engine, wasm)
}

/// Compiles a wasm file ahead of time. Returns [`DIGEST_BYTES`] of [`sha256`], then the code as
/// wasmtime serializes it.
///
/// # Errors
/// The bytes are not a valid module.
pub fn precompile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut precompiled = sha256(wasm).to_vec();
    precompiled.extend(engine.precompile_module(wasm)?);
    Ok(precompiled)
}

/// Returns the SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::digest(bytes).into()
}

/// Returns the SHA-256 of `bytes` as 64 hexadecimal digits.
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
    fn digest_of_abc_matches_fips_180() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn precompiled_code_starts_with_the_digest_of_its_wasm_file() {
        let engine = engine().unwrap();
        let empty_module = b"\0asm\x01\0\0\0";
        let precompiled = precompile(&engine, empty_module).unwrap();
        assert_eq!(precompiled[..DIGEST_BYTES], sha256(empty_module));
        assert!(Engine::detect_precompiled(&precompiled[DIGEST_BYTES..]).is_some());
    }
}
