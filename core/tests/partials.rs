//! Partial state: what several engines have seen, merged into one, gives the rows of the raw events.

mod common;

use std::collections::BTreeMap;

use common::{Event, KeysAs, Row, Run, events, spec};
use proptest::prelude::*;
use stream_processor_core::{Engine, Error, Merged, Options, PipelineSpec, RejectReason};

const AGGREGATIONS: &str = r#""count", "sum", "avg", "min", "max", "range", "distinct", "p50", "p95",
    {"op": "p90", "engine": "exact"}"#;

fn pipeline(window: &str, lateness: &str, bound: &str, rows: u32) -> PipelineSpec {
    spec(&format!(
        r#"{{"source": {{"key": "k", "value": "v"}}, "time": {{"max_out_of_orderness": "{bound}"}},
            "limits": {{"max_result_rows": {rows}}}, "stages": [{{"type": "window", {window},
            "allowed_lateness": "{lateness}", "aggregations": [{AGGREGATIONS}]}}]}}"#
    ))
}

fn edge(spec: &PipelineSpec) -> Run {
    let options = Options { emits_partials: true, report_drops: true, ..Options::default() };
    let engine = Engine::open(spec, options).unwrap();
    Run { engine, ..Run::new(spec.clone()) }
}

/// Merges, polling whenever the engine is full; whether it was new.
fn merge(run: &mut Run, partial: &[u8]) -> bool {
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

/// What happens next at a source.
#[derive(Debug, Clone)]
struct Step {
    source: usize,
    events: usize,
    sends: bool,
    again: bool,
    restores: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_usize..3, 0_usize..30, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(source, events, sends, again, restores)| Step { source, events, sends, again, restores },
    );
    prop::collection::vec(step, 1..25)
}

fn spec_has_sessions(spec: &PipelineSpec) -> bool {
    serde_json::to_string(spec).unwrap().contains(r#""session""#)
}

/// The rows of one engine that takes each part's events when it is merged, and those of edges and a receiver.
fn both(spec: &PipelineSpec, events: &[Event], steps: &[Step], restores: bool) -> (Run, Run) {
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
        let met = vec![watermark; waiting.len()];
        if spec_has_sessions(spec) {
            // The last first: a session of a block is judged as one, by its end.
            waiting.sort_by_key(|event| std::cmp::Reverse(event.ts));
        }
        whole.push_judged(waiting, None, Some(&met), KeysAs::Encoded);
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

/// Whole numbers: sums do not depend on the order.
fn whole_events() -> impl Strategy<Value = Vec<Event>> {
    events().prop_map(|events| {
        let whole =
            |event: Event| Event { value: event.value.clamp(-1e6, 1e6).round() + 0.0, ..event };
        events.into_iter().map(whole).collect()
    })
}

fn windows() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        r#""window": "tumbling", "size": "3s", "offset": "300ms""#,
        r#""window": "sliding", "size": "5s", "slide": "2s""#,
        r#""window": "sliding", "size": "2s", "slide": "5s""#,
        r#""window": "cumulate", "size": "6s", "step": "2s""#,
        r#""window": "calendar", "unit": "day""#,
    ])
}

fn all_windows() -> impl Strategy<Value = &'static str> {
    let others = prop::sample::select(vec![
        r#""window": "session", "gap": "500ms""#,
        r#""window": "session", "gap": "2s""#,
        r#""window": "global""#,
    ]);
    prop_oneof![windows(), others]
}

/// The last row of every window and key, without its number.
fn truth(rows: &[Row]) -> BTreeMap<(i64, i64, Vec<u8>), Vec<u64>> {
    let of = |row: &Row| ((row.start, row.end, row.key.clone()), row.values[..10].to_vec());
    rows.iter().map(of).collect()
}

