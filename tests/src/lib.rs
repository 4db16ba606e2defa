//! Shared by the tests across crates: the conformance vectors, the examples and the paths of the built artifacts.

mod examples;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use examples::{Example, examples};

/// One conformance vector of `tests/vectors`.
pub struct Vector {
    /// The vector's name.
    pub name: String,
    /// The pipeline, as JSON.
    pub spec: Value,
    /// The input text.
    pub input: Vec<u8>,
    /// The expected output: `rows` as text, and counters.
    pub expected: Value,
}

/// Returns all vectors, ordered by name.
///
/// # Panics
/// If a vector cannot be read: there would be nothing to test.
///
/// # Panics
/// Panics if a vector cannot be read: the tests have nothing to test then.
#[must_use]
pub fn vectors() -> Vec<Vector> {
    let folder = root().join("tests/vectors");
    let files =
        std::fs::read_dir(&folder).expect("tests/vectors").flatten().map(|file| file.path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has its vectors", folder.display());
    files.iter().map(|path| vector(path)).collect()
}

fn vector(path: &Path) -> Vector {
    let text = std::fs::read(path).expect("a vector");
    let mut vector: Value = serde_json::from_slice(&text).expect("a vector is JSON");
    let input = match vector["input"]["file"].as_str() {
        Some(file) => std::fs::read(root().join("tests").join(file)).expect("the vector's input"),
        None => vector["input"]["text"].as_str().unwrap_or_default().into(),
    };
    Vector {
        name: vector["name"].as_str().unwrap_or_default().to_owned(),
        spec: vector["spec"].take(),
        input,
        expected: vector["expected"].take(),
    }
}

/// Returns the folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Returns the bytes of the module that `cargo xtask build` makes.
///
/// # Panics
/// If the module is not built.
///
/// # Panics
/// Panics if it is not built.
#[must_use]
pub fn module() -> Vec<u8> {
    let path = root().join("target/module/stream_processor.wasm");
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask build` makes it", path.display()))
}

/// Returns the path of the program that `cargo xtask build` makes.
///
/// # Panics
/// If the program is not built.
///
/// # Panics
/// Panics if it is not built.
#[must_use]
pub fn program() -> PathBuf {
    let path = root().join("target/release/stream-processor");
    assert!(path.exists(), "{} is missing; `cargo xtask build` makes it", path.display());
    path
}
