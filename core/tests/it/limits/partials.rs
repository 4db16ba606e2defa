//! The limits of state in a receiver of partial state, under each policy, compared with a simple
//! model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stream_processor_core::{
    Engine, Error, LimitReached, Merged, Options, PipelineSpec, Progress, RejectReason,
};

use super::oracle::parts::{SourceBatch, run};
use super::oracle::setup::{bytes, events, limits, pipeline, window};
use super::oracle::{Kind, Limits, Outcome, Policy, encoded};
use crate::common::events::{Collected, Event, restored, try_push};

fn edge(spec: &PipelineSpec) -> Engine {
    Engine::open(spec, Options { emits_partials: true, ..Options::default() }).unwrap()
}

/// The receiver and its output.
struct Receiver {
    spec: PipelineSpec,
    engine: Engine,
    restores: bool,
    all: Collected,
    refused: Vec<LimitReached>,
}

impl Receiver {
    fn new(spec: &PipelineSpec, restores: bool) -> Self {
        let options = Options { report_drops: true, ..Options::default() };
        let engine = Engine::open(spec, options).unwrap();
        Self {
            spec: spec.clone(),
            engine,
            restores,
            all: Collected::default(),
            refused: Vec::new(),
        }
    }

    /// Repeats the call until it is complete. Returns the result of the last one.
    fn repeat_until_done<T>(
        &mut self,
        mut call: impl FnMut(&mut Engine) -> Result<(T, bool), Error>,
    ) -> T {
        loop {
            let called = call(&mut self.engine);
            if self.restores {
                self.engine = restored(&self.spec, &mut self.engine);
            }
            match called {
                Ok((result, false)) => return result,
                Ok((_, true)) => self.all.poll(&mut self.engine),
                Err(Error::LimitReached(stop)) => self.refused.push(stop),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn merge(&mut self, partial: &[u8]) {
        self.repeat_until_done(|engine| engine.merge(partial).map(|merged| ((), merged.full)));
        let again = self.engine.merge(partial).unwrap();
        assert_eq!(again, Merged { is_new: false, full: false });
    }

    fn finish(&mut self) {
        self.repeat_until_done(|engine| {
            engine.finish().map(|progress| ((), progress == Progress::Full))
        });
        self.all.poll(&mut self.engine);
    }
}

/// Pushes `events`, and continues behind each refused one. Returns the positions of the refused
/// events.
fn push_refusing(engine: &mut Engine, events: &[Event]) -> Vec<usize> {
    let (mut at, mut refused) = (0, Vec::new());
    loop {
        match try_push(engine, &events[at..]) {
            Ok(pushed) => {
                assert_eq!((at + pushed.consumed, pushed.full), (events.len(), false));
                return refused;
            }
            Err(Error::LimitReached(stop)) => {
                assert!(!stop.dropped);
                refused.push(at + stop.consumed);
                at += stop.consumed + 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Returns the engines' result for `batches`, in the form of the model.
fn found(
    spec: &PipelineSpec,
    batches: &[SourceBatch],
    restores: bool,
) -> (Outcome, Vec<(u8, usize)>) {
    let mut edges = BTreeMap::<u8, Engine>::new();
    let mut receiver = Receiver::new(spec, restores);
    let mut refused = Vec::new();
    for SourceBatch { source, events } in batches {
        let edge = edges.entry(*source).or_insert_with(|| edge(spec));
        refused.extend(push_refusing(edge, events).into_iter().map(|place| (*source, place)));
        receiver.merge(&edge.partial(&source.to_string()).unwrap());
        if restores {
            *edge = restored(spec, edge);
        }
    }
    let bytes = receiver.engine.stats().state_bytes;
    receiver.finish();
    let stats = receiver.engine.stats();
    let stage = &stats.stages[0];
    for stop in &receiver.refused {
        assert_eq!((stop.stage, stop.consumed, stop.dropped), (0, 0, true));
    }
    assert_eq!(stats.limit_refused, receiver.refused.len() as u64);
    let taken: usize = batches.iter().map(|batch| batch.events.len()).sum();
    assert_eq!(stats.events, (taken - refused.len()) as u64);
    let dropped = [stage.key_limit, stage.window_limit, stage.state_limit];
    assert_eq!(stats.limit_dropped, dropped.iter().sum::<u64>());
    let evicted = [stage.evicted_keys, stage.evicted_windows, stage.evicted_events];
    let names = ["key_limit", "window_limit", "state_limit"];
    let is_reported = stats.limits_struck.iter().any(|name| names.contains(name));
    assert_eq!(is_reported, dropped.iter().chain(&evicted).any(|count| *count > 0));
    let ordinal = |stop: &LimitReached| usize::try_from(stop.ordinal).unwrap();
    let outcome = Outcome {
        rows: receiver.all.keys.into_iter().zip(receiver.all.rows).collect(),
        refused: receiver.refused.iter().map(ordinal).collect(),
        dropped,
        late: stage.late_dropped,
        evicted,
        bytes,
    };
    (outcome, refused)
}

/// Generates streams of up to three sources, split into the batches of their partials.
fn source_batches() -> impl Strategy<Value = Vec<SourceBatch>> {
    (events(), prop::collection::vec((0..3_u8, 0..9_usize), 1..20)).prop_map(|(events, cuts)| {
        let mut rest = events.as_slice();
        let mut batch = |(source, length): (u8, usize)| {
            let (events, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            SourceBatch { source, events: events.to_vec() }
        };
        cuts.into_iter().map(&mut batch).collect()
    })
}

/// Returns the bytes of windows. The windows of an edge count their events under all policies.
fn sizes(limits: Limits, fixed: u64, slots: u64, value: u64) -> [(u64, u64); 2] {
    [(fixed + slots + 8, value), bytes(limits, fixed, slots, value)]
}

proptest! {
    #[test]
    fn limits_of_merged_windows_equal_the_model(batches in source_batches(), restores in any::<bool>(), rows in 1..9_usize, limits in limits(5), slides in any::<bool>()) {
        let (options, slide) = match slides {
            true => (r#""sliding", "size": "10ms", "slide": "2ms""#, 2),
            false => (r#""tumbling", "size": "10ms""#, 10),
        };
        let kind = Kind::Grid { slide, lateness: 0 };
        let expected = run(kind, limits, sizes(limits, 48, 40, 0), &batches);
        let spec = pipeline(&window(options, r#"["count"]"#), limits, rows);
        prop_assert_eq!(found(&spec, &batches, restores), expected);
    }

    #[test]
    fn limits_of_merged_windows_with_revisions_equal_the_model(batches in source_batches(), restores in any::<bool>(), rows in 1..9_usize, limits in limits(3)) {
        let limits = Limits { windows: (limits.windows.0, Policy::Refuse), ..limits };
        let kind = Kind::Grid { slide: 10, lateness: 15 };
        let expected = run(kind, limits, sizes(limits, 48, 40, 0), &batches);
        let stage = window(r#""tumbling", "size": "10ms", "allowed_lateness": "15ms""#, r#"["count"]"#);
        prop_assert_eq!(found(&pipeline(&stage, limits, rows), &batches, restores), expected);
    }

    #[test]
    fn limits_of_merged_sessions_equal_the_model(batches in source_batches(), restores in any::<bool>(), rows in 1..9_usize, limits in limits(1)) {
        let kind = Kind::Session { lateness: 0 };
        let expected = run(kind, limits, sizes(limits, 96, 40, 0), &batches);
        let spec = pipeline(&window(r#""session", "gap": "10ms""#, r#"["count"]"#), limits, rows);
        prop_assert_eq!(found(&spec, &batches, restores), expected);
    }

    #[test]
    fn limits_of_merged_sessions_with_revisions_equal_the_model(batches in source_batches(), restores in any::<bool>(), rows in 1..9_usize, limits in limits(1), lateness in 1..40_i64) {
        let kind = Kind::Session { lateness };
        let expected = run(kind, limits, sizes(limits, 96, 40, 0), &batches);
        let stage = format!(r#""session", "gap": "10ms", "allowed_lateness": "{lateness}ms""#);
        let spec = pipeline(&window(&stage, r#"["count"]"#), limits, rows);
        prop_assert_eq!(found(&spec, &batches, restores), expected);
    }

    #[test]
    fn limits_of_merged_windows_that_keep_values_equal_the_model(batches in source_batches(), restores in any::<bool>(), rows in 1..9_usize, limits in limits(2)) {
        let kind = Kind::Grid { slide: 10, lateness: 0 };
        let expected = run(kind, limits, sizes(limits, 48, 72, 8), &batches);
        let stage = window(r#""tumbling", "size": "10ms""#, r#"["count", "p50"]"#);
        let mut found = found(&pipeline(&stage, limits, rows), &batches, restores);
        found.0.rows.iter_mut().for_each(|(_, cells)| cells.truncate(3));
        prop_assert_eq!(found, expected);
    }
}

/// Returns a pipeline with room for two keys.
fn for_two(options: &str) -> PipelineSpec {
    let none = (100, Policy::Drop);
    let limits = Limits { keys: (2, Policy::Refuse), windows: none, bytes: (None, Policy::Drop) };
    pipeline(&window(options, r#"["count"]"#), limits, 100)
}

/// Returns partials of two sources. The first two are empty; the second ones have the keys a and b,
/// and c twice and d.
fn partials_of_two_sources(spec: &PipelineSpec) -> Vec<Vec<u8>> {
    let mut edges = [("0", edge(spec)), ("1", edge(spec))];
    let mut partials = Vec::new();
    for keys in [[&[][..], &[]], [&["a", "b"], &["c", "c", "d"]]] {
        for ((source, edge), keys) in edges.iter_mut().zip(keys) {
            let events: Vec<Event> = keys.iter().map(|key| Event::new(1, key, &[1.0])).collect();
            assert_eq!(push_refusing(edge, &events), [0; 0]);
            if !events.is_empty() {
                edge.advance_watermark(20_000).unwrap();
            }
            partials.push(edge.partial(source).unwrap());
        }
    }
    partials
}

fn refused<T: std::fmt::Debug>(called: Result<T, Error>) -> LimitReached {
    match called {
        Err(Error::LimitReached(stop)) => stop,
        other => panic!("{other:?}"),
    }
}

/// Returns the keys of the rows that wait.
fn keys_of_rows(engine: &mut Engine) -> Vec<Vec<u8>> {
    let mut all = Collected::default();
    all.poll(engine);
    all.keys
}

#[test]
fn refused_update_is_dropped_and_the_next_call_continues() {
    const TAKEN: Merged = Merged { is_new: true, full: false };
    const KNOWN: Merged = Merged { is_new: false, full: false };
    for options in [r#""tumbling", "size": "10ms""#, r#""session", "gap": "9ms""#] {
        let spec = for_two(options);
        let partials = partials_of_two_sources(&spec);
        let options = Options { report_drops: true, ..Options::default() };
        let mut engine = Engine::open(&spec, options).unwrap();
        for partial in &partials[..3] {
            assert_eq!(engine.merge(partial), Ok(TAKEN));
        }
        let stop = refused(engine.merge(&partials[3]));
        assert_eq!((stop.limit, stop.value, stop.stage), ("max_keys", 2, 0));
        assert_eq!((stop.ordinal, stop.consumed, stop.dropped), (2, 0, true));
        let stats = engine.stats();
        assert_eq!((stats.events, stats.limit_dropped, stats.limit_refused), (5, 2, 1));
        assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (2, 2));
        let drops = engine.drops(10);
        assert_eq!((drops.len(), drops[0].reason), (1, RejectReason::KeyLimit));
        assert_eq!((drops[0].ordinal, drops[0].window_end), (2, Some(10_000)));
        let snapshot = engine.snapshot().unwrap();
        let again = |spec: &PipelineSpec| Engine::restore(spec, options, &snapshot).unwrap();
        // The same partial again, which is known; another one, which is new; and the end of input:
        // each first continues the merge.
        engine = again(&spec);
        assert_eq!(refused(engine.merge(&partials[3])).ordinal, 3);
        assert_eq!(engine.merge(&partials[3]), Ok(KNOWN));
        assert_eq!(keys_of_rows(&mut engine), ["a", "b"].map(encoded));
        let mut third = edge(&spec);
        let third = third.partial("2").unwrap();
        engine = again(&spec);
        assert_eq!(refused(engine.merge(&third)).ordinal, 3);
        assert_eq!(engine.merge(&third), Ok(TAKEN));
        engine = again(&spec);
        assert_eq!(refused(engine.finish()).ordinal, 3);
        assert_eq!(engine.finish(), Ok(Progress::Done));
        assert_eq!(keys_of_rows(&mut engine), ["a", "b"].map(encoded));
        assert_eq!(engine.stats().limit_dropped, 3);
        // Under a higher limit the updates that were not refused yet are merged. The refused one is
        // lost.
        let mut roomy = spec.clone();
        roomy.limits.max_keys = 4;
        engine = again(&roomy);
        assert_eq!(engine.merge(&partials[3]), Ok(KNOWN));
        assert_eq!(keys_of_rows(&mut engine), ["a", "b", "d"].map(encoded));
    }
}

#[test]
fn updates_of_global_windows_are_refused_too() {
    for restores in [false, true] {
        let spec = for_two(r#""global""#);
        let mut receiver = Receiver::new(&spec, restores);
        for partial in partials_of_two_sources(&spec) {
            receiver.merge(&partial);
        }
        receiver.finish();
        let ordinals: Vec<u64> = receiver.refused.iter().map(|stop| stop.ordinal).collect();
        assert_eq!(ordinals, [2, 3]);
        assert_eq!(receiver.all.keys, ["a", "b"].map(encoded));
        assert_eq!(receiver.engine.stats().stages[0].key_limit, 3);
    }
}

/// Checks that an event refused by an edge does not move the watermark of its partial.
#[test]
fn refused_event_does_not_move_the_watermark_of_its_partial() {
    let spec = for_two(r#""tumbling", "size": "10ms""#);
    let mut edge = edge(&spec);
    let events = [(1, "a"), (2, "b"), (99, "c")].map(|(ts, key)| Event::new(ts, key, &[1.0]));
    assert_eq!(push_refusing(&mut edge, &events), [2]);
    let mut receiver = Receiver::new(&spec, false);
    receiver.merge(&edge.partial("0").unwrap());
    assert_eq!(receiver.engine.watermark(), edge.watermark());
    assert_eq!(keys_of_rows(&mut receiver.engine), [[0; 0]; 0]);
}
