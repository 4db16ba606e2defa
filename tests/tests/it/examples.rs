//! The examples of `tests/examples` give their rows through the program, and the documents show
//! exactly these examples.

use std::io::Write;
use std::process::{Command, Stdio};

use stream_processor_tests::{Example, examples, program, root};

fn run(example: &Example, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("pipeline.json");
    std::fs::write(&pipeline, &example.pipeline).unwrap();
    let mut child = Command::new(program())
        .arg("run")
        .arg(&pipeline)
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(example.events.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {messages}", example.name);
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the documents that show examples.
fn documents() -> [String; 2] {
    ["docs/semantics.md", "docs/pipeline.md"]
        .map(|path| std::fs::read_to_string(root().join(path)).unwrap())
}

#[test]
fn examples_give_their_rows() {
    for example in examples() {
        for flags in [&[][..], &["--batch-events", "1"], &["--shards", "3"]] {
            assert_eq!(run(&example, flags), example.rows, "{} with {flags:?}", example.name);
        }
    }
}

#[test]
fn documents_show_each_example_once_and_verbatim() {
    for Example { name, markdown, .. } in examples() {
        let text = format!("\n{}\n", markdown.trim_end());
        let shown: usize = documents().iter().map(|document| document.matches(&text).count()).sum();
        assert_eq!(
            shown, 1,
            "docs/semantics.md or docs/pipeline.md must show the text of tests/examples/{name} once"
        );
    }
}

#[test]
fn documents_show_tested_examples_only() {
    let shown: usize =
        documents().iter().map(|document| document.matches("\ngives\n\n```").count()).sum();
    assert_eq!(shown, examples().len(), "an example of the documents is no file of tests/examples");
}
