//! `cargo xtask test`: runs all checks and tests, and counts them over all languages.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::run::{cargo, root, run_quietly, target, text};
use crate::setup::{self, WASM_TARGET};
use crate::size::Sizes;
use crate::{build, module, notices, npm};

/// The variable that holds the seed of property tests.
const PROPTEST_SEED: &str = "PROPTEST_RNG_SEED";

/// A part of the test run: its name and the function that runs it.
struct TestPart {
    name: &'static str,
    run: fn() -> Result<Outcome>,
}

const PARTS: &[TestPart] = &[
    TestPart { name: "format", run: format },
    TestPart { name: "core", run: core },
    TestPart { name: "processor", run: processor },
    TestPart { name: "core-imports", run: core_imports },
    TestPart { name: "bindings", run: bindings },
    TestPart { name: "build", run: whole_build },
    TestPart { name: "lint", run: lint },
    TestPart { name: "host", run: host },
    TestPart { name: "types", run: types },
    TestPart { name: "node", run: node },
    TestPart { name: "workerd", run: workerd },
    TestPart { name: "browser", run: browser },
    TestPart { name: "packaging", run: packaging },
    TestPart { name: "page", run: page },
];

/// Parts that run only if a filter is their whole name, because they install large tools.
const PARTS_ON_REQUEST: &[TestPart] = &[
    TestPart { name: "matrix", run: matrix },
    TestPart { name: "wasm-bindgen", run: wasm_bindgen },
];

/// The result of a part.
#[derive(Default)]
struct Outcome {
    passed: u64,
    failed: u64,
    /// The output of the commands, which is printed if something failed.
    output: String,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.output.push_str(&other.output);
    }
}

