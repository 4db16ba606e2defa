//! Partial state of sessions and of global windows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{PipelineSpec, RejectReason};

use crate::common::partials::{
    SECOND, at, edge, merge, pipeline, raw_and_merged, steps, whole_events,
};
use crate::common::{Event, KeysAs, Pipeline, Row, Run, encoded, spec};

/// Returns the rows of sessions that are not retracted, without their revisions. Each retraction
/// follows its unchanged row.
fn standing(rows: &[Row]) -> BTreeMap<(i64, i64, Vec<u8>), Vec<u64>> {
    let mut standing = BTreeMap::new();
    for row in rows {
        let place = (row.start, row.end, row.key.clone());
        let values = row.without(&["revision", "retracted"]);
        if row.flag("retracted") {
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
    fn late_partials_retract_the_sessions_that_they_change(
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
        let (whole, receiver) = raw_and_merged(&spec, &events, &steps, restores);
        prop_assert_eq!(standing(&receiver.rows), standing(&whole.rows));
        prop_assert_eq!(receiver.engine.stats().late_dropped, whole.engine.stats().late_dropped);
        // The number of emitted and retracted rows depends on the order within a partial, which is
        // that of the session starts.
    }
}

fn sessions(gap: &str, lateness: &str) -> PipelineSpec {
    let window = json!({
        "type": "window", "window": "session", "gap": gap, "allowed_lateness": lateness,
        "aggregations": ["first", "last", "sum", "count"],
    });
    Pipeline::keyed().stage(window).spec()
}

/// Returns the start and end in seconds, the count, and whether the row is retracted.
fn spans(rows: &[Row]) -> Vec<(i64, i64, f64, bool)> {
    let of = |row: &Row| {
        let retracted = row.has("retracted") && row.flag("retracted");
        (row.start / SECOND, row.end / SECOND, row.number("count"), retracted)
    };
    rows.iter().map(of).collect()
}

#[test]
fn session_of_a_partial_merges_all_sessions_it_overlaps() {
    let spec = sessions("10s", "0s");
    let (mut a, mut b) = (edge(&spec), edge(&spec));
    let mut run = Run::new(spec.clone());
    for (run_of, name) in [(&mut a, "a"), (&mut b, "b")] {
        merge(&mut run, &run_of.engine.partial(name).unwrap());
    }
    // The first source has three sessions. The session of the second source overlaps all of them.
    a.push(&[at(0, 1.0), at(20, 2.0), at(40, 3.0), at(100, 4.0)], KeysAs::Ids);
    merge(&mut run, &a.engine.partial("a").unwrap());
    run.restore();
    b.push(&[at(10, 5.0), at(20, 6.0), at(30, 7.0), at(100, 8.0)], KeysAs::Ids);
    merge(&mut run, &b.engine.partial("b").unwrap());
    let (rows, stats) = run.finish();
    assert_eq!(spans(&rows), [(0, 50, 6.0, false), (100, 110, 2.0, false)]);
    assert_eq!((rows[0].number("first"), rows[0].number("last")), (1.0, 3.0));
    assert_eq!((stats.late_dropped, stats.events), (0, 8));
}

#[test]
fn late_partial_retracts_all_sessions_that_it_merges() {
    let spec = sessions("10s", "100s");
    let (mut a, mut b) = (edge(&spec), edge(&spec));
    let mut run = Run::new(spec.clone());
    a.push(&[at(0, 1.0), at(20, 2.0), at(80, 3.0)], KeysAs::Ids);
    merge(&mut run, &a.engine.partial("a").unwrap());
    while run.poll(10) > 0 {}
    assert_eq!(spans(&run.rows), [(0, 10, 1.0, false), (20, 30, 1.0, false)]);
    b.push(&[at(10, 5.0), at(5, 6.0), at(90, 7.0)], KeysAs::Ids);
    merge(&mut run, &b.engine.partial("b").unwrap());
    let rows = run.finish().0;
    let expected =
        [(0, 10, 1.0, true), (20, 30, 1.0, true), (0, 30, 4.0, false), (80, 100, 2.0, false)];
    assert_eq!(spans(&rows)[2..], expected);
}

#[test]
fn sources_and_sequences_order_sessions_and_global_windows() {
    let global = r#"{"source": {"key": "k", "value": "v"}, "stages": [{"type": "window", "window": "global",
        "aggregations": ["first", "last", "sum", "count"]}]}"#;
    for spec in [sessions("10s", "0s"), spec(global)] {
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
            // A source without a partial holds the watermark back.
            merge(&mut run, &early);
            order.iter().for_each(|place| assert!(merge(&mut run, &parts[*place])));
            run.restore();
            run.finish().0
        };
        let expected = rows([0, 1, 2, 3]);
        assert_eq!(expected.len(), 1);
        assert_eq!((expected[0].number("first"), expected[0].number("last")), (1e16, 0.3));
        for order in [[2, 3, 0, 1], [0, 2, 1, 3], [2, 0, 3, 1]] {
            assert_eq!(rows(order), expected);
        }
    }
}

