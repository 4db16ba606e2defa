//! Shared by the tests of the reader: reads text in pieces and returns the result in a simple form.

use stream_processor_core::text::{EventBuffer, Feed, Format, Reader, ReaderOptions, write_rows};
use stream_processor_core::{
    Engine, InputColumn, InputKind, InputSchema, Options, PipelineSpec, Progress,
};

/// One event: line, time, encoded key, columns (as bits), raw text.
pub type Event = (u64, i64, Vec<u8>, Vec<u64>, Vec<u8>);

/// The result of a whole input.
#[derive(Debug, PartialEq, Default)]
pub struct Outcome {
    pub events: Vec<Event>,
    /// Line, reason, and raw text with all its parts concatenated.
    pub rejections: Vec<(u64, &'static str, Vec<u8>)>,
}

/// Returns a schema with `ts`, the keys `keys`, the required field `v` and the optional field `w`.
pub fn schema(keys: &[&str]) -> InputSchema {
    let column =
        |name: &str, required| InputColumn { name: name.into(), kind: InputKind::F64, required };
    InputSchema {
        timestamp: "ts".into(),
        key: keys.iter().map(|&name| name.into()).collect(),
        partition: None,
        columns: vec![column("v", true), column("w", false)],
        ..InputSchema::default()
    }
}

/// Reads `input`. Whenever the reader takes nothing, `pieces` more bytes become visible.
pub fn read(
    input: &[u8],
    schema: &InputSchema,
    options: ReaderOptions,
    max_events: usize,
    pieces: impl IntoIterator<Item = usize>,
) -> Option<Outcome> {
    let mut reader = Reader::new(schema, options);
    let mut pieces = pieces.into_iter();
    let mut outcome = Outcome::default();
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut events = EventBuffer::new();
    let mut in_long_line = false;
    let is_utf8 = std::str::from_utf8(input).is_ok();
    let (mut at, mut sight) = (0, 0);
    loop {
        let bytes = &input[at..sight];
        let taken = reader.read(bytes, sight == input.len(), max_events, &mut events).ok()?;
        assert!(taken <= bytes.len());
        assert!(events.len() <= max_events && events.rejections().len() <= max_events);
        if events.reset() {
            keys.clear();
        }
        let new = events.new_keys();
        for (&id, bounds) in new.ids.iter().zip(new.offsets.windows(2)) {
            assert_eq!(id as usize, keys.len(), "ids are dense");
            keys.push(new.bytes[bounds[0] as usize..bounds[1] as usize].to_vec());
        }
        assert!(keys.len() <= options.max_dictionary_keys.max(1));
        for row in 0..events.len() {
            let key = events.keys().get(row).map_or(Vec::new(), |&id| keys[id as usize].clone());
            let columns = events.columns().iter().map(|column| column[row].to_bits()).collect();
            let text = events.spans()[row].of(bytes).to_vec();
            outcome.events.push((
                events.lines()[row],
                events.timestamps()[row],
                key,
                columns,
                text,
            ));
        }
        for rejection in events.rejections() {
            assert_eq!(rejection.continuation, in_long_line, "parts follow each other");
            in_long_line = rejection.continues;
            assert!(!rejection.detail(schema, bytes).to_string().is_empty());
            let text = rejection.span.of(bytes);
            assert!(!is_utf8 || std::str::from_utf8(text).is_ok(), "cut within a character");
            if rejection.continuation {
                let last = outcome.rejections.last_mut().unwrap();
                assert_eq!((last.0, last.1), (rejection.line, rejection.reason.name()));
                last.2.extend_from_slice(text);
            } else {
                outcome.rejections.push((rejection.line, rejection.reason.name(), text.to_vec()));
            }
        }
        at += taken;
        if taken == 0 && events.is_empty() && events.rejections().is_empty() {
            if sight == input.len() {
                assert!(!in_long_line, "the last part says so");
                assert_eq!(at, input.len());
                return Some(outcome);
            }
            sight = input.len().min(sight + pieces.next().unwrap_or(usize::MAX / 2).max(1));
        }
    }
}

/// Reads all of `input` at once.
pub fn read_whole(input: &[u8], schema: &InputSchema, options: ReaderOptions) -> Option<Outcome> {
    read(input, schema, options, usize::MAX, [])
}

/// Returns the rows of `text`, fed in pieces. If `restore`, the engine is restored from a snapshot
/// again and again.
pub fn rows(spec: &PipelineSpec, text: &str, piece: usize, restore: bool) -> String {
    let mut engine = Engine::open(spec, Options::default()).unwrap();
    let mut feed = Feed::new(spec, engine.plan(), 0);
    let mut out = Vec::new();
    let mut poll = |engine: &mut Engine| {
        let schema = engine.plan().output.clone();
        while let Some(rows) = engine.poll(3) {
            write_rows(Format::Ndjson, &schema, &rows, &mut out);
        }
    };
    for lines in text.split_inclusive('\n').collect::<Vec<_>>().chunks(piece) {
        let mut progress = feed.push(&mut engine, lines.concat().as_bytes()).unwrap();
        while progress == Progress::Full {
            poll(&mut engine);
            progress = feed.resume(&mut engine).unwrap();
        }
        if restore {
            let snapshot = engine.snapshot().unwrap();
            engine = Engine::restore(spec, Options::default(), &snapshot).unwrap();
            assert_eq!(engine.snapshot().unwrap(), snapshot, "equal state, equal bytes");
            feed = Feed::new(spec, engine.plan(), 0);
        }
    }
    while engine.finish().unwrap() == Progress::Full {
        poll(&mut engine);
    }
    poll(&mut engine);
    String::from_utf8(out).unwrap()
}