/// The rows of sessions that are not taken back, without their numbers. Each that is has come before, unchanged.
fn standing(rows: &[Row]) -> BTreeMap<(i64, i64, Vec<u8>), Vec<u64>> {
    let mut standing = BTreeMap::new();
    for row in rows {
        let (place, values) = ((row.start, row.end, row.key.clone()), row.values[..10].to_vec());
        if row.values[11] == common::bits(1.0) {
            assert_eq!(standing.remove(&place), Some(values));
        } else {
            standing.insert(place, values);
        }
    }
    standing
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn merged_parts_give_the_rows_of_the_raw_events(
        events in whole_events(),
        steps in steps(),
        window in all_windows(),
        bound in prop::sample::select(vec!["0s", "2s", "unbounded"]),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores in any::<bool>(),
    ) {
        let spec = pipeline(window, "0s", bound, buffer);
        let (whole, receiver) = both(&spec, &events, &steps, restores);
        prop_assert_eq!(&receiver.rows, &whole.rows);
        let (found, due) = (receiver.engine.stats(), whole.engine.stats());
        prop_assert_eq!(found.late_dropped, due.late_dropped);
        prop_assert_eq!((found.events, found.unassigned), (due.events, due.unassigned));
        prop_assert_eq!(found.stages[0].events, due.stages[0].events);
        prop_assert_eq!((found.stages[0].keys, found.stages[0].open_windows), (0, 0));
    }

    #[test]
    fn late_parts_revise_the_rows_that_are_out(
        events in whole_events(),
        steps in steps(),
        window in windows(),
        early in any::<bool>(),
        buffer in prop::sample::select(vec![1_u32, 1000]),
        restores in any::<bool>(),
    ) {
        prop_assume!(!window.contains("calendar"), "their rows are not corrected");
        let early = if early && !window.contains("cumulate") { r#", "early": "1s""# } else { "" };
        let spec = pipeline(&format!("{window}{early}"), "4s", "1s", buffer);
        let (whole, receiver) = both(&spec, &events, &steps, restores);
        prop_assert_eq!(truth(&receiver.rows), truth(&whole.rows));
        prop_assert_eq!(receiver.engine.stats().late_dropped, whole.engine.stats().late_dropped);
        prop_assert!(receiver.rows.len() <= whole.rows.len());
    }

    #[test]
    fn late_parts_take_back_the_sessions_that_they_change(
        events in whole_events(),
        steps in steps(),
        gap in prop::sample::select(vec!["300ms", "1s", "3s"]),
        lateness in prop::sample::select(vec!["1s", "4s"]),
        bound in prop::sample::select(vec!["0s", "1s"]),
        buffer in prop::sample::select(vec![1_u32, 1000]),
        restores in any::<bool>(),
    ) {
        let window = format!(r#""window": "session", "gap": "{gap}""#);
        let spec = pipeline(&window, lateness, bound, buffer);
        let (whole, receiver) = both(&spec, &events, &steps, restores);
        prop_assert_eq!(standing(&receiver.rows), standing(&whole.rows));
        prop_assert_eq!(receiver.engine.stats().late_dropped, whole.engine.stats().late_dropped);
        prop_assert!(receiver.rows.len() <= whole.rows.len());
    }

    #[test]
    fn bytes_that_are_no_partial_state_change_nothing(
        events in whole_events(),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        cut in any::<prop::sample::Index>(),
    ) {
        let spec = pipeline(r#""window": "tumbling", "size": "3s""#, "0s", "0s", 1000);
        let mut edge = edge(&spec);
        edge.push(&events, KeysAs::Ids);
        let good = edge.engine.partial("a").unwrap();
        let mut receiver = Run::new(spec);
        let before = receiver.engine.snapshot().unwrap();
        let mut changed = good.clone();
        changed[place.index(good.len())] ^= flip;
        prop_assert!(receiver.engine.merge(&changed).is_err());
        prop_assert!(receiver.engine.merge(&good[..cut.index(good.len())]).is_err());
        prop_assert_eq!(receiver.engine.snapshot().unwrap(), before);
    }
}

const SECOND: i64 = 1_000_000;

fn at(seconds: i64, value: f64) -> Event {
    Event { ts: seconds * SECOND, key: 1, value }
}

fn ends() -> PipelineSpec {
    spec(
        r#"{"source": {"key": "k", "value": "v"}, "stages": [{"type": "window", "window": "tumbling",
            "size": "10s", "aggregations": ["first", "last", "sum"]}]}"#,
    )
}

