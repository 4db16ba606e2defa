//! Late events, early rows and final rows: one example for each rule.

use serde_json::json;
use stream_processor_core::{Engine, Options, RejectReason};

use crate::common::late::{Setup, pipeline};
use crate::common::{Event, KeysAs, Pipeline, Row, Run};

const SECOND: i64 = 1_000_000;

fn at(seconds: i64, key: u32) -> Event {
    Event { ts: seconds * SECOND, key, value: 1.0 }
}

fn run_of(setup: Setup) -> Run {
    Run::new(pipeline(&[setup.stage("v")], Some(0), 1000))
}

/// Polls all rows and returns the start in seconds, the count and the revision of each.
fn polled(run: &mut Run) -> Vec<(i64, u32, u32)> {
    while run.poll(100) > 0 {}
    let number = |row: &Row, name: &str| row.number(name) as u32;
    let row = |row: Row| (row.start / SECOND, number(&row, "count"), number(&row, "revision"));
    core::mem::take(&mut run.rows).into_iter().map(row).collect()
}

#[test]
fn late_event_refires_its_window_until_the_window_expires() {
    let mut run = run_of(Setup::tumbling(10 * SECOND).lateness(5 * SECOND));
    run.push(&[at(1, 1), at(12, 1)], KeysAs::Ids);
    assert_eq!(polled(&mut run), [(0, 1, 0)]);
    run.push(&[at(2, 1)], KeysAs::Ids);
    assert_eq!(polled(&mut run), [(0, 2, 1)], "at once");
    run.push(&[at(3, 2)], KeysAs::Ids);
    assert_eq!(polled(&mut run), [(0, 1, 0)], "a key that had no row yet gets its first one");
    assert_eq!(run.engine.stats().stages[0].open_windows, 3);
    // The second event moves the watermark to just below 15 s, at which the window is removed.
    run.push(&[at(15, 1), at(4, 1)], KeysAs::Ids);
    assert_eq!(polled(&mut run), []);
    let drops = run.engine.drops(10);
    assert_eq!((drops[0].ordinal, drops[0].reason), (5, RejectReason::Late));
    assert_eq!((drops[0].watermark, drops[0].window_end), (15 * SECOND - 1, Some(10 * SECOND)));
    assert_eq!(drops[0].late_by(run.engine.plan()), Some(0));
    assert_eq!(run.engine.stats().stages[0].open_windows, 1, "the window is removed");
    run.push(&[at(20, 1), at(9, 1)], KeysAs::Ids);
    assert_eq!(run.engine.drops(10)[0].late_by(run.engine.plan()), Some(5 * SECOND));
}

#[test]
fn late_event_refires_each_fired_sliding_window_that_contains_it() {
    let mut run = run_of(Setup::sliding(10 * SECOND, 5 * SECOND).lateness(5 * SECOND));
    run.push(&[at(1, 1), at(7, 1), at(16, 1)], KeysAs::Ids);
    run.push(&[at(16, 1)], KeysAs::Ids);
    assert_eq!(polled(&mut run), [(-5, 1, 0), (0, 2, 0), (5, 1, 0)]);
    // The watermark is just below 16 s: [-5, 5) and [0, 10) have expired, [5, 15) has fired.
    run.push(&[at(8, 1), at(4, 1)], KeysAs::Ids);
    assert_eq!(polled(&mut run), [(5, 2, 1)]);
    assert_eq!(run.engine.stats().late_dropped, 1);
}

#[test]
fn final_row_is_emitted_once_after_the_allowed_lateness() {
    let mut run = run_of(Setup::tumbling(10 * SECOND).lateness(5 * SECOND).final_only());
    run.push(&[at(1, 1), at(12, 1), at(2, 1), at(14, 1)], KeysAs::Ids);
    assert_eq!(run.poll(10), 0);
    let stage = run.engine.stats().stages[0].clone();
    assert_eq!((stage.watermark, stage.next_fire), (Some(14 * SECOND - 1), Some(15 * SECOND - 1)));
    run.push(&[at(15, 1)], KeysAs::Ids);
    assert_eq!(run.poll(10), 1);
    assert_eq!(run.rows[0].values.len(), 5, "no revision");
    assert_eq!((run.rows[0].firing, run.rows[0].end), (15 * SECOND - 1, 10 * SECOND));
    assert_eq!(run.engine.stats().stages[0].next_fire, Some(25 * SECOND - 1));
}

#[test]
fn early_row_is_emitted_only_for_a_window_that_changed() {
    let mut run = run_of(Setup::tumbling(60 * SECOND).early(10 * SECOND));
    run.push(&[at(1, 1), at(2, 2), at(10, 1)], KeysAs::Ids);
    assert_eq!(polled(&mut run), [], "the watermark is just below 10 s");
    run.push(&[at(11, 1)], KeysAs::Ids);
    assert_eq!(polled(&mut run), [(0, 3, 0), (0, 1, 0)]);
    run.push(&[at(12, 1), at(55, 1)], KeysAs::Ids);
    let early = |run: &Run| run.rows.iter().map(|row| row.flag("early")).collect();
    run.poll(10);
    let (firing, marks): (Vec<i64>, Vec<bool>) =
        (run.rows.iter().map(|row| row.firing).collect(), early(&run));
    assert_eq!((firing, marks), (vec![20 * SECOND], vec![true]), "one row, however far it went");
    assert_eq!(polled(&mut run), [(0, 5, 1)]);
    run.push(&[at(70, 9)], KeysAs::Ids);
    run.poll(10);
    assert_eq!(early(&run), [false, false]);
    assert_eq!(polled(&mut run), [(0, 5, 2), (0, 1, 1)], "all keys, changed or not");
}

