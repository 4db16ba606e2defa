//! Third-party notices: the licences of the crates that the program and the module contain.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{cargo, root, run_quietly, write_if_changed};
use crate::setup::WASM_TARGET;

/// A product, and the file of its notices.
struct Product {
    /// The file, from the root of the project.
    path: &'static str,
    package: &'static str,
    what: &'static str,
    target: &'static str,
}

const PROGRAM: Product = Product {
    path: "host/THIRD_PARTY_NOTICES.txt",
    package: "stream-processor",
    what: "the program stream-processor",
    target: "x86_64-unknown-linux-gnu",
};
const NPM_PACKAGE: Product = Product {
    path: "wasm/THIRD_PARTY_NOTICES.txt",
    package: "stream-processor-wasm",
    what: "the npm package stream-processor",
    target: WASM_TARGET,
};
const PRODUCTS: [Product; 2] = [PROGRAM, NPM_PACKAGE];

/// A crate that a product contains.
struct Crate {
    /// Its name and version.
    name: String,
    license: String,
    folder: PathBuf,
}

/// Writes all files of notices.
pub(crate) fn write() -> Result<()> {
    for product in &PRODUCTS {
        write_if_changed(&root().join(product.path), notices(product)?.as_bytes())?;
    }
    Ok(())
}

/// Checks that the files of notices are those of the crates in Cargo.lock, and that all licences
/// are allowed.
pub(crate) fn check() -> Result<()> {
    for product in &PRODUCTS {
        let written = fs::read_to_string(root().join(product.path)).unwrap_or_default();
        if written != notices(product)? {
            bail!("{} is not that of Cargo.lock: run `cargo xtask notices`", product.path);
        }
    }
    Ok(())
}

/// Returns the path of the notices of the npm package.
pub(crate) fn of_npm() -> PathBuf {
    root().join(NPM_PACKAGE.path)
}

fn notices(product: &Product) -> Result<String> {
    let crates = crates(product)?;
    let allowed = allowed_licenses()?;
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut list = String::new();
    for one in &crates {
        if !is_allowed(&one.license, &allowed) {
            bail!("{}: the licence {} is not allowed by deny.toml", one.name, one.license);
        }
        writeln!(list, "{}: {}", one.name, one.license)?;
        for text in license_texts(&one.folder)? {
            texts.entry(text).or_default().push(&one.name);
        }
    }
    let mut file = format!(
        "Third-party notices of {}\n\n`cargo xtask notices` writes this file. It contains the standard library of Rust (MIT OR \
         Apache-2.0, The Rust Project contributors) and at most these crates:\n\n{list}",
        product.what
    );
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1));
    for (text, names) in texts {
        write!(file, "\n{}\n{}\n\n{text}\n", "-".repeat(80), names.join(", "))?;
    }
    Ok(file)
}

/// Returns the crates that a product contains, apart from those of the project, by name.
fn crates(product: &Product) -> Result<Vec<Crate>> {
    let mut command =
        cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform"]);
    let metadata: Value = serde_json::from_str(&run_quietly(command.arg(product.target))?)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let by_id: BTreeMap<&str, &Value> =
        packages.iter().map(|one| (text(&one["id"]), one)).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().context("no dependencies")?;
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().map(|node| (text(&node["id"]), node)).collect();
    let root = packages.iter().find(|one| one["name"] == product.package).context("no package")?;
    let (mut found, mut open) = (BTreeSet::new(), vec![text(&root["id"])]);
    while let Some(id) = open.pop() {
        let targets = by_id[id]["targets"].as_array().into_iter().flatten();
        // Macros run in the compiler only.
        let is_macro = targets
            .flat_map(|target| target["kind"].as_array())
            .flatten()
            .any(|kind| kind == "proc-macro");
        if is_macro || !found.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds.clone().any(|kind| kind["kind"].is_null()) {
                open.push(text(&dependency["pkg"]));
            }
        }
    }
    let mut crates: Vec<Crate> = found
        .into_iter()
        .map(|id| by_id[id])
        .filter(|one| !one["source"].is_null())
        .map(|one| Crate {
            name: format!("{} {}", text(&one["name"]), text(&one["version"])),
            license: text(&one["license"]).replace('/', " OR "),
            folder: Path::new(text(&one["manifest_path"])).parent().unwrap_or(Path::new("")).into(),
        })
        .collect();
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the licences that deny.toml allows. They may be distributed together with the project's
/// own.
fn allowed_licenses() -> Result<Vec<String>> {
    let settings = fs::read_to_string(root().join("deny.toml")).context("no deny.toml")?;
    let (_, list) = settings.split_once("\nallow = [").context("deny.toml has no licences")?;
    let (list, _) = list.split_once(']').context("the licences of deny.toml have no end")?;
    Ok(list.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Returns true if one licence of each choice in `expression` is allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], "");
    plain
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|name| allowed.iter().any(|it| it == name.trim())))
}

/// Returns the texts of the licences and notices in the folder of a crate. Where MIT is one of
/// several to choose from, that is its text.
fn license_texts(folder: &Path) -> Result<Vec<String>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let is_license = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_license && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mit = files.iter().find(|path| path.to_string_lossy().to_uppercase().contains("MIT"));
    if let Some(mit) = mit.cloned() {
        let is_notice = |path: &Path| path.to_string_lossy().to_uppercase().contains("NOTICE");
        files.retain(|path| *path == mit || is_notice(path));
    }
    let read =
        |path: &PathBuf| Ok(String::from_utf8_lossy(&fs::read(path)?).trim().replace('\r', ""));
    files.iter().map(read).collect()
}
