//! Partial state: the merged state of several engines gives the rows of the raw events.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stream_processor_core::{Engine, Error, Merged, Options, PipelineSpec, RejectReason};

use crate::common::partials::{
    SECOND, at, edge, merge, pipeline, raw_and_merged, steps, whole_events,
};
use crate::common::{KeysAs, Row, Run, spec};

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

/// Returns the last row of every window and key, without its revision.
fn last_rows(rows: &[Row]) -> BTreeMap<(i64, i64, Vec<u8>), Vec<u64>> {
    let of = |row: &Row| {
        ((row.start, row.end, row.key.clone()), row.without(&["revision", "retracted"]))
    };
    rows.iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn merged_partials_give_the_rows_of_the_raw_events(
        events in whole_events(),
        steps in steps(),
        window in all_windows(),
        bound in prop::sample::select(vec!["0s", "2s", "unbounded"]),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores in any::<bool>(),
    ) {
        let spec = pipeline(window, "0s", bound, buffer);
        let (whole, receiver) = raw_and_merged(&spec, &events, &steps, restores);
        prop_assert_eq!(&receiver.rows, &whole.rows);
        let (found, due) = (receiver.engine.stats(), whole.engine.stats());
        prop_assert_eq!(found.late_dropped, due.late_dropped);
        prop_assert_eq!((found.events, found.unassigned), (due.events, due.unassigned));
        prop_assert_eq!(found.stages[0].events, due.stages[0].events);
        prop_assert_eq!((found.stages[0].keys, found.stages[0].open_windows), (0, 0));
    }

    #[test]
    fn late_partials_revise_emitted_rows(
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
        let (whole, receiver) = raw_and_merged(&spec, &events, &steps, restores);
        prop_assert_eq!(last_rows(&receiver.rows), last_rows(&whole.rows));
        prop_assert_eq!(receiver.engine.stats().late_dropped, whole.engine.stats().late_dropped);
        prop_assert!(receiver.rows.len() <= whole.rows.len());
    }

    #[test]
    fn malformed_partials_are_refused_and_change_nothing(
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

fn first_and_last() -> PipelineSpec {
    spec(
        r#"{"source": {"key": "k", "value": "v"}, "stages": [{"type": "window", "window": "tumbling",
            "size": "10s", "aggregations": ["first", "last", "sum"]}]}"#,
    )
}

#[test]
fn sources_and_sequences_order_events_not_arrival() {
    let spec = first_and_last();
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
    assert_eq!((due[0].number("first"), due[0].number("last")), (1e16, 0.3));
    for order in [[2, 3, 0, 1], [0, 2, 1, 3], [2, 0, 3, 1]] {
        assert_eq!(rows(order), due);
    }
}

#[test]
fn late_partial_is_dropped_and_its_events_are_counted() {
    let spec = first_and_last();
    let (mut fast, mut slow) = (edge(&spec), edge(&spec));
    let mut run = Run::new(spec.clone());
    fast.push(&[at(1, 1.0), at(30, 2.0)], KeysAs::Ids);
    merge(&mut run, &fast.engine.partial("fast").unwrap());
    assert_eq!(run.poll(10), 1, "no other source is known");
    slow.push(&[at(2, 3.0), at(3, 4.0), at(25, 5.0)], KeysAs::Ids);
    merge(&mut run, &slow.engine.partial("slow").unwrap());
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 2, "one for each late window");
    assert_eq!((drops[0].reason, drops[0].window_end), (RejectReason::Late, Some(10 * SECOND)));
    assert_eq!(run.engine.stats().late_dropped, 3);
    assert_eq!(run.engine.stats().events, 5);
}

#[test]
fn invalid_partials_are_refused_with_the_reason() {
    let spec = first_and_last();
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
    let error = Engine::open(&crate::common::spec(count), options).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().starts_with("stages[0].window: windows of a count of events"),
        "{error}"
    );
}