fn sessions(gap: &str, more: &str) -> PipelineSpec {
    spec(&format!(
        r#"{{"source": {{"key": "k", "value": "v"}}, "stages": [{{"type": "window", "window": "session",
            "gap": "{gap}", {more} "aggregations": ["first", "last", "sum", "count"]}}]}}"#
    ))
}

/// Start and end in seconds, count, and whether it is taken back.
fn spans(rows: &[Row]) -> Vec<(i64, i64, f64, bool)> {
    let of = |row: &Row| {
        let taken_back = row.values.get(5).is_some_and(|bits| *bits != 0);
        (row.start / SECOND, row.end / SECOND, f64::from_bits(row.values[3]), taken_back)
    };
    rows.iter().map(of).collect()
}

#[test]
fn a_part_joins_all_sessions_that_it_touches() {
    let spec = sessions("10s", "");
    let (mut a, mut b) = (edge(&spec), edge(&spec));
    let mut run = Run::new(spec.clone());
    for (run_of, name) in [(&mut a, "a"), (&mut b, "b")] {
        merge(&mut run, &run_of.engine.partial(name).unwrap());
    }
    // Three sessions of one source; the one of the other source reaches from the first to the last of them.
    a.push(&[at(0, 1.0), at(20, 2.0), at(40, 3.0), at(100, 4.0)], KeysAs::Ids);
    merge(&mut run, &a.engine.partial("a").unwrap());
    run.restore();
    b.push(&[at(10, 5.0), at(20, 6.0), at(30, 7.0), at(100, 8.0)], KeysAs::Ids);
    merge(&mut run, &b.engine.partial("b").unwrap());
    let (rows, stats) = run.finish();
    assert_eq!(spans(&rows), [(0, 50, 6.0, false), (100, 110, 2.0, false)]);
    assert_eq!((rows[0].values[0], rows[0].values[1]), (1_f64.to_bits(), 3_f64.to_bits()));
    assert_eq!((stats.late_dropped, stats.events), (0, 8));
}

#[test]
fn a_late_part_takes_back_all_sessions_that_it_joins() {
    let spec = sessions("10s", r#""allowed_lateness": "100s","#);
    let (mut a, mut b) = (edge(&spec), edge(&spec));
    let mut run = Run::new(spec.clone());
    a.push(&[at(0, 1.0), at(20, 2.0), at(80, 3.0)], KeysAs::Ids);
    merge(&mut run, &a.engine.partial("a").unwrap());
    while run.poll(10) > 0 {}
    assert_eq!(spans(&run.rows), [(0, 10, 1.0, false), (20, 30, 1.0, false)]);
    b.push(&[at(10, 5.0), at(5, 6.0), at(90, 7.0)], KeysAs::Ids);
    merge(&mut run, &b.engine.partial("b").unwrap());
    let rows = run.finish().0;
    let due = [(0, 10, 1.0, true), (20, 30, 1.0, true), (0, 30, 4.0, false), (80, 100, 2.0, false)];
    assert_eq!(spans(&rows)[2..], due);
}

#[test]
fn sources_and_sequences_decide_the_order_of_sessions_and_global_windows_too() {
    let global = r#"{"source": {"key": "k", "value": "v"}, "stages": [{"type": "window", "window": "global",
        "aggregations": ["first", "last", "sum", "count"]}]}"#;
    for spec in [sessions("10s", ""), spec(global)] {
        let mut parts = Vec::new();
        for (source, values) in [("a", [1e16, 1.0]), ("b", [-1e16, 0.3])] {
            let mut run = edge(&spec);
            for value in values {
                run.push(&[at(5, value)], KeysAs::Ids);
                parts.push(run.engine.partial(source).unwrap());
            }
        }
        let early = edge(&spec).engine.partial("c").unwrap();
        let rows = |order: [usize; 4]| {
            let mut run = Run::new(spec.clone());
            // A source that has not begun holds the watermark back.
            merge(&mut run, &early);
            order.iter().for_each(|place| assert!(merge(&mut run, &parts[*place])));
            run.restore();
            run.finish().0
        };
        let due = rows([0, 1, 2, 3]);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].values[..2], [1e16_f64.to_bits(), 0.3_f64.to_bits()]);
        for order in [[2, 3, 0, 1], [0, 2, 1, 3], [2, 0, 3, 1]] {
            assert_eq!(rows(order), due);
        }
    }
}

