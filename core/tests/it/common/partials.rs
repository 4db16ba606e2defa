//! Edge engines that send partial state, and a receiver that merges it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{Engine, Options, PipelineSpec};

use super::pipeline::{list, stage};
use super::{Event, KeysAs, Pipeline, Run, events};

pub const AGGREGATIONS: &str = r#""count", "sum", "avg", "min", "max", "range", "distinct", "p50", "p95",
    {"op": "p90", "engine": "exact"}"#;

/// Returns a pipeline with one window stage and all aggregations.
pub fn pipeline(window: &str, lateness: &str, bound: &str, rows: u32) -> PipelineSpec {
    let more = json!({"allowed_lateness": lateness, "aggregations": list(AGGREGATIONS)});
    let window = stage("window", window, more);
    Pipeline::keyed().bound(bound).result_rows(rows).stage(window).spec()
}

/// Returns an edge: an engine that emits partial state, not rows.
pub fn edge(spec: &PipelineSpec) -> Run {
    let options = Options { emits_partials: true, report_drops: true, ..Options::default() };
    let engine = Engine::open(spec, options).unwrap();
    Run { engine, ..Run::new(spec.clone()) }
}

/// Merges `partial`, and polls whenever the engine is full. Returns true if `partial` was new.
pub fn merge(run: &mut Run, partial: &[u8]) -> bool {
    let mut is_new = false;
    loop {
        let merged = run.engine.merge(partial).unwrap();
        is_new |= merged.is_new;
        if !merged.full {
            return is_new;
        }
        if run.restores_when_full {
            run.restore();
        }
        run.poll(2);
        run.engine.drops(1000);
    }
}

/// One step of a source: a batch of events, and then perhaps a snapshot and a partial.
#[derive(Debug, Clone)]
pub struct Step {
    pub source: usize,
    pub events: usize,
    pub sends: bool,
    pub again: bool,
    pub restores: bool,
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_usize..3, 0_usize..30, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(source, events, sends, again, restores)| Step { source, events, sends, again, restores },
    );
    prop::collection::vec(step, 1..25)
}

pub fn spec_has_sessions(spec: &PipelineSpec) -> bool {
    serde_json::to_string(spec).unwrap().contains(r#""session""#)
}

/// Runs the same stream twice and returns both runs. The first is one engine that takes the events
/// of a partial when that partial is merged. The second is the receiver of all edges.
pub fn raw_and_merged(
    spec: &PipelineSpec,
    events: &[Event],
    steps: &[Step],
    restores: bool,
) -> (Run, Run) {
    let mut whole = Run::new(spec.clone());
    let mut receiver = Run::new(spec.clone());
    receiver.restores_when_full = restores;
    let mut edges: Vec<(Run, Vec<Event>, Option<Vec<u8>>)> =
        (0..3).map(|_| (edge(spec), Vec::new(), None)).collect();
    let mut reached: BTreeMap<usize, i64> = BTreeMap::new();
    let mut rest = events;
    let last = |source| Step { source, events: usize::MAX, sends: true, again: true, restores };
    for step in steps.iter().cloned().chain((0..3).map(last)) {
        let (batch, later) = rest.split_at(step.events.min(rest.len()));
        rest = later;
        let (run, waiting, sent) = &mut edges[step.source];
        run.push(batch, KeysAs::Encoded);
        assert_eq!(run.poll(10), 0, "an edge has no rows");
        waiting.extend(batch);
        if step.restores {
            run.restore();
            receiver.restore();
        }
        if !step.sends {
            continue;
        }
        if let (true, Some(sent)) = (step.again, &sent) {
            assert!(!merge(&mut receiver, sent), "it has been taken already");
        }
        let partial = run.engine.partial(&format!("source {}", step.source)).unwrap();
        assert_eq!(run.engine.stats().stages[0].open_windows, 0);
        assert!(merge(&mut receiver, &partial));
        let watermark = whole.engine.watermark();
        let input_watermarks = vec![watermark; waiting.len()];
        if spec_has_sessions(spec) {
            // The latest event comes first: a partial holds a whole session, which is late only if
            // its end is.
            waiting.sort_by_key(|event| std::cmp::Reverse(event.ts));
        }
        whole.push_with_watermarks(waiting, None, Some(&input_watermarks), KeysAs::Encoded);
        waiting.clear();
        reached.insert(step.source, run.engine.watermark());
        whole.advance(*reached.values().min().unwrap());
        assert_eq!(receiver.engine.watermark(), whole.engine.watermark());
        *sent = Some(partial);
    }
    whole.end();
    receiver.end();
    (whole, receiver)
}

/// Generates events with whole numbers as values, so that sums do not depend on the order.
pub fn whole_events() -> impl Strategy<Value = Vec<Event>> {
    events().prop_map(|events| {
        let whole =
            |event: Event| Event { value: event.value.clamp(-1e6, 1e6).round() + 0.0, ..event };
        events.into_iter().map(whole).collect()
    })
}

pub const SECOND: i64 = 1_000_000;

pub fn at(seconds: i64, value: f64) -> Event {
    Event { ts: seconds * SECOND, key: 1, value }
}
