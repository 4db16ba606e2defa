//! `docs/recipes.md`: its commands print what it shows.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{TempDir, tempdir};

/// With this variable, the test writes the page instead of comparing it.
const UPDATE: &str = "STREAM_PROCESSOR_UPDATE";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Returns a copy of the folder of the recipes, since they write files into it, and its path.
fn copy_of_the_folder() -> (TempDir, PathBuf) {
    let copy = tempdir().unwrap();
    let folder = copy.path().join("docs/recipes");
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(root().join("docs/recipes")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    std::os::unix::fs::symlink(root().join("tests"), copy.path().join("tests")).unwrap();
    (copy, folder)
}

/// Returns the standard output of a shell command in `folder`.
fn output_of(command: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_stream-processor"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let mut shell = Command::new("bash");
    shell.args(["-c", command]).current_dir(folder).env("PATH", path).env("TZ", "UTC");
    String::from_utf8(shell.output().unwrap().stdout).unwrap()
}

/// Returns the page with the output of each command that starts with `$ `.
fn with_outputs(page: &str, folder: &Path) -> String {
    let mut written = String::new();
    // True while the lines are the output of a command.
    let mut is_output = false;
    for line in page.lines() {
        let command = line.strip_prefix("$ ");
        is_output = command.is_some() || (is_output && line != "```");
        if command.is_some() || !is_output {
            writeln!(written, "{line}").unwrap();
        }
        if let Some(command) = command {
            written.push_str(&output_of(command, folder));
        }
    }
    written
}

#[test]
fn commands_print_what_the_page_shows() {
    let path = root().join("docs/recipes.md");
    let page = fs::read_to_string(&path).unwrap();
    let (_copy, folder) = copy_of_the_folder();
    let found = with_outputs(&page, &folder);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path, found).unwrap();
        return;
    }
    for (line, (found, shown)) in found.lines().zip(page.lines()).enumerate() {
        assert_eq!(found, shown, "docs/recipes.md:{}", line + 1);
    }
    assert_eq!(found.lines().count(), page.lines().count());
}

#[test]
fn each_recipe_prints_something() {
    let page = fs::read_to_string(root().join("docs/recipes.md")).unwrap();
    let recipes: Vec<&str> = page.split("\n## ").skip(1).collect();
    assert!(recipes.len() >= 20, "{}", recipes.len());
    for recipe in recipes {
        let name = recipe.lines().next().unwrap();
        let mut lines = recipe.lines().skip_while(|line| !line.starts_with("$ "));
        let printed = lines.find(|line| !line.starts_with("$ "));
        assert!(printed.is_some_and(|line| line != "```"), "{name}");
    }
}
