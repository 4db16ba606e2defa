//! Folders, child processes, and files that are written only if their content changes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Returns the folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Returns the folder of all build outputs, independent of `CARGO_TARGET_DIR`.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Returns a command of cargo in the workspace that builds into [`target`] with the workspace's
/// flags.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command.env("CARGO_TARGET_DIR", target());
    // Flags of the environment would replace those of `.cargo/config.toml`, which enable SIMD.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Runs a command and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", text(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", text(command));
    }
    Ok(())
}

/// Runs a command and returns its stdout. Prints nothing; if the command fails, its output is part
/// of the error.
pub(crate) fn run_quietly(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", text(command)))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({})\n{printed}{errors}", text(command), output.status);
    }
    Ok(printed)
}

/// Returns the command as text.
pub(crate) fn text(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    let words = std::iter::once(program.to_string_lossy()).chain(arguments);
    words.collect::<Vec<_>>().join(" ")
}

/// Writes a file unless it has these bytes already, so that later steps find it unchanged. Returns
/// whether it was written.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if read_if_exists(path)?.is_some_and(|old| old == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// Reads a file, or returns `None` if it does not exist.
pub(crate) fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Reads a file that must exist.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Returns all files below some files and folders, sorted, without `node_modules`.
pub(crate) fn files(roots: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = roots.to_vec();
    while let Some(path) = pending.pop() {
        if path.is_file() {
            found.push(path);
        } else if path.is_dir() && !path.ends_with("node_modules") {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the SHA-256 of `bytes` in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The stamp of a build step that runs only if its inputs have changed since it last succeeded.
pub(crate) struct Stamp {
    path: PathBuf,
    hash: String,
}

impl Stamp {
    /// Creates the stamp of step `name`, which reads `inputs` (files and folders). `recipe` is its
    /// own source or version: a change of it runs the step again.
    pub(crate) fn new(name: &str, recipe: &str, inputs: &[PathBuf]) -> Result<Self> {
        let mut hasher = Sha256::new();
        hasher.update(recipe);
        for path in files(inputs)? {
            hasher.update(path.to_string_lossy().as_bytes());
            hasher.update(Sha256::digest(read(&path)?));
        }
        let hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path: target().join("xtask-stamps").join(name), hash })
    }

    /// Returns whether the step can be skipped, because neither inputs nor recipe changed and
    /// `outputs` exist.
    pub(crate) fn is_fresh(&self, outputs: &[PathBuf]) -> Result<bool> {
        let done = read_if_exists(&self.path)?;
        Ok(done.is_some_and(|done| done == self.hash.as_bytes())
            && outputs.iter().all(|output| output.exists()))
    }

    /// Stores that the step has succeeded.
    pub(crate) fn set(&self) -> Result<()> {
        write_if_changed(&self.path, self.hash.as_bytes()).map(drop)
    }
}
