//! State that moves between engines: snapshots and partial state, of the module and of the native
//! engine.

use stream_processor::runtime::{
    DEFAULT_MEMORY_LIMIT_BYTES, Instance, NativeEngine, Runtime, Worker,
};
use stream_processor::spec::PipelineSpec;
use stream_processor_core::{
    Batch, Column, KeyColumn, KeyDefinitions, Merged, Options, Progress, Rows,
};

const SPEC: &str = r#"{"source": {"key": "k", "value": "v"}, "stages":
    [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count", "sum"]}]}"#;

const KEYS: KeyDefinitions<'_> =
    KeyDefinitions { reset: false, ids: &[0, 1], offsets: &[0, 3, 6], bytes: b"\x04a\0\x04b\0" };

fn spec() -> PipelineSpec {
    PipelineSpec::from_json(SPEC).unwrap()
}

/// Opens the module and the native engine, in this order.
fn both(runtime: &Runtime, options: Options) -> [Box<dyn Worker>; 2] {
    let module = Instance::open(runtime, &spec(), options, DEFAULT_MEMORY_LIMIT_BYTES).unwrap();
    [Box::new(module), Box::new(NativeEngine::open(&spec(), options).unwrap())]
}

fn push(worker: &mut dyn Worker, timestamps: &[i64], ids: &[u32], values: &[f64]) {
    worker.define_keys(&KEYS).unwrap();
    let batch = Batch {
        timestamps,
        keys: KeyColumn::Ids(ids),
        columns: &[Column::F64(values)],
        identities: &[],
        ordinals: None,
        watermarks: None,
        partitions: None,
    };
    assert_eq!(worker.push(&batch).unwrap().consumed, timestamps.len());
}

/// Returns all rows that wait in `worker`, as text.
fn rows(worker: &mut dyn Worker) -> String {
    let mut text = String::new();
    while let Some(rows) = worker.poll(1).unwrap() {
        // Rows of the module come without the schema.
        let rows = Rows { schema: None, ..rows };
        text += &format!("{rows:?}\n");
    }
    text
}

fn finish(worker: &mut dyn Worker) -> String {
    assert_eq!(worker.finish().unwrap(), Progress::Done);
    rows(worker)
}

#[test]
fn snapshot_of_one_kind_of_engine_restores_into_the_other() {
    let runtime = Runtime::new().unwrap();
    let mut snapshots = Vec::new();
    for mut worker in both(&runtime, Options::default()) {
        push(&mut *worker, &[0, 1, 2_000_000], &[0, 1, 0], &[1.0, 2.0, 4.0]);
        snapshots.push(worker.snapshot().unwrap());
    }
    assert_eq!(snapshots[0], snapshots[1], "equal state gives equal bytes");
    let [mut module, mut native] = both(&runtime, Options::default());
    module.restore(&snapshots[1]).unwrap();
    native.restore(&snapshots[0]).unwrap();
    assert_eq!(module.stats().unwrap(), native.stats().unwrap());
    assert_eq!(module.stats().unwrap().events, 3);
    let expected = finish(&mut *native);
    assert_eq!(expected.lines().count(), 3);
    assert_eq!(finish(&mut *module), expected);
}

#[test]
fn snapshot_that_is_refused_changes_nothing() {
    let runtime = Runtime::new().unwrap();
    for mut worker in both(&runtime, Options::default()) {
        push(&mut *worker, &[0], &[0], &[1.0]);
        let before = worker.snapshot().unwrap();
        let cut = &before[..before.len() - 1];
        let error = worker.restore(cut).unwrap_err();
        assert_eq!(error.code(), "snapshot_damaged", "{error}");
        assert_eq!(worker.snapshot().unwrap(), before);
    }
}

#[test]
fn snapshot_beyond_its_limit_is_an_error_not_a_part_of_the_state() {
    let runtime = Runtime::new().unwrap();
    let text = SPEC.replacen('{', r#"{"limits": {"max_snapshot_bytes": 64}, "#, 1);
    let spec = PipelineSpec::from_json(&text).unwrap();
    let options = Options::default();
    let mut module = Instance::open(&runtime, &spec, options, DEFAULT_MEMORY_LIMIT_BYTES).unwrap();
    let mut native = NativeEngine::open(&spec, options).unwrap();
    let workers: [&mut dyn Worker; 2] = [&mut module, &mut native];
    for worker in workers {
        push(worker, &[0, 1], &[0, 1], &[1.0, 2.0]);
        assert_eq!(worker.snapshot().unwrap_err().code(), "snapshot_too_large");
        assert_eq!(finish(worker).lines().count(), 2, "the engine can be used further");
    }
}

#[test]
fn partial_states_of_both_kinds_are_merged_into_one_window() {
    let runtime = Runtime::new().unwrap();
    let sends = Options { emits_partials: true, ..Options::default() };
    let [mut one, mut two] = both(&runtime, sends);
    push(&mut *one, &[0, 1], &[0, 1], &[1.0, 2.0]);
    push(&mut *two, &[2], &[0], &[4.0]);
    let partials = [one.partial("one").unwrap(), two.partial("two").unwrap()];
    let mut merged = Vec::new();
    for mut worker in both(&runtime, Options::default()) {
        for partial in &partials {
            let taken = worker.merge(partial).unwrap();
            assert_eq!(taken, Merged { is_new: true, full: false });
            assert!(!worker.merge(partial).unwrap().is_new, "a repeated one is ignored");
        }
        assert_eq!(worker.stats().unwrap().events, 3);
        merged.push(finish(&mut *worker));
    }
    assert_eq!(merged[0].lines().count(), 2);
    assert_eq!(merged[0], merged[1]);
}

#[test]
fn partial_needs_its_option_and_merge_needs_partial_state() {
    let runtime = Runtime::new().unwrap();
    for mut worker in both(&runtime, Options::default()) {
        assert_eq!(worker.partial("one").unwrap_err().code(), "partials_mismatch");
        let snapshot = worker.snapshot().unwrap();
        let error = worker.merge(&snapshot).unwrap_err();
        assert_eq!(error.code(), "snapshot_not_a_partial");
    }
}
