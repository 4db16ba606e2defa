//! Interrupted and repeated runs over one input: marks of an interrupted run do not make its events
//! duplicates, marks of a complete run do.

use super::{events, folder_options, pipeline, run_over};
use crate::common::{run, text};

#[test]
fn events_of_an_interrupted_run_pass_again_and_those_of_a_complete_run_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_options("embedded", folder.path());
    let path = pipeline(folder.path(), &store, "");
    let input = folder.path().join("events.ndjson");
    std::fs::write(&input, events(100) + "no event\n" + &events(120)).unwrap();
    let rows = |further: &[&str]| {
        let ran = run(&[&["run", text(&path), "--input", text(&input)], further].concat(), "");
        (ran.code, ran.stdout.lines().count())
    };
    // The bad line ends the strict run, after the events before it were marked and written.
    assert_eq!(rows(&["--strict"]), (1, 100));
    assert_eq!(rows(&["--strict"]), (1, 100));
    assert_eq!(rows(&["--max-lost", "1"]), (0, 120));
    assert_eq!(rows(&["--max-lost", "1"]), (0, 0));
    // Another input with the same events: another delivery.
    let other = folder.path().join("other.ndjson");
    std::fs::copy(&input, &other).unwrap();
    let ran = run(&["run", text(&path), "--input", text(&other), "--max-lost", "1"], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
}

#[test]
fn another_input_than_the_interrupted_one_is_another_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_options("embedded", folder.path());
    let path = pipeline(folder.path(), &store, "");
    let input = folder.path().join("events.ndjson");
    std::fs::write(&input, events(10) + "no event\n").unwrap();
    let strict = ["run", text(&path), "--strict", "--input", text(&input)];
    assert_eq!(run(&strict, "").stdout.lines().count(), 10);
    assert_eq!(run_over(&path, &events(11), &[]).stdout.lines().count(), 1);
}

#[test]
fn standard_input_is_read_again_only_by_a_named_reader() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_options("embedded", folder.path());
    let input = events(10) + "no event\n";
    let unnamed = pipeline(folder.path(), &store, "");
    assert_eq!(run_over(&unnamed, &input, &["--strict"]).stdout.lines().count(), 10);
    assert_eq!(run_over(&unnamed, &input, &["--strict"]).stdout.lines().count(), 0);
    let store = format!("{store}, reader = \"node-1\", key_prefix = \"named:\"");
    let named = pipeline(folder.path(), &store, "");
    assert_eq!(run_over(&named, &input, &["--strict"]).stdout.lines().count(), 10);
    assert_eq!(run_over(&named, &input, &["--strict"]).stdout.lines().count(), 10);
    // Another reader is another process.
    let other = pipeline(folder.path(), &store.replace("node-1", "node-2"), "");
    assert_eq!(run_over(&other, &input, &["--strict"]).stdout.lines().count(), 0);
}
