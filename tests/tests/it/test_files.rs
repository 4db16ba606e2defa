//! Every file of tests is part of a program of tests: a file that no `mod` names would not run.

use std::fs;
use std::path::{Path, PathBuf};

use stream_processor_tests::root;

/// Returns all Rust files in `folder` and its folders.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| match path.is_dir() {
        true => sources(&path),
        false if path.extension().is_some_and(|end| end == "rs") => vec![path],
        false => Vec::new(),
    };
    entries.flat_map(of).collect()
}

/// Returns true if the `main.rs` or `mod.rs` of the module's folder declares the module `path`.
fn is_declared(path: &Path) -> bool {
    let module = if path.ends_with("mod.rs") { path.parent().unwrap() } else { path };
    let (folder, name) = (module.parent().unwrap(), module.file_stem().unwrap());
    let line = format!("mod {};", name.to_str().unwrap());
    ["main.rs", "mod.rs"].iter().any(|root| {
        let text = fs::read_to_string(folder.join(root)).unwrap_or_default();
        text.lines().any(|found| found.trim_start_matches("pub ") == line)
    })
}

#[test]
fn every_file_of_tests_is_compiled() {
    for package in ["core", "host", "tests"] {
        let folder = root().join(package).join("tests");
        let files = sources(&folder);
        assert!(files.len() > 5, "{} has tests", folder.display());
        // Cargo finds these without a `mod`.
        let is_program = |path: &Path| path.ends_with("main.rs") || path.parent() == Some(&folder);
        for path in files.iter().filter(|path| !is_program(path)) {
            assert!(is_declared(path), "no `mod` names {}", path.display());
        }
    }
}
