//! The links of all Markdown files lead to files and headings that exist.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use stream_processor_tests::root;

/// Adds the Markdown files below `folder`, without what tools have written.
fn markdown_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules", "dist"].contains(&&*name) {
                markdown_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
}

/// Returns the text without blocks of code.
fn without_blocks(markdown: &str) -> String {
    let blocks = markdown.split("\n```").step_by(2);
    blocks.map(|text| text.split_once('\n').map_or(text, |(_, rest)| rest)).collect()
}

/// Returns the anchors of all headings, as GitHub derives them from their texts.
fn anchors(markdown: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = Vec::new();
    for line in format!("\n{}", without_blocks(&format!("\n{markdown}"))).lines() {
        let text = line.trim_start_matches('#');
        if text.len() == line.len() || !text.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let text: String = text.trim().to_lowercase().chars().filter(kept).collect();
        let anchor = text.replace(' ', "-");
        let earlier = seen.entry(anchor.clone()).or_default();
        anchors.push(if *earlier == 0 { anchor } else { format!("{anchor}-{earlier}") });
        *earlier += 1;
    }
    anchors
}

/// Returns the targets of all links outside of code.
fn links(markdown: &str) -> Vec<String> {
    let text = without_blocks(&format!("\n{markdown}"));
    let targets = text.split("](").skip(1);
    targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned())).collect()
}

/// Returns the file whose place decides where the relative links of `file` lead.
///
/// The README that the crate `processor` starts from is kept as a copy among its tests. Its links
/// are those of a file in the package's folder.
fn place_of_links(file: &Path) -> PathBuf {
    let package = root().join("host/processor");
    match file.strip_prefix(package.join("tests/seed")) {
        Ok(name) => package.join(name),
        Err(_) => file.to_owned(),
    }
}

/// Returns what is wrong with a link of a file at `file`.
fn problem(file: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => file.to_owned(),
        path => file.parent().unwrap_or(file).join(path),
    };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", file.display()));
    }
    let found = anchor.is_empty()
        || std::fs::read_to_string(&target)
            .is_ok_and(|text| anchors(&text).iter().any(|known| known == anchor));
    (!found).then(|| format!("{}: {link}: no such heading", file.display()))
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut files = Vec::new();
    markdown_files(&root(), &mut files);
    let mut count = 0;
    let mut problems = Vec::new();
    for file in files {
        let links = links(&std::fs::read_to_string(&file).unwrap());
        count += links.len();
        let file = place_of_links(&file);
        problems.extend(links.iter().filter_map(|link| problem(&file, link)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count >= 50, "only {count} links were found");
}

#[test]
fn anchors_follow_the_rules_of_github() {
    let markdown =
        "# A `code`: and more\n\ntext\n\n```sh\n# no heading\n```\n## Twice\n## Twice\n#no\n";
    assert_eq!(anchors(markdown), ["a-code-and-more", "twice", "twice-1"]);
    assert_eq!(anchors("### `type = \"key_by\"`\n"), ["type--key_by"]);
}

#[test]
fn broken_links_are_found() {
    let file = root().join("README.md");
    assert_eq!(problem(&file, "https://example.org/nothing"), None);
    assert_eq!(problem(&file, "docs/semantics.md#limits"), None);
    assert!(problem(&file, "docs/nothing.md").is_some());
    assert!(problem(&file, "docs/semantics.md#nothing").is_some());
    assert!(problem(&file, "#nothing").is_some());
}
