//! Snapshots written by earlier versions still load, and their streams continue.

use serde_json::json;
use stream_processor_core::Engine;

use crate::common::{Event, KeysAs, Pipeline, Run, tumbling};

/// Written by version 0.1.0: sections of version 1, open windows, an interrupted firing, waiting
/// rows and dropped events.
const VERSION_1: &[u8] = include_bytes!("v1.bin");

/// The same state in the same format, written since watermarks rise continuously between stages.
/// Only the watermarks of the waiting rows differ.
const VERSION_1_CONTINUOUS: &[u8] = include_bytes!("v1_continuous.bin");

/// Sliding windows with early rows and allowed lateness, some of whose keys have changed since
/// their last row. It says so for each window; later versions say when each slice changed.
const VERSION_1_EARLY: &[u8] = include_bytes!("v1_early.bin");

/// Returns a run with the state of the stored snapshots.
fn run() -> Run {
    let mut run = Run::new(tumbling("1s", "0s", "500ms", 2));
    let events = (0..40).map(|at: i64| Event {
        ts: at * 130_000 - (at % 7) * 400_000,
        key: u32::try_from(at % 5).unwrap(),
        value: 0.1 * at as f64,
    });
    run.push(&events.collect::<Vec<_>>(), KeysAs::Ids);
    run.engine.advance_watermark(3_900_000).unwrap();
    run
}

#[test]
fn snapshot_of_version_1_loads_and_its_stream_continues() {
    let mut old = run();
    old.engine = Engine::restore(&old.spec, old.engine.options(), VERSION_1).unwrap();
    let (rows, stats) = old.finish();
    assert_eq!((rows, stats), run().finish());
}

#[test]
fn snapshot_has_the_bytes_of_the_stored_version_1() {
    let today = run().engine.snapshot().unwrap();
    assert_eq!(today, VERSION_1_CONTINUOUS, "a new format needs a new version number");
    assert_eq!(today.len(), VERSION_1.len());
}

#[test]
fn snapshot_with_early_rows_loads_and_its_stream_continues() {
    let window = r#""window": "sliding", "size": "10s", "slide": "2s", "early": "3s", "allowed_lateness": "4s""#;
    let pipeline = Pipeline::keyed().bound("2s").window(window, json!(["count", "sum"]));
    let event = |at: u32| Event {
        ts: 1_000 * (i64::from(at) * 700 - i64::from(at % 4) * 900),
        key: if at < 25 || !at.is_multiple_of(3) { at % 3 } else { 1 },
        value: f64::from(at),
    };
    let begin = || {
        let mut run = Run::new(pipeline.spec());
        run.push(&(0..40).map(event).collect::<Vec<_>>(), KeysAs::Encoded);
        while run.poll(100) > 0 {}
        run
    };
    let end = |mut run: Run| {
        run.push(&(40..80).map(event).collect::<Vec<_>>(), KeysAs::Encoded);
        run.finish()
    };
    let mut old = begin();
    old.engine = Engine::restore(&old.spec, old.engine.options(), VERSION_1_EARLY).unwrap();
    assert_eq!(end(old), end(begin()));
}
