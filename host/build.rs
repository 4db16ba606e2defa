//! Embeds the module that `cargo xtask build` compiles, and its precompiled code if that was made
//! from the same bytes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use sha2::{Digest, Sha256};

/// The variable that names a module file other than `target/module/stream_processor.wasm`.
const MODULE_VARIABLE: &str = "STREAM_PROCESSOR_MODULE";
/// Bytes of the SHA-256 of the wasm file at the start of its precompiled code (see
/// stream-processor-module).
const DIGEST_BYTES: usize = 32;

fn main() {
    println!("cargo::rerun-if-env-changed={MODULE_VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let wasm_path = module_path();
    let precompiled_path = wasm_path.with_extension("cwasm");
    println!("cargo::rerun-if-changed={}", wasm_path.display());
    println!("cargo::rerun-if-changed={}", precompiled_path.display());
    let source = match fs::read(&wasm_path) {
        Ok(wasm) => embed(&wasm, fs::read(precompiled_path).ok(), &out),
        Err(error) => missing(&wasm_path, &error),
    };
    fs::write(out.join("embedded.rs"), source).expect("OUT_DIR is writable");
}

/// Returns the path of the module.
fn module_path() -> PathBuf {
    match env::var_os(MODULE_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"))
            .join("../target/module/stream_processor.wasm"),
    }
}

/// Copies the files to `out` and returns the source of the constants that include them.
fn embed(wasm: &[u8], precompiled: Option<Vec<u8>>, out: &Path) -> String {
    let digest = Sha256::digest(wasm);
    let hex = digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let code = precompiled
        .filter(|file| file.get(..DIGEST_BYTES) == Some(digest.as_slice()))
        .map(|file| file[DIGEST_BYTES..].to_vec());
    fs::write(out.join("module.wasm"), wasm).expect("OUT_DIR is writable");
    fs::write(out.join("module.code"), code.as_deref().unwrap_or_default())
        .expect("OUT_DIR is writable");
    if code.is_none() {
        println!(
            "cargo::warning=no precompiled code belongs to this module, so the program compiles it at each start \
             (half a second): `cargo xtask build` makes it"
        );
    }
    let precompiled = match code {
        Some(_) => "Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/module.code\")))",
        None => "None",
    };
    format!(
        "const EMBEDDED_WASM: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/module.wasm\"));\n\
         const EMBEDDED_SHA256: &str = \"{hex}\";\n\
         const PRECOMPILED: Option<&[u8]> = {precompiled};\n"
    )
}

/// Returns source that fails to compile with a message about the missing module.
fn missing(path: &Path, error: &std::io::Error) -> String {
    let message = format!(
        "cannot read the module {}: {error}. `cargo xtask build` makes it; {MODULE_VARIABLE} names another file",
        path.display()
    );
    format!("compile_error!({message:?});\n")
}
