//! The examples of tests/examples, natively: the engine gives their rows however the text is cut.
#![allow(
    clippy::disallowed_methods,
    reason = "the engine has no I/O, its tests read their examples"
)]

use std::path::Path;

use stream_processor_core::text::{Feed, Format, write_rows};
use stream_processor_core::{Engine, Options, PipelineSpec, Progress};

/// The rows of a pipeline for `events`, pushed in pieces of `piece` bytes.
fn run(pipeline: &str, events: &str, piece: usize) -> String {
    let spec = PipelineSpec::from_json(pipeline).unwrap();
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut feed = Feed::new(&spec, engine.plan(), 0);
    let schema = engine.plan().output.clone();
    for piece in events.as_bytes().chunks(piece) {
        assert_eq!(feed.push(&mut engine, piece).unwrap(), Progress::Done);
    }
    assert_eq!(feed.end(&mut engine).unwrap(), Progress::Done);
    assert_eq!(engine.finish().unwrap(), Progress::Done);
    let mut out = feed.take_passed().0;
    while let Some(rows) = engine.poll(100) {
        write_rows(Format::Ndjson, &schema, &rows, &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn examples_give_their_rows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/examples");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap() == "README.md" {
            continue;
        }
        let markdown = std::fs::read_to_string(&path).unwrap();
        let blocks = markdown.split("```").skip(1).step_by(2);
        let blocks: Vec<&str> = blocks.map(|block| block.split_once('\n').unwrap().1).collect();
        let [pipeline, events, rows] = blocks[..] else { panic!("{}", path.display()) };
        for piece in [1, 7, usize::MAX] {
            assert_eq!(run(pipeline, events, piece), rows, "{}", path.display());
        }
        count += 1;
    }
    assert!(count >= 30, "the examples are there");
}
