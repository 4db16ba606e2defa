//! The module in wasmtime gives the rows of the native engine, for all batches and with snapshots
//! at any point.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stream_processor::runtime::{
    DEFAULT_MEMORY_LIMIT_BYTES, Instance, NativeEngine, Runtime, Worker,
};
use stream_processor_core::text::{Format, write_rows};
use stream_processor_core::{
    Batch, Column, KeyColumn, KeyDefinitions, Options, PipelineSpec, Plan, Progress, key,
};

#[derive(Debug, Clone, Copy)]
struct Event {
    ts: i64,
    key: u32,
    value: f64,
}

/// The action after a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum AfterBatch {
    Nothing,
    /// A snapshot is restored into a new instance, in parts of this many bytes.
    Restore(u32),
}

fn pipeline() -> PipelineSpec {
    PipelineSpec::from_json(
        r#"{"source": {"key": "k", "value": "v"}, "time": {"max_out_of_orderness": "2s"},
            "limits": {"max_result_rows": 3},
            "stages": [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum", "count"]},
                       {"type": "window", "window": "tumbling", "size": "5s", "field": "sum",
                        "aggregations": ["sum", "min", "max", "avg"]}]}"#,
    )
    .unwrap()
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let step = prop_oneof![9 => -2_500_000_i64..2_500_000, 1 => -20_000_000_i64..40_000_000];
    prop::collection::vec((step, 0_u32..6, -1e9..1e9), 0..150).prop_map(|steps| {
        let mut ts = 0;
        let events = steps.into_iter().map(|(step, key, value)| {
            ts += step;
            Event { ts, key, value }
        });
        events.collect()
    })
}

fn cuts() -> impl Strategy<Value = Vec<(usize, AfterBatch)>> {
    let after = prop_oneof![Just(AfterBatch::Nothing), (1_u32..5000).prop_map(AfterBatch::Restore)];
    prop::collection::vec((0_usize..30, after), 1..12)
}

/// An engine and the text of its rows.
struct Run<W> {
    worker: W,
    plan: Plan,
    text: Vec<u8>,
}

impl<W: Worker> Run<W> {
    fn push(&mut self, events: &[Event]) {
        let mut at = 0;
        loop {
            let rest = &events[at..];
            let ids: Vec<u32> = rest.iter().map(|event| event.key).collect();
            let (mut offsets, mut bytes) = (vec![0], Vec::new());
            for id in &ids {
                key::push_str(&mut bytes, &format!("key-{id}"));
                offsets.push(u32::try_from(bytes.len()).unwrap());
            }
            let keys = KeyDefinitions { reset: false, ids: &ids, offsets: &offsets, bytes: &bytes };
            self.worker.define_keys(&keys).unwrap();
            let timestamps: Vec<i64> = rest.iter().map(|event| event.ts).collect();
            let values: Vec<f64> = rest.iter().map(|event| event.value).collect();
            let batch = Batch {
                timestamps: &timestamps,
                keys: KeyColumn::Ids(&ids),
                columns: &[Column::F64(&values)],
                identities: &[],
                ordinals: None,
                watermarks: None,
                partitions: None,
            };
            let pushed = self.worker.push(&batch).unwrap();
            at += pushed.consumed;
            if !pushed.full {
                return;
            }
            self.poll(2);
        }
    }

    fn poll(&mut self, max_rows: u32) -> bool {
        match self.worker.poll(max_rows).unwrap() {
            Some(rows) => {
                write_rows(Format::Ndjson, &self.plan.output, &rows, &mut self.text);
                true
            }
            None => false,
        }
    }

    fn finish(mut self) -> String {
        while self.worker.finish().unwrap() == Progress::Full {
            self.poll(3);
        }
        while self.poll(1) {}
        String::from_utf8(self.text).unwrap()
    }
}

#[test]
fn module_gives_the_rows_of_the_native_engine() {
    let spec = pipeline();
    let plan = Plan::new(&spec).unwrap();
    let runtime = Runtime::new().unwrap();
    let open =
        || Instance::open(&runtime, &spec, Options::default(), DEFAULT_MEMORY_LIMIT_BYTES).unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    runner
        .run(&(events(), cuts()), |(events, cuts)| {
            let worker = NativeEngine::open(&spec, Options::default()).unwrap();
            let mut native = Run { worker, plan: plan.clone(), text: Vec::new() };
            native.push(&events);
            let mut module = Run { worker: open(), plan: plan.clone(), text: Vec::new() };
            let mut rest = &events[..];
            for (length, after) in cuts {
                let (batch, later) = rest.split_at(length.min(rest.len()));
                rest = later;
                module.push(batch);
                if let AfterBatch::Restore(part) = after {
                    let snapshot = module.worker.snapshot_in_parts(part).unwrap();
                    module.worker = open();
                    module.worker.restore_in_parts(&snapshot, part).unwrap();
                    prop_assert_eq!(module.worker.snapshot_in_parts(1 << 20).unwrap(), snapshot);
                }
            }
            module.push(rest);
            prop_assert_eq!(module.finish(), native.finish());
            Ok(())
        })
        .unwrap();
}
