//! `cargo xtask size`: where the bytes of the module are, and the limits of what a web page loads.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasmparser::{KnownCustom, Name, Parser, Payload};

use crate::run::{read, run_quietly};
use crate::{module, npm};

/// The size of the module when it was last recorded, compressed by gzip.
const MODULE_GZIP_BYTES: usize = 692_200;
/// The size of the JavaScript of the package when it was last recorded: the wrapper and the glue,
/// minified by esbuild and compressed by gzip.
const JAVASCRIPT_GZIP_BYTES: usize = 17_400;
/// The largest share of a recorded size that a build may have, in percent.
const HEADROOM_PERCENT: usize = 102;
/// Parts below this share of the code, in percent, are summed.
const LEAST_PERCENT: f64 = 0.4;

/// Code of one part of the module.
#[derive(Clone, Copy, Default)]
struct Code {
    functions: usize,
    bytes: usize,
}

/// Builds the module and the package, and prints the table of `docs/performance.md`.
pub(crate) fn size() -> Result<()> {
    module::build()?;
    npm::build()?;
    let wasm = read(&module::compiled())?;
    print!("{}", table(&parts(&wasm)?));
    let sizes = Sizes::measure()?;
    let file = read(&module::wasm())?.len();
    println!("\nmodule: {file} bytes, {} gzip", sizes.module);
    println!("wrapper and glue: {} bytes gzip, minified", sizes.javascript);
    Ok(())
}

/// Sizes after compression by gzip, in bytes.
pub(crate) struct Sizes {
    module: usize,
    javascript: usize,
}

impl Sizes {
    /// Measures the module and the package that were built last.
    pub(crate) fn measure() -> Result<Self> {
        let bundle = ["--bundle", "--minify", "--format=esm", "--target=es2022"];
        let mut esbuild = npm::tool("esbuild");
        esbuild.arg(npm::package().join("dist/index.js")).args(bundle);
        let javascript = gzip_bytes(run_quietly(&mut esbuild)?.as_bytes())?;
        Ok(Self { module: gzip_bytes(&read(&module::wasm())?)?, javascript })
    }

    /// Checks the sizes against the recorded ones.
    pub(crate) fn check(&self) -> Result<()> {
        for (what, bytes, recorded) in [
            ("the module", self.module, MODULE_GZIP_BYTES),
            ("the JavaScript of the package", self.javascript, JAVASCRIPT_GZIP_BYTES),
        ] {
            let limit = recorded / 100 * HEADROOM_PERCENT;
            if bytes > limit {
                bail!(
                    "{what} has {bytes} bytes after gzip, above {limit}: `cargo xtask size` shows \
                     where they are, xtask/src/size.rs records the size"
                );
            }
        }
        Ok(())
    }
}

/// Returns the size of `bytes` after the strongest compression by gzip.
fn gzip_bytes(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

/// Returns the code of each part of the module `wasm`, which has a name section.
fn parts(wasm: &[u8]) -> Result<BTreeMap<String, Code>> {
    let (mut imports, mut bodies, mut names) = (0, Vec::new(), BTreeMap::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            // The module imports functions only.
            Payload::ImportSection(section) => imports = section.count(),
            Payload::CodeSectionEntry(body) => bodies.push(body.range().len()),
            Payload::CustomSection(section) => {
                let KnownCustom::Name(section) = section.as_known() else { continue };
                for subsection in section {
                    let Name::Function(functions) = subsection? else { continue };
                    for function in functions {
                        let function = function?;
                        names.insert(function.index, function.name);
                    }
                }
            }
            _ => {}
        }
    }
    let mut parts: BTreeMap<String, Code> = BTreeMap::new();
    for (index, bytes) in (imports..).zip(bodies) {
        let name = names.get(&index).context("a function of the module has no name")?;
        let part =
            parts.entry(part_of(&format!("{:#}", rustc_demangle::demangle(name)))).or_default();
        part.functions += 1;
        part.bytes += bytes;
    }
    Ok(parts)
}

