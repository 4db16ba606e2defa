//! The examples of `tests/examples` give their rows through the program, and are those that the documents show.

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

#[test]
fn examples_give_their_rows() {
    for example in examples() {
        for flags in [&[][..], &["--batch-events", "1"], &["--shards", "3"]] {
            assert_eq!(run(&example, flags), example.rows, "{} with {flags:?}", example.name);
        }
    }
}

#[test]
fn semantics_shows_every_example_as_it_is_tested() {
    let semantics = std::fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let mut shown = 0;
    for Example { name, markdown, .. } in examples() {
        let at = semantics.find(markdown.trim_end());
        let at =
            at.unwrap_or_else(|| panic!("docs/semantics.md does not show tests/examples/{name}"));
        assert!(at > shown, "docs/semantics.md shows tests/examples/{name} out of order");
        shown = at;
    }
}
