//! Every file of tests is part of one of few programs. A file that no `mod` names would not run,
//! and each further program takes its own time to compile and link.

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

/// The programs besides `it`, each with the reason for it in core/Cargo.toml.
const PROGRAMS: [&str; 2] = ["core/tests/memory_limits.rs", "core/tests/pipelines/main.rs"];

#[test]
fn every_file_of_tests_is_compiled_into_one_of_few_programs() {
    for package in ["core", "host", "tests"] {
        let folder = root().join(package).join("tests");
        let files = sources(&folder);
        assert!(files.len() > 5, "{} has tests", folder.display());
        let programs = PROGRAMS.map(|path| root().join(path));
        let is_program =
            |path: &PathBuf| *path == folder.join("it/main.rs") || programs.contains(path);
        for path in files.iter().filter(|path| !is_program(path)) {
            assert!(is_declared(path), "{}: `it` has no `mod` of it", path.display());
        }
    }
}
