//! The vectors of `tests/vectors` in the native engine: each gives its expected bytes.
#![allow(
    clippy::disallowed_methods,
    reason = "the engine has no I/O, its tests read their vectors"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use stream_processor_core::text::{
    EventBuffer, Feed, Format, NewKeys, Reader, ReaderOptions, write_rows,
};
use stream_processor_core::{
    Batch, Column, Engine, Identity, KeyColumn, KeyDefinitions, Options, PipelineSpec, Plan,
    Progress,
};

fn vectors() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    assert!(files.len() >= 10, "the vectors are there");
    files
        .into_iter()
        .map(|path| (path.clone(), serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()))
        .collect()
}

fn input(vector: &Value) -> Vec<u8> {
    match &vector["input"]["file"] {
        Value::String(file) => {
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(file))
                .unwrap()
        }
        _ => vector["input"]["text"].as_str().unwrap().into(),
    }
}

/// Reads, runs and writes in batches of `batch` events.
fn run(spec: &PipelineSpec, bytes: &[u8], batch: usize) -> (String, Engine, Vec<String>) {
    let mut engine = Engine::open(spec, Options::default()).unwrap();
    let plan = engine.plan().clone();
    let mut reader = Reader::new(&plan.input, ReaderOptions::of(spec));
    let mut events = EventBuffer::new();
    let (mut at, mut out, mut rejected) = (0, Vec::new(), Vec::new());
    loop {
        events.clear();
        let taken = reader.read(&bytes[at..], true, batch, &mut events).unwrap();
        at += taken;
        rejected
            .extend(events.rejections().iter().map(|rejection| rejection.reason.name().to_owned()));
        let keys = events.new_keys();
        if !keys.ids.is_empty() || events.reset() {
            engine
                .define_keys(&KeyDefinitions {
                    reset: events.reset(),
                    ids: keys.ids,
                    offsets: keys.offsets,
                    bytes: keys.bytes,
                })
                .unwrap();
        }
        let partitions = events.new_partitions();
        if !partitions.ids.is_empty() {
            let NewKeys { ids, offsets, bytes } = partitions;
            let definitions = KeyDefinitions { reset: events.reset(), ids, offsets, bytes };
            engine.define_partitions(&definitions, false).unwrap();
        }
        let columns: Vec<Column<'_>> =
            events.columns().iter().map(|values| Column::F64(values)).collect();
        let identities: Vec<&[Identity]> = events.identities().iter().map(Vec::as_slice).collect();
        let unkeyed = plan.input.key.is_empty();
        let pushed = engine
            .push(&Batch {
                timestamps: events.timestamps(),
                keys: if unkeyed { KeyColumn::Unkeyed } else { KeyColumn::Ids(events.keys()) },
                columns: &columns,
                identities: &identities,
                ordinals: Some(events.lines()),
                watermarks: None,
                partitions: plan.input.partition.as_ref().map(|_| events.partitions()),
            })
            .unwrap();
        assert!(!pushed.full);
        if taken == 0 {
            break;
        }
    }
    assert_eq!(at, bytes.len());
    assert_eq!(engine.finish().unwrap(), Progress::Done);
    while let Some(rows) = engine.poll(100) {
        write_rows(spec.sink.format, &plan.output, &rows, &mut out);
    }
    (String::from_utf8(out).unwrap(), engine, rejected)
}

/// Does the same as [`run`] through the feed, in pieces of `piece` bytes. Returns the rows, or the
/// text of the events that pass unchanged.
fn fed(spec: &PipelineSpec, bytes: &[u8], piece: usize) -> (String, Engine) {
    let mut engine = Engine::open(spec, Options::default()).unwrap();
    let mut feed = Feed::new(spec, engine.plan(), 0);
    let schema = engine.plan().output.clone();
    let mut out = Vec::new();
    let mut take = |engine: &mut Engine, feed: &mut Feed| {
        out.extend(feed.take_passed().0);
        while let Some(rows) = engine.poll(100) {
            assert!(!schema.passes_events, "events that pass are no rows");
            write_rows(Format::Ndjson, &schema, &rows, &mut out);
        }
    };
    for piece in bytes.chunks(piece) {
        assert_eq!(feed.push(&mut engine, piece).unwrap(), Progress::Done);
        take(&mut engine, &mut feed);
    }
    assert_eq!(feed.end(&mut engine).unwrap(), Progress::Done);
    assert_eq!(engine.finish().unwrap(), Progress::Done);
    take(&mut engine, &mut feed);
    (String::from_utf8(out).unwrap(), engine)
}

#[test]
fn feed_gives_the_bytes_of_every_vector() {
    let mut passing = 0;
    for (path, vector) in vectors() {
        let spec = PipelineSpec::from_value(vector["spec"].clone()).unwrap();
        let (bytes, expected) = (input(&vector), &vector["expected"]);
        for piece in [7, 1_000, usize::MAX] {
            let (rows, engine) = fed(&spec, &bytes, piece);
            let of = format!("{} in pieces of {piece}", path.display());
            assert_eq!(rows, expected["rows"].as_str().unwrap(), "{of}");
            assert_eq!(engine.stats().events, expected["events"], "{of}");
            passing += usize::from(engine.plan().output.passes_events);
        }
    }
    assert!(passing >= 5, "some vectors pass events as they came");
}

#[test]
fn native_engine_gives_the_bytes_of_every_vector() {
    for (path, vector) in vectors() {
        let spec = PipelineSpec::from_value(vector["spec"].clone()).unwrap();
        if Plan::new(&spec).unwrap().output.passes_events {
            // An event that passes unchanged is no row: only the feed keeps its text.
            continue;
        }
        let expected = &vector["expected"];
        for batch in [1, 7, 8192] {
            let (rows, engine, rejected) = run(&spec, &input(&vector), batch);
            assert_eq!(
                rows,
                expected["rows"].as_str().unwrap(),
                "{} in batches of {batch}",
                path.display()
            );
            let stats = engine.stats();
            assert_eq!(stats.events, expected["events"], "{}", path.display());
            assert_eq!(stats.late_dropped, expected["late_dropped"], "{}", path.display());
            let unassigned = expected["unassigned"].as_u64().unwrap_or(0);
            assert_eq!(stats.unassigned, unassigned, "{}", path.display());
            let rejections = expected["rejected"].as_object().unwrap();
            let counted = |reason: &str| rejected.iter().filter(|found| *found == reason).count();
            assert!(
                rejections.iter().all(|(reason, count)| counted(reason) == *count),
                "{rejected:?}"
            );
            assert_eq!(
                rejections.values().filter_map(Value::as_u64).sum::<u64>(),
                rejected.len() as u64
            );
        }
    }
}
