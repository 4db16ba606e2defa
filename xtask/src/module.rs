//! Builds the module for wasm32, generates its JavaScript glue, and compiles it ahead of time for
//! the host.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::order::order_functions;
use crate::run::{Stamp, cargo, read, root, run, run_quietly, target, write_if_changed};
use crate::setup::{self, WASM_TARGET};

/// The packages that use wasmtime. They are always built together, because cargo compiles wasmtime
/// again for each other selection.
pub(crate) const RUNTIME_PACKAGES: [&str; 4] =
    ["--package", "stream-processor-module", "--package", "stream-processor"];

/// Returns the path of the module that the npm package and the host contain.
pub(crate) fn wasm() -> PathBuf {
    target().join("module/stream_processor.wasm")
}

/// Returns the path of the module as cargo builds it: with the names of its functions.
pub(crate) fn compiled() -> PathBuf {
    target().join(WASM_TARGET).join("module/stream_processor_wasm.wasm")
}

/// Returns the path of the module's code, compiled ahead of time by wasmtime for this processor.
pub(crate) fn precompiled() -> PathBuf {
    target().join("module/stream_processor.cwasm")
}

/// Returns the paths of the generated JavaScript and its types.
pub(crate) fn glue() -> [PathBuf; 2] {
    ["glue.js", "glue.d.ts"].map(|name| target().join("module").join(name))
}

/// Builds the module and its glue.
pub(crate) fn build() -> Result<()> {
    setup::wasm_target()?;
    let package = "stream-processor-wasm";
    let build = ["build", "--quiet", "--package", package, "--profile", "module"];
    run(cargo(&build).args(["--target", WASM_TARGET, "--config", &without_paths()]))?;
    let version = concat!(include_str!("module.rs"), include_str!("order.rs"));
    let stamp = Stamp::new("glue", version, &[compiled()])?;
    let [js, types] = glue();
    if stamp.is_fresh(&[wasm(), js.clone(), types.clone()])? {
        return Ok(());
    }
    let scratch = target().join("module/scratch");
    bindgen(compiled())?.generate(&scratch)?;
    let module = order_functions(&read(&scratch.join("stream_processor_bg.wasm"))?)?;
    write_if_changed(&wasm(), &module)?;
    let glue = fs::read_to_string(scratch.join("stream_processor.js"))?;
    write_if_changed(&js, glue_factory(&glue)?.as_bytes())?;
    let glue_types = fs::read_to_string(scratch.join("stream_processor.d.ts"))?;
    write_if_changed(&types, glue_factory_types(&glue_types)?.as_bytes())?;
    fs::remove_dir_all(&scratch)?;
    stamp.set()
}

/// Returns the option of cargo by which no path of this machine gets into the messages of the
/// module. Crates have the same path whichever registry they come from.
fn without_paths() -> String {
    let home = cargo_home();
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    let crates = registries.map(|registry| (registry.path(), "crates"));
    // The last one that matches is applied.
    let prefixes =
        [(root(), "stream-processor"), (home.clone(), "cargo")].into_iter().chain(crates);
    let flag =
        |(from, to): (PathBuf, &str)| format!("\"--remap-path-prefix={}={to}\"", from.display());
    let flags: Vec<String> = prefixes.map(flag).collect();
    format!("target.{WASM_TARGET}.rustflags=[{}]", flags.join(","))
}

/// Returns the home folder of cargo, where the sources of crates are.
fn cargo_home() -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default()
}

/// Fails if the module contains a path of this machine.
pub(crate) fn check_paths() -> Result<()> {
    let bytes = read(&wasm())?;
    for path in [cargo_home(), root()] {
        let path = path.display().to_string();
        if !path.is_empty() && bytes.windows(path.len()).any(|part| part == path.as_bytes()) {
            bail!("the module contains a path of this machine: {path}");
        }
    }
    Ok(())
}

/// Returns the generator of the glue and the final module.
///
/// No optimizer runs afterwards: wasm-opt -Oz saves 11 % of the file, but nothing after gzip. It
/// saves no time in any loop measured in Node.js (10 M events as columns, 0.5 M lines, 0.5 M
/// objects: all within 3 %, the noise), and costs 17 s a build and an installation of 100 MB.
fn bindgen(compiled: PathBuf) -> Result<Bindgen> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(compiled).out_name("stream_processor").web(true)?.typescript(true);
    // The entry points of the wrapper locate the module, because its path differs by platform.
    bindgen.omit_default_module_path(true);
    bindgen.remove_name_section(true).remove_producers_section(true);
    Ok(bindgen)
}

/// Wraps generated glue, which has one instance of the module, in a function that returns new glue
/// with each call. Leaves out the loading, which the wrapper does itself.
fn glue_factory(glue: &str) -> Result<String> {
    let (body, _) = part(glue, "async function __wbg_load(")?;
    let body = body.replace("export class", "class");
    Ok(format!(
        "export function createGlue(module) {{
{body}
__wbg_finalize_init(new WebAssembly.Instance(module, __wbg_get_imports()), module);
/** Drops the instance after a trap, without freeing its processors. */
const stop = () => {{ wasm = {{ __wbg_processor_free() {{}} }}; }};
return {{ Processor, stop }};
}}
"
    ))
}

/// Returns the types of [`glue_factory`] from those of the generated glue.
fn glue_factory_types(types: &str) -> Result<String> {
    let (class, _) = part(types, "export type InitInput")?;
    let class = class.replace("export class Processor", "declare class Processor");
    Ok(class
        + "/** The functions of one instance of the module. */
export interface Glue {
    Processor: typeof Processor;
    /** Drops the instance after a trap, without freeing its processors. */
    stop(): void;
}

/** Instantiates a `WebAssembly.Module`. */
export function createGlue(module: unknown): Glue;
export type { Processor };
")
}

/// Returns the text before and after the first `mark`.
fn part<'a>(text: &'a str, mark: &str) -> Result<(&'a str, &'a str)> {
    text.split_once(mark).with_context(|| format!("the generated glue has no `{mark}`"))
}

/// Compiles the module ahead of time, with the compiler and the settings of the host.
pub(crate) fn precompile() -> Result<()> {
    let bin = ["--bin", "stream-processor-module"];
    run(cargo(&["build", "--quiet", "--release"]).args(RUNTIME_PACKAGES).args(bin))?;
    let compiler = target().join("release/stream-processor-module");
    let stamp = Stamp::new("precompile", "1", &[wasm(), compiler.clone()])?;
    if stamp.is_fresh(&[precompiled()])? {
        return Ok(());
    }
    let scratch = target().join("module/stream_processor.cwasm.new");
    run_quietly(std::process::Command::new(compiler).arg(wasm()).arg(&scratch))?;
    write_if_changed(&precompiled(), &read(&scratch)?)?;
    fs::remove_file(&scratch)?;
    stamp.set()
}

/// Returns the imports of a module, as `module.name`.
pub(crate) fn imports(wasm: &[u8]) -> Result<Vec<String>> {
    let module = walrus::Module::from_buffer(wasm)?;
    Ok(module.imports.iter().map(|import| format!("{}.{}", import.module, import.name)).collect())
}
