//! Installs missing tools and prints a line for each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{Stamp, cargo, read, root, run_quietly, target};

/// The Rust target of the module.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The path of Debian's Chromium.
pub(crate) const CHROMIUM: &str = "/usr/bin/chromium";

/// Installs the Rust target of the module. `rust-toolchain.toml` names it, but rustup may be
/// configured not to install by itself.
pub(crate) fn wasm_target() -> Result<()> {
    let sysroot =
        run_quietly(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET).exists() {
        return Ok(());
    }
    eprintln!("  setup   rustup target add {WASM_TARGET}");
    let mut command = Command::new("rustup");
    run_quietly(command.args(["target", "add", WASM_TARGET]).current_dir(root())).map(drop)
}

/// Installs clippy and rustfmt if the toolchain lacks them.
pub(crate) fn rust_components() -> Result<()> {
    for component in ["clippy", "rustfmt"] {
        let program = if component == "clippy" { "cargo-clippy" } else { "rustfmt" };
        let mut probe = Command::new(program);
        if run_quietly(probe.arg("--version").current_dir(root())).is_ok() {
            continue;
        }
        eprintln!("  setup   rustup component add {component}");
        let mut command = Command::new("rustup");
        run_quietly(command.args(["component", "add", component]).current_dir(root()))?;
    }
    Ok(())
}

/// Installs the npm packages of a folder's lock file.
pub(crate) fn npm_packages(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let installed = folder.join("node_modules");
    let name = folder.strip_prefix(root()).unwrap_or(folder).display().to_string();
    let stamp = Stamp::new(&format!("npm-ci-{}", name.replace('/', "-")), "2", &[lock])?;
    if stamp.is_fresh(&[installed])? {
        return Ok(());
    }
    require_node()?;
    eprintln!("  setup   npm ci in {name}");
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    command.current_dir(folder);
    run_quietly(&mut command)?;
    stamp.set()
}

/// Installs Chromium from Debian's packages unless it exists. Returns its path.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return Ok(PathBuf::from(path));
    }
    if !Path::new(CHROMIUM).exists() {
        eprintln!("  setup   apt-get install chromium (some 100 MB)");
        apt_get_install(&["chromium"]).context("or name its program in CHROMIUM")?;
    }
    if !Path::new(CHROMIUM).exists() {
        bail!("there is no {CHROMIUM}: install Chromium and name its program in CHROMIUM");
    }
    Ok(PathBuf::from(CHROMIUM))
}

/// Installs the driver of Debian's Chromium unless it exists. Returns its path.
pub(crate) fn chromium_driver() -> Result<PathBuf> {
    let driver = Path::new("/usr/bin/chromedriver");
    if !driver.exists() {
        install(&["chromium-driver"])?;
    }
    Ok(driver.to_path_buf())
}

/// Builds wasm-bindgen's test runner in `target/tools` unless it has the version of the workspace's
/// wasm-bindgen. Returns its path.
pub(crate) fn wasm_bindgen_test_runner() -> Result<PathBuf> {
    let tools = target().join("tools");
    let runner = tools.join("bin/wasm-bindgen-test-runner");
    let version = version_of("wasm-bindgen")?;
    let installed = run_quietly(Command::new(&runner).arg("--version")).unwrap_or_default();
    if installed.split_whitespace().any(|word| word == version) {
        return Ok(runner);
    }
    eprintln!("  setup   cargo install wasm-bindgen-cli {version} (some minutes, once)");
    let build = tools.join("build");
    let mut command = cargo(&["install", "--quiet", "--force", "wasm-bindgen-cli", "--version"]);
    command.arg(format!("={version}")).arg("--root").arg(&tools);
    run_quietly(command.arg("--target-dir").arg(&build))?;
    std::fs::remove_dir_all(build)?;
    Ok(runner)
}

/// Returns a call of nightly's cargo.
pub(crate) fn nightly_cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(arguments);
    command
}

/// Installs cargo-fuzz if it is missing.
pub(crate) fn cargo_fuzz() -> Result<()> {
    if run_quietly(&mut nightly_cargo(&["fuzz", "--version"])).is_ok() {
        return Ok(());
    }
    eprintln!("  setup   cargo install cargo-fuzz");
    run_quietly(&mut nightly_cargo(&["install", "cargo-fuzz", "--locked"])).map(drop)
}

/// Installs Redis, PostgreSQL, pgbouncer and openssl from Debian's packages unless they exist. The
/// tests start servers of their own.
pub(crate) fn servers() -> Result<()> {
    let postgres = (13..=18).map(|version| format!("/usr/lib/postgresql/{version}/bin/initdb"));
    let in_folders = |folders: &[&str], program: &str| {
        folders.iter().map(|folder| format!("{folder}/{program}")).collect::<Vec<_>>()
    };
    let packages = [
        ("redis-server", in_folders(&["/usr/bin", "/usr/local/bin"], "redis-server")),
        ("postgresql", postgres.collect()),
        ("pgbouncer", in_folders(&["/usr/sbin", "/usr/bin", "/usr/local/bin"], "pgbouncer")),
        ("openssl", in_folders(&["/usr/bin", "/usr/local/bin"], "openssl")),
    ];
    let is_missing =
        |(_, paths): &&(_, Vec<String>)| !paths.iter().any(|it| Path::new(it).exists());
    let missing: Vec<&str> = packages.iter().filter(is_missing).map(|(name, _)| *name).collect();
    install(&missing)
}

/// Installs the shells whose completions are tested and the tools of the recipes from Debian's
/// packages, unless they exist.
pub(crate) fn shell_tools() -> Result<()> {
    let is_missing = |tool: &&str| run_quietly(Command::new("which").arg(tool)).is_err();
    let missing: Vec<&str> =
        ["bash", "zsh", "fish", "jq", "zstd"].into_iter().filter(is_missing).collect();
    install(&missing)
}

/// Installs the packages of Debian that are missing, if any, and says so.
fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("  setup   apt-get install {}", missing.join(" "));
    apt_get_install(missing)
}

/// Installs packages of Debian.
fn apt_get_install(packages: &[&str]) -> Result<()> {
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
        .with_context(|| format!("install by hand: {}", packages.join(" ")))
}

/// Runs apt-get as root.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let is_root = run_quietly(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.args(["--non-interactive", "apt-get"]);
    }
    command.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    run_quietly(&mut command).context("apt-get fails").map(drop)
}

/// Checks that Node.js 20 or later is installed.
fn require_node() -> Result<()> {
    let version = run_quietly(Command::new("node").arg("--version"))
        .context("Node.js is missing: install version 20 or later")?;
    let major = version.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
    if major.parse::<u32>().unwrap_or(0) < 20 {
        bail!("Node.js is {}, but version 20 or later is needed", version.trim());
    }
    Ok(())
}

/// Returns the version of the workspace.
pub(crate) fn version() -> Result<String> {
    version_of("version")
}

/// Returns the version in the line of Cargo.toml that begins with `name`.
fn version_of(name: &str) -> Result<String> {
    let manifest = String::from_utf8(read(&root().join("Cargo.toml"))?)?;
    let start = format!("{name} = ");
    let line = manifest.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.with_context(|| format!("Cargo.toml has no version of {name}"))?;
    Ok(line.trim_matches('"').trim_start_matches('=').to_string())
}
