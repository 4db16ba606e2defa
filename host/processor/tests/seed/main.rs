//! The snippets of SEED.md as printed, completed outside of their lines, and what they do.

#![allow(clippy::let_and_return, reason = "the printed lines are kept as they are")]
#![allow(unreachable_pub, reason = "a program has no public interface")]

#[rustfmt::skip]
mod anomaly;
mod common;
#[rustfmt::skip]
mod composite;
#[rustfmt::skip]
mod configuration;
#[cfg(feature = "redis")]
#[rustfmt::skip]
mod deduplication;
#[cfg(all(feature = "redis", feature = "sled"))]
#[rustfmt::skip]
mod deduplication_config;
#[rustfmt::skip]
mod monitoring;
#[rustfmt::skip]
mod moving_average;
#[rustfmt::skip]
mod normalization;
#[rustfmt::skip]
mod normalization_config;
#[rustfmt::skip]
mod online_variance;
#[rustfmt::skip]
mod quick_start;
#[rustfmt::skip]
mod session;
#[rustfmt::skip]
mod simple;
#[rustfmt::skip]
mod sliding;
#[rustfmt::skip]
mod sliding_statistics;
#[rustfmt::skip]
mod tumbling;

const SEED: &str = include_str!("SEED.md");

/// The headings of the sections with snippets, each with the file of its snippet.
const SNIPPETS: [(&str, &str); 16] = [
    ("## Quick Start", include_str!("quick_start.rs")),
    ("### Tumbling Windows", include_str!("tumbling.rs")),
    ("### Sliding Windows", include_str!("sliding.rs")),
    ("### Session Windows", include_str!("session.rs")),
    ("### Composite Aggregator", include_str!("composite.rs")),
    ("### Simple Aggregators", include_str!("simple.rs")),
    ("## Configuration", include_str!("configuration.rs")),
    ("### Online Variance", include_str!("online_variance.rs")),
    ("### Exponential Moving Average", include_str!("moving_average.rs")),
    ("### Sliding Window Statistics", include_str!("sliding_statistics.rs")),
    ("### Anomaly Detection", include_str!("anomaly.rs")),
    ("## Event Deduplication", include_str!("deduplication.rs")),
    ("## Event Deduplication ### Configuration Options", include_str!("deduplication_config.rs")),
    ("## Time-Series Normalization", include_str!("normalization.rs")),
    (
        "## Time-Series Normalization ### Configuration Options",
        include_str!("normalization_config.rs"),
    ),
    ("## Monitoring", include_str!("monitoring.rs")),
];

/// Returns the snippets of SEED.md: their headings (of the section, then of the part) and lines.
fn snippets() -> Vec<(String, String, Vec<&'static str>)> {
    let (mut section, mut part, mut found) = (String::new(), String::new(), Vec::new());
    let mut lines = SEED.lines();
    while let Some(line) = lines.next() {
        match line {
            _ if line.starts_with("## ") => (section, part) = (line.to_owned(), String::new()),
            _ if line.starts_with("### ") => line.clone_into(&mut part),
            "```rust" => {
                let snippet = lines.by_ref().take_while(|line| *line != "```");
                found.push((section.clone(), part.clone(), snippet.map(str::trim).collect()));
            }
            _ => {}
        }
    }
    found
}

/// Returns the file of a snippet.
fn file_of(section: &str, part: &str) -> Option<&'static str> {
    let both = format!("{section} {part}");
    let names = [both.as_str(), if part.is_empty() { section } else { part }];
    let named = |name: &str| SNIPPETS.iter().find(|(heading, _)| *heading == name);
    names.into_iter().find_map(named).map(|(_, file)| *file)
}

#[test]
fn each_snippet_stands_in_its_file_line_by_line() {
    let mut checked = 0;
    for (section, part, snippet) in snippets() {
        let file = file_of(&section, &part);
        let file = file.unwrap_or_else(|| panic!("no file for {section} {part}"));
        let lines: Vec<&str> = file.lines().map(str::trim).collect();
        let stands = lines.windows(snippet.len()).any(|window| window == snippet);
        assert!(stands, "the snippet of {section} {part} is not in its file as printed");
        checked += 1;
    }
    assert_eq!(checked, SNIPPETS.len());
}