#[test]
fn last_revision_of_a_large_window_equals_its_final_row() {
    let aggregations = json!([
        "p50", {"op": "p95", "engine": "tdigest"}, {"op": "p99", "engine": "exact"}, "variance",
        "distinct", "rate", "first", "last",
    ]);
    let rows = |setup: Setup| {
        let stage = setup.stage_of("v", aggregations.clone());
        let mut run = Run::new(pipeline(&[stage], Some(0), 1000));
        let event = |nth: i64, ts| Event { ts, key: 1, value: (nth * 7919 % 5003) as f64 / 7.0 };
        let on_time = (0..3000).map(|nth| event(nth, nth * 3000)).collect::<Vec<_>>();
        let late = (0..300).map(|nth| event(nth + 50, nth * 20_000)).collect::<Vec<_>>();
        for batch in [&on_time[..], &[at(12, 2)], &late] {
            run.push(batch, KeysAs::Ids);
            run.restore();
        }
        run.finish().0
    };
    let tumbling = Setup::tumbling(10 * SECOND).lateness(5 * SECOND);
    let sliding = Setup::sliding(10 * SECOND, 2 * SECOND).lateness(10 * SECOND);
    for setup in [tumbling, sliding] {
        let (once, mut revised) = (rows(setup.final_only()), rows(setup));
        assert!(revised.len() > 300);
        revised.retain(|row| row.start == 0 && row.key == once[0].key);
        let expected = once.into_iter().find(|row| row.start == 0).unwrap();
        assert_eq!(revised.last().unwrap().without(&["revision"]), expected.values);
    }
}

#[test]
fn watermark_jump_emits_one_early_row_per_window() {
    let setup = Setup::sliding(3600 * SECOND, 600 * SECOND).lateness(SECOND).early(1_000);
    let mut run = run_of(setup);
    let far = 200 * 365 * 86_400;
    run.push(&[at(0, 1), at(far, 1), at(far, 2)], KeysAs::Ids);
    let rows = polled(&mut run);
    let of = |revision, start| rows.iter().filter(|row| row.2 == revision && row.0 < start).count();
    assert_eq!(of(0, 3600), 6, "one early row of each window");
    assert_eq!(of(1, 3600), 6, "and the one when it ends");
    assert_eq!(
        rows.len(),
        17,
        "and early ones of the windows that have begun where it has come to"
    );
}

#[test]
fn slices_kept_for_late_events_count_for_the_window_limit() {
    let setup = Setup::tumbling(SECOND).lateness(2 * SECOND);
    let mut pipeline = pipeline(&[setup.stage("v")], Some(0), 1000);
    pipeline.limits.max_windows_per_key = 3;
    let mut run = Run::new(pipeline.clone());
    run.push(&[at(0, 1), at(1, 1), at(2, 1), at(3, 1), at(4, 1)], KeysAs::Ids);
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 1, "two that have fired, one that will, and none more");
    assert_eq!((drops[0].ordinal, drops[0].reason), (3, RejectReason::WindowLimit));
    pipeline.limits.max_windows_per_key = 2;
    let error = Engine::open(&pipeline, Options::default()).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stages[0].allowed_lateness: 2s after windows of 1s, 3 slices of 1000000 us would be kept for each key, \
         more than limits.max_windows_per_key = 2"
    );
}

#[test]
fn invalid_options_are_refused_with_path_and_reason() {
    let error = |fields: &str, more: &str| {
        let options = format!(r#""window": "tumbling", "size": "10s", {fields}"#);
        let pipeline = Pipeline::of(json!({"value": "v"})).window(&options, json!(["count"]));
        pipeline.stages(more).refusal()
    };
    let next = r#"{"type": "window", "window": "tumbling", "size": "1m", "aggregations": ["sum"]}"#;
    let cases = [
        (
            r#""allowed_lateness": "-1s""#,
            "",
            "stages[0].allowed_lateness: -1s: must be 0s or longer",
        ),
        (
            r#""early": "10s""#,
            "",
            "stages[0].early: 10s: must be longer than 0s and shorter than the window, 10s",
        ),
        (r#""early": "0s""#, "", "stages[0].early: 0s: must be longer than 0s"),
        (
            r#""early": "1s""#,
            next,
            "stages[0].early: a window before another stage gives each row once",
        ),
        (
            r#""early": "1s", "emit": "final""#,
            "",
            "stages[0].early: emit = \"final\" gives each row once",
        ),
        (r#""emit": "finl""#, "", "did you mean `final`?"),
    ];
    for (fields, more, start) in cases {
        let found = error(fields, more);
        assert!(found.contains(start), "{found}");
    }
    let taken = r#"{"type": "window", "window": "tumbling", "size": "1m", "early": "1s",
        "aggregations": [{"op": "sum", "name": "revision"}]}"#;
    assert!(error(r#""emit": "close""#, taken).contains("a second column `revision`"));
    assert_eq!(error(r#""allowed_lateness": "1s", "emit": "final""#, next), "");
}

#[test]
fn revision_and_early_columns_exist_only_if_a_window_has_several_rows() {
    let columns = |setup: Setup| {
        let run = run_of(setup);
        let columns = run.engine.plan().output.columns.iter().skip(7);
        columns.map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    let plain = Setup::tumbling(SECOND);
    assert_eq!(columns(plain), [""; 0]);
    assert_eq!(columns(plain.lateness(1)), ["revision"]);
    assert_eq!(columns(plain.early(1)), ["revision", "early"]);
    assert_eq!(columns(plain.lateness(1).final_only()), [""; 0]);
}
