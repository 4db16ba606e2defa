//! The examples of `tests/examples`: a rule, a pipeline, events, and the rows that they give, as Markdown.

use std::path::{Path, PathBuf};

use crate::root;

/// One example, which docs/semantics.md or docs/pipeline.md shows.
pub struct Example {
    /// The name of its file.
    pub name: String,
    /// The whole file.
    pub markdown: String,
    /// The pipeline, as JSON.
    pub pipeline: String,
    /// The events, as text.
    pub events: String,
    /// The rows, as NDJSON.
    pub rows: String,
}

/// Returns all examples, ordered by the names of their files.
///
/// # Panics
/// If an example cannot be read, or is not of the form that tests/examples/README.md describes.
#[must_use]
pub fn examples() -> Vec<Example> {
    let folder = root().join("tests/examples");
    let files = std::fs::read_dir(&folder).expect("tests/examples").flatten();
    let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "README.md"));
    files.sort();
    assert!(files.len() >= 30, "{} has its examples", folder.display());
    files.iter().map(|path| example(path)).collect()
}

fn example(path: &Path) -> Example {
    let markdown = std::fs::read_to_string(path).expect("an example");
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let blocks: Vec<String> = markdown
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').map_or("", |(_, text)| text).to_owned())
        .collect();
    let [pipeline, events, rows] = blocks.try_into().unwrap_or_else(|blocks: Vec<_>| {
        panic!("{name} has {} blocks: expected pipeline, events and rows", blocks.len())
    });
    Example { name, markdown, pipeline, events, rows }
}