/// Returns the part that the function with the demangled `name` belongs to: a module of core, a
/// crate, or a facility of the standard library.
fn part_of(name: &str) -> String {
    // `<[core::Type] as Trait>::method` belongs to the type.
    let path = name.trim_start_matches(['<', '[', '&', '(']);
    let path = ["mut ", "dyn "].iter().fold(path, |path, word| path.trim_start_matches(word));
    let end = path.find(['<', '>', ' ', ']', ',', '{']).unwrap_or(path.len());
    let words: Vec<&str> = path[..end].split("::").filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["core", "slice", "sort", ..] => "std: sorting".into(),
        ["alloc", "collections", "btree", ..] => "std: BTreeMap".into(),
        ["core" | "alloc" | "std", ..] => "std: other".into(),
        ["stream_processor_core", "stages", stage, ..] => format!("core: stages::{stage}"),
        ["stream_processor_core", area, ..] => format!("core: {area}"),
        [name] if name.starts_with("sp_") => "stream_processor_wasm".into(),
        [_] => "other".into(),
        [name, ..] => (*name).into(),
        [] => "other".into(),
    }
}

/// Returns the table of `parts`, largest first.
fn table(parts: &BTreeMap<String, Code>) -> String {
    let total: usize = parts.values().map(|part| part.bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let percent = |bytes: usize| bytes as f64 / total as f64 * 100.0;
    let mut rows: Vec<(&str, Code)> =
        parts.iter().map(|(name, code)| (name.as_str(), *code)).collect();
    rows.sort_by_key(|(_, code)| std::cmp::Reverse(code.bytes));
    let shown = rows.iter().filter(|(_, code)| percent(code.bytes) >= LEAST_PERCENT).count();
    let rest = rows.split_off(shown);
    let sum = |rows: &[(&str, Code)]| Code {
        functions: rows.iter().map(|(_, code)| code.functions).sum(),
        bytes: rows.iter().map(|(_, code)| code.bytes).sum(),
    };
    rows.push(("the rest", sum(&rest)));
    rows.push(("all code", sum(&rows)));
    let mut text = String::from("| part | functions | bytes | % |\n|---|---|---|---|\n");
    for (name, Code { functions, bytes }) in rows {
        text.push_str(&format!("| {name} | {functions} | {bytes} | {:.1} |\n", percent(bytes)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_belong_to_the_module_of_their_type() {
        for (name, part) in [
            (
                "<stream_processor_core::stages::map::MapStage as stream_processor_core::stages::Stage>::process",
                "core: stages::map",
            ),
            ("stream_processor_core::plan::Plan>::new", "core: plan"),
            ("<stream_processor_core::plan::Plan>::new", "core: plan"),
            (
                "core::slice::sort::unstable::ipnsort::<u32, <u32 as core::cmp::PartialOrd>::lt>",
                "std: sorting",
            ),
            ("<alloc::collections::btree::map::BTreeMap<i64, u32>>::insert", "std: BTreeMap"),
            ("<&mut serde_json::de::Deserializer<R>>::parse", "serde_json"),
            ("sp_open", "stream_processor_wasm"),
            ("memcpy", "other"),
        ] {
            assert_eq!(part_of(name), part, "{name}");
        }
    }

    #[test]
    fn small_parts_are_summed() {
        let parts = [("core: plan", 600), ("tiny", 1), ("small", 2), ("core: spec", 397)];
        let code = |bytes| Code { functions: 1, bytes };
        let parts = parts.map(|(name, bytes)| (name.to_owned(), code(bytes))).into();
        assert_eq!(
            table(&parts),
            "| part | functions | bytes | % |\n|---|---|---|---|\n\
             | core: plan | 1 | 600 | 60.0 |\n| core: spec | 1 | 397 | 39.7 |\n\
             | the rest | 2 | 3 | 0.3 |\n| all code | 4 | 1000 | 100.0 |\n"
        );
    }
}