#[test]
fn session_of_a_partial_is_late_only_as_a_whole() {
    let spec = sessions("10s", "0s");
    let (mut fast, mut slow) = (edge(&spec), edge(&spec));
    let mut run = Run::new(spec.clone());
    let other = Event { key: 2, ..at(25, 1.0) };
    fast.push(&[other], KeysAs::Ids);
    merge(&mut run, &fast.engine.partial("fast").unwrap());
    // The second session is late: it ends at 14 s.
    let second = |seconds| Event { key: 3, ..at(seconds, 2.0) };
    let mine = [at(0, 1.0), at(10, 1.0), at(20, 1.0), second(3), second(4)];
    slow.push(&mine, KeysAs::Ids);
    merge(&mut run, &slow.engine.partial("slow").unwrap());
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 1);
    assert_eq!((drops[0].reason, drops[0].window_end), (RejectReason::Late, Some(14 * SECOND)));
    let (rows, stats) = run.finish();
    assert_eq!(spans(&rows), [(0, 30, 3.0, false), (25, 35, 1.0, false)]);
    assert_eq!((stats.late_dropped, stats.events), (2, 6));
}

#[test]
fn key_limit_holds_for_merged_partials() {
    let one_key = Pipeline::keyed().limit("max_keys", 1);
    for kind in [r#""window": "session", "gap": "10s""#, r#""window": "global""#] {
        let rows = |policy: &str| {
            let limited = one_key.clone().limit("on_max_keys", policy);
            let spec = limited.window(kind, json!(["count"])).spec();
            let mut run = Run::new(spec.clone());
            for (source, key) in [("a", 1), ("b", 2)] {
                let mut edge = edge(&spec);
                edge.push(&[Event { key, ..at(5, 1.0) }, Event { key, ..at(5, 1.0) }], KeysAs::Ids);
                merge(&mut run, &edge.engine.partial(source).unwrap());
            }
            run.restore();
            let (rows, stats) = run.finish();
            let keys: Vec<Vec<u8>> = rows.into_iter().map(|row| row.key).collect();
            (keys, stats.stages[0].key_limit, stats.stages[0].evicted_keys)
        };
        assert_eq!(rows("drop"), (vec![encoded(1)], 2, 0), "{kind}");
        assert_eq!(rows("evict"), (vec![encoded(2)], 0, 1), "{kind}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stages_after_merged_windows_read_the_same_rows(
        events in whole_events(),
        steps in steps(),
        first in prop::sample::select(vec![
            r#""window": "session", "gap": "1s", "allowed_lateness": "500ms""#,
            r#""window": "global""#,
        ]),
        buffer in prop::sample::select(vec![1_u32, 1000]),
        restores in any::<bool>(),
    ) {
        let second = json!([{"op": "sum", "field": "count"}, {"op": "max", "field": "max"}]);
        let spec = Pipeline::keyed()
            .result_rows(buffer)
            .window(first, json!(["count", "max"]))
            .window(r#""window": "tumbling", "size": "4s""#, second)
            .spec();
        let (whole, receiver) = raw_and_merged(&spec, &events, &steps, restores);
        prop_assert_eq!(&receiver.rows, &whole.rows);
        prop_assert_eq!(receiver.engine.stats().late_dropped, whole.engine.stats().late_dropped);
    }
}
