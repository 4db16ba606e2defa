//! Folders, child processes and files that are written only when their content changes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// The folder that everything built goes to, wherever `CARGO_TARGET_DIR` points.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Cargo, in the workspace, building into [`target`] with the workspace's own flags.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command.env("CARGO_TARGET_DIR", target());
    // Flags from outside would replace those of `.cargo/config.toml`, and the module would lose its SIMD.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Runs a command to its end and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", text(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", text(command));
    }
    Ok(())
}

/// Runs a command without showing what it prints, unless it fails.
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

/// The command as a person would type it.
pub(crate) fn text(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    let words = std::iter::once(program.to_string_lossy()).chain(arguments);
    words.collect::<Vec<_>>().join(" ")
}

/// Writes a file unless it already holds these bytes: what is built from it then stays fresh.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if read_if_there(path)?.is_some_and(|old| old == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// The bytes of a file, or nothing where there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The bytes of a file that has to be there.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Every file below some files and folders, sorted, without what npm installs.
pub(crate) fn files(roots: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = roots.to_vec();
    while let Some(path) = open.pop() {
        if path.is_file() {
            found.push(path);
        } else if path.is_dir() && !path.ends_with("node_modules") {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A step that runs only when what it reads has changed since it last succeeded.
pub(crate) struct Stamp {
    path: PathBuf,
    hash: String,
}

impl Stamp {
    /// Of a step by the name `name` that reads `inputs` (files and folders) and whose own rules are `recipe`.
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

    /// Whether the step has nothing to do, given the files that it leaves.
    pub(crate) fn is_fresh(&self, outputs: &[PathBuf]) -> Result<bool> {
        let done = read_if_there(&self.path)?;
        Ok(done.is_some_and(|done| done == self.hash.as_bytes())
            && outputs.iter().all(|output| output.exists()))
    }

    /// Notes that the step has succeeded.
    pub(crate) fn set(&self) -> Result<()> {
        write_if_changed(&self.path, self.hash.as_bytes()).map(drop)
    }
}
