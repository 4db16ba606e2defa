//! Builds the npm package: compiles TypeScript over the generated glue, assembles and packs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{Stamp, cargo, read, root, run_quietly, sha256, target, write_if_changed};
use crate::{module, notices, setup};

/// Returns the folder of the wrapper's sources.
pub(crate) fn sources() -> PathBuf {
    root().join("wasm/js")
}

/// Returns the path of the packed package.
pub(crate) fn tarball() -> PathBuf {
    target().join("npm/stream-processor.tgz")
}

/// Returns the folder of the unpacked package.
pub(crate) fn package() -> PathBuf {
    target().join("npm/package")
}

/// Returns the folder where `tsconfig.json` finds the generated types: those of the glue, and those
/// from the JSON Schema of pipelines.
fn generated() -> PathBuf {
    target().join("npm/generated")
}

/// Compiles and packs the package with the module of [`module::build`].
pub(crate) fn build() -> Result<()> {
    setup::npm_packages(&sources())?;
    let [glue, glue_types] = module::glue();
    write_if_changed(&generated().join("glue.d.ts"), &read(&glue_types)?)?;
    pipeline_types()?;
    let inputs = [
        sources().join("src"),
        sources().join("bundle.mjs"),
        sources().join("package.json"),
        sources().join("package-lock.json"),
        sources().join("tsconfig.json"),
        sources().join("README.md"),
        root().join("LICENSE"),
        notices::of_npm(),
        root().join("Cargo.toml"),
        generated(),
        module::wasm(),
        glue,
    ];
    let stamp = Stamp::new("npm", include_str!("npm.rs"), &inputs)?;
    if stamp.is_fresh(&[tarball()])? {
        return Ok(());
    }
    assemble()?;
    pack()?;
    stamp.set()
}

/// Creates a project in `folder` with the packed package installed and `files` (or folders) copied
/// into it.
pub(crate) fn install(folder: &Path, files: &[PathBuf]) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("package.json"), r#"{ "private": true, "type": "module" }"#)?;
    run_quietly(Command::new("cp").arg("-R").args(files).arg(folder))?;
    let mut command = Command::new("npm");
    command.args(["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error"]);
    run_quietly(command.arg(tarball()).current_dir(folder))?;
    Ok(folder.to_path_buf())
}

/// Returns a command for a program of the wrapper's npm packages.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(sources().join("node_modules/.bin").join(name));
    command.current_dir(sources());
    command
}

/// Generates `pipeline.d.ts` from the JSON Schema of pipeline descriptions.
fn pipeline_types() -> Result<()> {
    let schema = run_quietly(&mut cargo(&[
        "run",
        "--quiet",
        "--package",
        "stream-processor-core",
        "--example",
        "schema",
    ]))?;
    let path = target().join("npm/pipeline.schema.json");
    write_if_changed(&path, schema.as_bytes())?;
    let types = generated().join("pipeline.d.ts");
    let stamp = Stamp::new("pipeline-types", include_str!("npm.rs"), std::slice::from_ref(&path))?;
    if stamp.is_fresh(std::slice::from_ref(&types))? {
        return Ok(());
    }
    let banner = "// Made from the JSON Schema of the pipeline description.";
    let mut command = tool("json2ts");
    command.arg("--input").arg(&path).args(["--bannerComment", banner]);
    let text = run_quietly(command.args(["--unknownAny", "--additionalProperties=false"]))?;
    write_if_changed(&types, text.as_bytes())?;
    stamp.set()
}

/// Compiles the wrapper and copies the files of the package together.
fn assemble() -> Result<()> {
    let package = package();
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    let dist = package.join("dist");
    run_quietly(tool("tsc").args(["--project", "tsconfig.json", "--outDir"]).arg(&dist))?;
    let [glue, glue_types] = module::glue();
    copy(&glue, &dist.join("glue.js"))?;
    copy(&glue_types, &dist.join("glue.d.ts"))?;
    copy(&generated().join("pipeline.d.ts"), &dist.join("pipeline.d.ts"))?;
    copy(&module::wasm(), &dist.join("stream_processor.wasm"))?;
    run_quietly(Command::new("node").arg(sources().join("bundle.mjs")).arg(&dist))?;
    copy(&sources().join("README.md"), &package.join("README.md"))?;
    copy(&root().join("LICENSE"), &package.join("LICENSE"))?;
    copy(&notices::of_npm(), &package.join("THIRD_PARTY_NOTICES.txt"))?;
    write_manifest(&package.join("package.json"))
}

/// Writes the manifest to `path` after it has checked that its version is that of the workspace.
fn write_manifest(path: &Path) -> Result<()> {
    let bytes = read(&sources().join("package.json"))?;
    let manifest: serde_json::Value = serde_json::from_slice(&bytes)?;
    let version = setup::version()?;
    if manifest["version"] != version.as_str() {
        bail!("wasm/js/package.json has version {}, Cargo.toml has {version}", manifest["version"]);
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Packs the package and checks that it contains the module of the host.
fn pack() -> Result<()> {
    let mut command = Command::new("npm");
    command.args(["pack", "--loglevel=error", "--ignore-scripts", "--pack-destination"]);
    run_quietly(command.arg(target().join("npm")).current_dir(package()))?;
    let packed = target().join(format!("npm/stream-processor-{}.tgz", setup::version()?));
    fs::rename(&packed, tarball())?;
    let shipped = sha256(&read(&package().join("dist/stream_processor.wasm"))?);
    if shipped != sha256(&read(&module::wasm())?) {
        bail!("the packed module differs from target/module/stream_processor.wasm");
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display())).map(drop)
}