#[test]
fn sources_and_sequences_decide_the_order_and_not_arrival() {
    let spec = ends();
    let mut parts = Vec::new();
    for (source, values) in [("a", [1e16, 1.0]), ("b", [-1e16, 0.3])] {
        let mut run = edge(&spec);
        for value in values {
            run.push(&[at(5, value)], KeysAs::Ids);
            parts.push(run.engine.partial(source).unwrap());
        }
    }
    let rows = |order: [usize; 4]| {
        let mut run = Run::new(spec.clone());
        order.iter().for_each(|place| assert!(merge(&mut run, &parts[*place])));
        run.restore();
        run.finish().0
    };
    let due = rows([0, 1, 2, 3]);
    assert_eq!(due[0].values[..2], [1e16_f64.to_bits(), 0.3_f64.to_bits()]);
    for order in [[2, 3, 0, 1], [0, 2, 1, 3], [2, 0, 3, 1]] {
        assert_eq!(rows(order), due);
    }
}

#[test]
fn a_part_that_is_late_is_dropped_and_counts_its_events() {
    let spec = ends();
    let (mut fast, mut slow) = (edge(&spec), edge(&spec));
    let mut run = Run::new(spec.clone());
    fast.push(&[at(1, 1.0), at(30, 2.0)], KeysAs::Ids);
    merge(&mut run, &fast.engine.partial("fast").unwrap());
    assert_eq!(run.poll(10), 1, "nobody else is known");
    slow.push(&[at(2, 3.0), at(3, 4.0), at(25, 5.0)], KeysAs::Ids);
    merge(&mut run, &slow.engine.partial("slow").unwrap());
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 2, "one for each part");
    assert_eq!((drops[0].reason, drops[0].window_end), (RejectReason::Late, Some(10 * SECOND)));
    assert_eq!(run.engine.stats().late_dropped, 3);
    assert_eq!(run.engine.stats().events, 5);
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let spec = ends();
    let mut first = edge(&spec);
    let parts: Vec<Vec<u8>> = (0..3).map(|_| first.engine.partial("a").unwrap()).collect();
    let mut run = Run::new(spec.clone());
    assert!(matches!(
        run.engine.merge(&parts[1]),
        Err(Error::PartialGap { expected: 0, found: 1 })
    ));
    assert_eq!(run.engine.merge(&parts[0]), Ok(Merged { is_new: true, full: false }));
    assert_eq!(run.engine.merge(&parts[0]), Ok(Merged { is_new: false, full: false }));
    assert!(matches!(run.engine.partial("x"), Err(Error::PartialsMismatch(_))));
    let snapshot = run.engine.snapshot().unwrap();
    assert_eq!(run.engine.merge(&snapshot).unwrap_err().code(), "snapshot_not_a_partial");
    assert!(Engine::restore(&spec, Options::default(), &parts[0]).is_err());
    let mut other = Run::new(pipeline(r#""window": "tumbling", "size": "3s""#, "0s", "0s", 10));
    assert_eq!(other.engine.merge(&parts[0]).unwrap_err().code(), "snapshot_other_pipeline");
    other.push(&[at(1, 1.0)], KeysAs::Ids);
    assert_eq!(other.engine.merge(&parts[0]).unwrap_err().code(), "partials_mismatch");
    let mut limited = spec.clone();
    limited.limits.max_partitions = 1;
    let mut run = Run::new(limited);
    run.engine.merge(&parts[0]).unwrap();
    let second = edge(&spec).engine.partial("b").unwrap();
    assert_eq!(run.engine.merge(&second).unwrap_err().code(), "too_many_partitions");
    let options = Options { emits_partials: true, ..Options::default() };
    let count = r#"{"stages": [{"type": "window", "window": "count", "count": 3, "aggregations": ["count"]}]}"#;
    let error = Engine::open(&common::spec(count), options).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().starts_with("stages[0].window: windows of a count of events"),
        "{error}"
    );
}
