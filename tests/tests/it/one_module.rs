//! The npm package ships the same module as the program, byte for byte.

use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use stream_processor_tests::{module, program, root};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the module in the packed npm package.
fn packed(folder: &Path) -> Vec<u8> {
    let package = root().join("target/npm/stream-processor.tgz");
    let status =
        Command::new("tar").arg("-xzf").arg(&package).arg("-C").arg(folder).status().unwrap();
    assert!(status.success(), "{}", package.display());
    std::fs::read(folder.join("package/dist/stream_processor.wasm")).unwrap()
}

#[test]
fn program_and_package_have_the_same_module() {
    let folder = tempfile::tempdir().unwrap();
    let packed = packed(folder.path());
    assert_eq!(sha256(&packed), sha256(&module()));
    let version = Command::new(program()).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    assert!(version.contains(&sha256(&packed)), "{version}");
    assert!(
        version.starts_with(concat!("stream-processor ", env!("CARGO_PKG_VERSION"))),
        "{version}"
    );
}
