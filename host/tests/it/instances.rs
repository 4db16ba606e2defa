//! Instances of the module, used directly.

use stream_processor::Error;
use stream_processor::runtime::{
    DEFAULT_MEMORY_LIMIT_BYTES, Instance, NativeEngine, Runtime, Worker,
};
use stream_processor::spec::PipelineSpec;
use stream_processor_core::wire::BatchShape;
use stream_processor_core::{Batch, Column, KeyColumn, KeyDefinitions, Options, Progress, Rows};

const SPEC: &str = r#"{"source": {"key": "k", "value": "v"}, "stages":
    [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count", "sum"]}]}"#;

const KEYS: KeyDefinitions<'_> =
    KeyDefinitions { reset: false, ids: &[0, 1], offsets: &[0, 3, 6], bytes: b"\x04a\0\x04b\0" };

fn open(runtime: &Runtime) -> Instance {
    let spec = PipelineSpec::from_json(SPEC).unwrap();
    Instance::open(runtime, &spec, Options::default(), DEFAULT_MEMORY_LIMIT_BYTES).unwrap()
}

fn batch<'a>(timestamps: &'a [i64], ids: &'a [u32], columns: &'a [Column<'a>]) -> Batch<'a> {
    let keys = KeyColumn::Ids(ids);
    Batch {
        timestamps,
        keys,
        columns,
        identities: &[],
        ordinals: None,
        watermarks: None,
        partitions: None,
    }
}

/// Polls all rows of `worker`, as text.
fn rows(worker: &mut dyn Worker) -> String {
    let mut text = String::new();
    while let Some(rows) = worker.poll(1).unwrap() {
        // Rows of the module come without the schema.
        let rows = Rows { schema: None, ..rows };
        text += &format!("{rows:?}\n");
    }
    text
}

fn first_half(worker: &mut dyn Worker) {
    worker.define_keys(&KEYS).unwrap();
    let columns = [Column::F64(&[1.0, 2.0, 4.0])];
    let pushed = worker.push(&batch(&[0, 1, 2_000_000], &[0, 1, 0], &columns)).unwrap();
    assert_eq!(pushed.consumed, 3);
}

fn second_half(worker: &mut dyn Worker) -> String {
    worker.define_keys(&KEYS).unwrap();
    worker.push(&batch(&[2_500_000], &[1], &[Column::F64(&[8.0])])).unwrap();
    assert_eq!(worker.advance(2_600_000).unwrap(), Progress::Done);
    assert_eq!(worker.finish().unwrap(), Progress::Done);
    rows(worker)
}

#[test]
fn module_and_native_engine_agree() {
    let runtime = Runtime::new().unwrap();
    let mut module = open(&runtime);
    let spec = PipelineSpec::from_json(SPEC).unwrap();
    let mut native = NativeEngine::open(&spec, Options::default()).unwrap();
    first_half(&mut module);
    first_half(&mut native);
    assert_eq!(module.watermark().unwrap(), 1_999_999);
    assert_eq!(module.next_deadline().unwrap(), i64::MAX);
    assert_eq!(module.tick(5).unwrap(), Progress::Done);
    assert_eq!(rows(&mut module), rows(&mut native));
    assert_eq!(second_half(&mut module), second_half(&mut native));
    assert_eq!(module.stats().unwrap(), native.stats().unwrap());
}

#[test]
fn push_in_place_equals_push() {
    let runtime = Runtime::new().unwrap();
    let spec =
        PipelineSpec::from_json(&SPEC.replacen('{', r#"{"limits": {"max_result_rows": 2}, "#, 1));
    let spec = spec.unwrap();
    let open =
        || Instance::open(&runtime, &spec, Options::default(), DEFAULT_MEMORY_LIMIT_BYTES).unwrap();
    let (mut copied, mut in_place) = (open(), open());
    copied.define_keys(&KEYS).unwrap();
    in_place.define_keys(&KEYS).unwrap();
    // An odd number of events, so that the ids end inside a word. Windows fire inside the batches.
    let timestamps: Vec<i64> = (0..20_001).map(|event| event * 300_007).collect();
    let ids: Vec<u32> = (0..20_001).map(|event| event % 2).collect();
    let values: Vec<f64> =
        ids.iter().zip(0..).map(|(id, event)| f64::from(event * 3 + id)).collect();
    let (mut expected, mut found) = (String::new(), String::new());
    let (mut from, mut calls) = (0, 0);
    while from < timestamps.len() {
        let columns = [Column::F64(&values[from..])];
        from += copied.push(&batch(&timestamps[from..], &ids[from..], &columns)).unwrap().consumed;
        expected += &rows(&mut copied);
    }
    from = 0;
    while from < timestamps.len() {
        let to = timestamps.len().min(from + 7_001);
        let shape = BatchShape { events: to - from, columns: 1, has_keys: true };
        let pushed = in_place.push_in_place(shape, |mut block| {
            block.timestamps.copy_from_slice(&timestamps[from..to]);
            block.columns[0].copy_from_slice(&values[from..to]);
            block.keys.copy_from_slice(&ids[from..to]);
        });
        from += pushed.unwrap().consumed;
        calls += 1;
        found += &rows(&mut in_place);
    }
    assert!(calls > 3, "results were full");
    assert_eq!(found, expected);
    assert_eq!(in_place.stats().unwrap(), copied.stats().unwrap());
    let shape = BatchShape { events: 1, columns: 2, has_keys: true };
    let error = in_place.push_in_place(shape, |_| {}).unwrap_err();
    assert_eq!(error.code(), "column_count");
}

#[test]
fn snapshot_continues_in_another_instance() {
    let runtime = Runtime::new().unwrap();
    let mut module = open(&runtime);
    first_half(&mut module);
    let snapshot = module.snapshot_in_parts(64).unwrap();
    assert_eq!(module.snapshot().unwrap(), snapshot, "the size of parts does not matter");
    let mut other = open(&runtime);
    other.restore_in_parts(&snapshot, 100).unwrap();
    assert_eq!(
        rows(&mut other) + &second_half(&mut other),
        rows(&mut module) + &second_half(&mut module)
    );
}

#[test]
fn damaged_snapshot_is_refused_and_changes_nothing() {
    let runtime = Runtime::new().unwrap();
    let mut module = open(&runtime);
    first_half(&mut module);
    let mut snapshot = module.snapshot().unwrap();
    let key = snapshot.windows(3).position(|bytes| bytes == b"\x04b\0").unwrap();
    snapshot[key + 1] ^= 1;
    let before = module.snapshot().unwrap();
    let error = module.restore(&snapshot).unwrap_err();
    assert!(error.code().starts_with("snapshot_"), "{error}");
    assert!(module.restore(&[]).is_err());
    assert_eq!(module.snapshot().unwrap(), before);
}

#[test]
fn errors_of_the_engine_keep_their_code() {
    let runtime = Runtime::new().unwrap();
    let mut module = open(&runtime);
    let error = module.push(&batch(&[0], &[7], &[Column::F64(&[1.0])])).unwrap_err();
    assert_eq!(error.code(), "unknown_key_id");
    let error = module.push(&batch(&[0], &[7], &[])).unwrap_err();
    assert_eq!(error.code(), "column_count");
    // An error is not a trap: the instance can be used further.
    first_half(&mut module);
}

#[test]
fn limit_ends_a_call_and_the_instance_can_be_used_further() {
    let runtime = Runtime::new().unwrap();
    let text = SPEC.replacen('{', r#"{"limits": {"max_keys": 1, "on_max_keys": "refuse"}, "#, 1);
    let spec = PipelineSpec::from_json(&text).unwrap();
    let mut module =
        Instance::open(&runtime, &spec, Options::default(), DEFAULT_MEMORY_LIMIT_BYTES).unwrap();
    module.define_keys(&KEYS).unwrap();
    let all = batch(&[0, 1, 2], &[0, 0, 1], &[Column::F64(&[1.0, 2.0, 3.0])]);
    for _ in 0..2 {
        let error = module.push(&all).unwrap_err();
        assert_eq!(error.code(), "limit_reached");
        let Error::LimitReached(stop) = error else { panic!("{error}") };
        assert_eq!((stop.limit, stop.value, stop.stage), ("max_keys", 1, 0));
        assert_eq!((stop.consumed, stop.dropped), (2, false));
    }
    let stats = module.stats().unwrap();
    assert_eq!((stats.events, stats.limit_refused), (4, 2));
    assert_eq!(module.finish().unwrap(), Progress::Done);
    assert_eq!(rows(&mut module).lines().count(), 1);
}

#[test]
fn instance_at_its_memory_limit_returns_memory_limit() {
    let runtime = Runtime::new().unwrap();
    let spec = PipelineSpec::from_json(SPEC).unwrap();
    let mut module = Instance::open(&runtime, &spec, Options::default(), 4 << 20).unwrap();
    module.define_keys(&KEYS).unwrap();
    let many = vec![0_i64; 300_000];
    let (ids, values) = (vec![0_u32; many.len()], vec![0.0; many.len()]);
    let error = module.push(&batch(&many, &ids, &[Column::F64(&values)])).unwrap_err();
    assert_eq!(error.code(), "memory_limit", "{error}");
}