/// Runs the parts whose names contain one of `filters`, or all of [`PARTS`] if there are no filters.
pub(crate) fn test(filters: &[String]) -> Result<ExitCode> {
    let is_wanted = |part: &&TestPart| {
        filters.is_empty() || filters.iter().any(|word| part.name.contains(word))
    };
    let is_named = |part: &&TestPart| filters.iter().any(|word| part.name == word);
    let on_request = PARTS_ON_REQUEST.iter().filter(is_named);
    let parts: Vec<&TestPart> = PARTS.iter().filter(is_wanted).chain(on_request).collect();
    if parts.is_empty() {
        let all = PARTS.iter().chain(PARTS_ON_REQUEST);
        let names = all.map(|part| part.name).collect::<Vec<_>>().join(", ");
        anyhow::bail!("no part is called {}; there are: {names}", filters.join(" or "));
    }
    let (mut passed, mut failed) = (0, 0);
    for part in parts {
        let start = Instant::now();
        let outcome = (part.run)().unwrap_or_else(|error| could_not_run(&format!("{error:#}")));
        report(part.name, &outcome, start.elapsed());
        passed += outcome.passed;
        failed += outcome.failed;
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the result of a part.
fn report(name: &str, outcome: &Outcome, took: Duration) {
    let Outcome { passed, failed, output } = outcome;
    if *failed > 0 {
        println!("{}", output.trim_end());
    }
    let verdict = if *failed > 0 { format!("{failed} FAILED") } else { "ok".to_string() };
    println!("  {name:<13} {passed:>5} passed  {:>6.1} s  {verdict}", took.as_secs_f64());
}

/// Returns the result of one check.
fn outcome_of(checked: Result<()>) -> Outcome {
    match checked {
        Ok(()) => Outcome { passed: 1, ..Outcome::default() },
        Err(error) => Outcome { failed: 1, output: format!("{error:#}\n"), ..Outcome::default() },
    }
}

/// Returns the result of a part that could not run.
fn could_not_run(why: &str) -> Outcome {
    Outcome { passed: 0, failed: 1, output: format!("could not run: {why}\n") }
}

/// Checks the format of Rust sources.
fn format() -> Result<Outcome> {
    setup::rust_components()?;
    check(&mut cargo(&["fmt", "--all", "--check"]))
}

/// Tests the engine alone, in the dev profile.
fn core() -> Result<Outcome> {
    let package = ["--package", "stream-processor-core"];
    let mut outcome = count(cargo(&["test", "--quiet", "--no-fail-fast"]).args(package))?;
    outcome.add(check(cargo(&["check", "--quiet", "--no-default-features"]).args(package))?);
    // Tests that take too long without optimization.
    let mut long = cargo(&["test", "--quiet", "--release", "--test", "memory_limits"]);
    outcome.add(count(long.args(package).args(["--", "--ignored"]))?);
    Ok(outcome)
}

/// Tests the crate `processor`, without its features too, and builds the documentation of both
/// libraries. Its tests start Redis and PostgreSQL servers, and run the examples. They use the
/// release profile, in which the build and clippy need the clients and stores too.
fn processor() -> Result<Outcome> {
    setup::servers()?;
    let package = ["--package", "processor"];
    let mut test = cargo(&["test", "--quiet", "--release", "--no-fail-fast", "--all-features"]);
    let mut outcome = count(test.args(package).env("STREAM_PROCESSOR_SERVERS", "required"))?;
    let mut bare = cargo(&["check", "--quiet", "--release", "--no-default-features"]);
    outcome.add(check(bare.args(package))?);
    let mut example = cargo(&["run", "--quiet", "--release", "--example", "stream_processor_demo"]);
    outcome.add(check(&mut example)?);
    let mut doc = cargo(&["doc", "--quiet", "--release", "--no-deps", "--all-features"]);
    doc.args(["--package", "stream-processor-core"]).args(package);
    outcome.add(check(doc.env("RUSTDOCFLAGS", "-D warnings"))?);
    Ok(outcome)
}

/// Checks that the engine alone, compiled to wasm, imports nothing: no clock, no randomness, no
/// files.
fn core_imports() -> Result<Outcome> {
    setup::wasm_target()?;
    let package = ["--package", "stream-processor-core", "--crate-type", "cdylib"];
    let mut command = cargo(&["rustc", "--quiet", "--lib", "--target", WASM_TARGET]);
    run_quietly(command.args(package))?;
    let path = target().join(WASM_TARGET).join("debug/stream_processor_core.wasm");
    let wasm = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = module::imports(&wasm)?;
    if found.is_empty() {
        return Ok(Outcome { passed: 1, ..Outcome::default() });
    }
    let output = format!("the engine alone imports {}\n", found.join(", "));
    Ok(Outcome { passed: 0, failed: 1, output })
}

/// Tests the bindings as a native library, and this build tool.
fn bindings() -> Result<Outcome> {
    let test = ["test", "--quiet", "--no-fail-fast", "--package"];
    let mut outcome = count(cargo(&test).arg("stream-processor-wasm"))?;
    outcome.add(count(cargo(&test).args(["xtask", "--profile", "xtask"]))?);
    Ok(outcome)
}

/// Builds everything. Checks the sizes of what a web page loads, and that the module contains no
/// path of this machine.
fn whole_build() -> Result<Outcome> {
    build::build()?;
    let mut outcome = Outcome { passed: 1, ..Outcome::default() };
    outcome.add(outcome_of(Sizes::measure()?.check()));
    outcome.add(outcome_of(module::check_paths()));
    Ok(outcome)
}

/// Checks the third-party notices and the licences of dependencies, and runs clippy. It needs the
/// build, because the host embeds the module.
fn lint() -> Result<Outcome> {
    setup::rust_components()?;
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets"];
    let mut outcome = check(cargo(&clippy).args(["--release", "--", "-D", "warnings"]))?;
    // The classes of the bindings exist only for this target.
    let wasm = ["clippy", "--quiet", "--package", "stream-processor-wasm", "--target", WASM_TARGET];
    outcome.add(check(cargo(&wasm).args(["--", "-D", "warnings"]))?);
    outcome.add(outcome_of(notices::check()));
    Ok(outcome)
}

/// Tests everything that uses wasmtime, in the release profile, in which the build compiles it. Its
/// tests start Redis and PostgreSQL servers.
fn host() -> Result<Outcome> {
    setup::shell_tools()?;
    setup::servers()?;
    build::build()?;
    let mut command = cargo(&["test", "--quiet", "--no-fail-fast", "--release", "--workspace"]);
    command.env("STREAM_PROCESSOR_SERVERS", "required");
    for package in ["stream-processor-core", "stream-processor-wasm", "processor", "xtask"] {
        command.args(["--exclude", package]);
    }
    count(&mut command)
}

/// Checks programs that use the package against its types.
fn types() -> Result<Outcome> {
    let project = consumer()?;
    let mut outcome = Outcome::default();
    for name in ["web", "node", "node16", "commonjs", "bundler"] {
        let config = project.join(format!("types/tsconfig.{name}.json"));
        outcome.add(check(npm::tool("tsc").arg("--project").arg(config))?);
    }
    Ok(outcome)
}

/// Tests the package in Node.js.
fn node() -> Result<Outcome> {
    let project = consumer()?;
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap", "node/"]).current_dir(project);
    count(command.env("VECTORS", vectors()).env("MODULE", module::wasm()))
}

/// Tests the package in workerd, the runtime of Cloudflare Workers, and the edge worker of the
/// examples in workerd with the storage of Durable Objects.
fn workerd() -> Result<Outcome> {
    let project = consumer()?;
    let mut command = Command::new("node");
    let script = npm::sources().join("tests/workerd/run.mjs");
    let mut outcome = count(command.arg(script).arg(&project))?;
    let edge = npm::sources().join("tests/edge");
    setup::npm_packages(&edge)?;
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap"]).current_dir(edge);
    outcome.add(count(command.env("PROJECT", project))?);
    Ok(outcome)
}

/// Tests the module's own functions in Node.js and in Chromium.
fn wasm_bindgen() -> Result<Outcome> {
    setup::wasm_target()?;
    let runner = setup::wasm_bindgen_test_runner()?;
    setup::chromium()?;
    let driver = setup::chromium_driver()?;
    // Without --quiet, which cargo passes on and the runner does not know.
    let package = ["test", "--package", "stream-processor-wasm", "--test", "it"];
    let tests = || {
        let mut command = cargo(&package);
        command.args(["--target", WASM_TARGET]);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner);
        command
    };
    let mut outcome = count(&mut tests())?;
    outcome.add(count(tests().env("WASM_BINDGEN_USE_BROWSER", "1").env("CHROMEDRIVER", driver))?);
    Ok(outcome)
}

/// Tests the package in Chromium.
fn browser() -> Result<Outcome> {
    let chromium = setup::chromium()?;
    let project = consumer()?;
    let mut command = Command::new("node");
    command.arg(npm::sources().join("tests/browser/run.mjs")).arg(project);
    count(command.env("CHROMIUM", chromium).env("VECTORS", vectors()))
}

/// Builds small programs with bundlers and runs them, in Node.js and in Chromium.
fn packaging() -> Result<Outcome> {
    packaged_programs(&[], &[])
}

/// Does the same with all bundlers, frameworks, test runners and runtimes.
fn matrix() -> Result<Outcome> {
    packaged_programs(&["wide", "next15", "next16"], &["--all"])
}

/// Runs the cases of `tests/matrix`, which need the npm packages of these folders in it.
fn packaged_programs(folders: &[&str], options: &[&str]) -> Result<Outcome> {
    let chromium = setup::chromium()?;
    let project = consumer()?;
    let matrix = npm::sources().join("tests/matrix");
    setup::npm_packages(&matrix)?;
    for folder in folders {
        setup::npm_packages(&matrix.join(folder))?;
    }
    let mut command = Command::new("node");
    command.arg(matrix.join("run.mjs")).arg(project).arg(npm::tarball()).args(options);
    count(command.env("CHROMIUM", chromium))
}

/// Builds the page of `www/` and tests it in Chromium.
fn page() -> Result<Outcome> {
    let chromium = setup::chromium()?;
    module::build()?;
    npm::build()?;
    let page = root().join("www");
    setup::npm_packages(&page)?;
    let mut command = Command::new("npm");
    count(command.args(["test", "--silent"]).current_dir(page).env("CHROMIUM", chromium))
}

/// Returns the folder of the conformance vectors.
fn vectors() -> PathBuf {
    root().join("tests/vectors")
}

/// Creates a project with the package installed and the tests copied into it. Returns its folder.
fn consumer() -> Result<PathBuf> {
    module::build()?;
    npm::build()?;
    let files = [
        "tests/node",
        "tests/workerd",
        "tests/browser",
        "tests/types",
        "tests/vectors.mjs",
        "examples/edge-worker",
    ];
    npm::install(&target().join("npm/consumer"), &files.map(|name| npm::sources().join(name)))
}

/// Runs a command that counts as one test: it succeeds or fails.
fn check(command: &mut Command) -> Result<Outcome> {
    let (success, output) = captured(command)?;
    Ok(Outcome { passed: u64::from(success), failed: u64::from(!success), output })
}

/// Runs a command that reports how many tests passed and failed. A failure without a failed test
/// counts as one failed test.
///
/// Property tests repeat the same cases each time, so that a run can be repeated. `cargo test`
/// and `cargo xtask campaign` choose new ones.
fn count(command: &mut Command) -> Result<Outcome> {
    if env::var_os(PROPTEST_SEED).is_none() {
        command.env(PROPTEST_SEED, "1");
    }
    let (success, output) = captured(command)?;
    let (passed, failed) = count_summaries(&output);
    let failed = if success { failed } else { failed.max(1) };
    Ok(Outcome { passed, failed, output })
}

/// Runs a command. Returns whether it succeeded, and its output.
fn captured(command: &mut Command) -> Result<(bool, String)> {
    let shown = text(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {shown}"))?;
    let printed = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    Ok((output.status.success(), format!("$ {shown}\n{}", printed.concat())))
}

/// Returns the passed and failed tests in the summaries of `cargo test` and of Node.js's test
/// runner.
fn count_summaries(output: &str) -> (u64, u64) {
    let (mut passed, mut failed) = (0, 0);
    for line in output.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number =
            |index: usize| words.get(index).and_then(|word| word.parse().ok()).unwrap_or(0);
        match words.as_slice() {
            ["test", "result:", _, _, "passed;", _, "failed;", ..] => {
                passed += number(3);
                failed += number(5);
            }
            ["#", "pass", _] => passed += number(2),
            ["#", "fail" | "cancelled", _] => failed += number(2),
            _ => {}
        }
    }
    (passed, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_summed() {
        let cargo =
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        let node = "# tests 9\n# pass 7\n# fail 2\n# cancelled 1\n# skipped 0";
        assert_eq!(count_summaries(&format!("{cargo}\n{node}\n{cargo}")), (13, 5));
    }

    #[test]
    fn names_of_parts_are_unique() {
        let mut names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
