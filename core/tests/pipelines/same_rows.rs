//! Small examples of several stages, and of sessions, whose rows once depended on batches, shards
//! or the order of arrival. Each example states its expected rows and checks them for every way to
//! run the stream.

use serde_json::{Value, json};

use crate::cases::{Case, Run, WHOLE, runs, same_rows};

/// Checks that `events`, as seconds and keys, give `rows` through `stages` in every run.
#[track_caller]
fn check(stages: Value, events: &[(f64, &str)], rows: &[&str]) {
    let events = events
        .iter()
        .map(|(seconds, key)| json!({ "ts": seconds * 1000.0, "k": key, "v": seconds }));
    let pipeline = json!({ "source": { "key": "k", "value": "v" }, "stages": stages });
    let case = Case { pipeline, events: events.collect() };
    let opened = case.open().expect("a pipeline");
    let mut runs = runs(&opened.plan, 2);
    for batch in 1..=case.events.len() {
        runs.extend([batch, case.events.len()].map(|batch| Run { batch, restores: true, ..WHOLE }));
        let shards = if opened.plan.partitioned_by_key { 4 } else { 1 };
        runs.extend((1..=shards).map(|shards| Run { batch, shards, ..WHOLE }));
    }
    let output = match same_rows(&opened, &runs) {
        Ok(output) => output,
        Err(failure) => panic!("{case}{} differ: {}", failure.what, failure.detail),
    };
    let found: Vec<String> = output.rows.iter().map(|row| plain(&row.text)).collect();
    assert_eq!(found, rows, "{case}");
}

/// Returns the values of a row, separated by spaces. Times are seconds of the first minute after
/// the epoch.
fn plain(row: &str) -> String {
    let row = row.replace("1970-01-01T00:00:", "");
    let members = row.trim_start_matches('{').trim_end_matches('}').split(',');
    let value = |member: &str| {
        let (_, value) = member.split_once(':').unwrap();
        value.trim_matches('"').trim_end_matches('Z').to_owned()
    };
    members.map(value).collect::<Vec<_>>().join(" ")
}

fn normalize(interval: &str) -> Value {
    json!({ "type": "normalize", "interval": interval })
}

fn count(kind: &str, options: Value) -> Value {
    let mut stage = json!({ "type": "window", "window": kind, "aggregations": ["count"] });
    stage.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    stage
}

#[test]
fn grid_points_a_gap_apart_form_one_session() {
    let session = count("session", json!({ "gap": "1s" }));
    let events = [(0.0, "a"), (3.0, "a"), (6.0, "a"), (9.0, "a")];
    check(json!([normalize("1s"), session]), &events, &["a 00 10 10"]);
}

#[test]
fn early_rows_are_emitted_between_grid_points() {
    let early = count("tumbling", json!({ "size": "3s", "early": "1s" }));
    let events = [(0.0, "a"), (1.0, "a"), (2.0, "a"), (3.0, "a")];
    check(
        json!([normalize("1s"), early]),
        &events,
        &[
            // The watermark after the grid passes 1 s when the point at 1 s is emitted, and 2 s
            // likewise.
            "a 00 03 2 0 true",
            "a 00 03 3 1 true",
            "a 00 03 3 2 false",
            // The point at 3 s is emitted at the end of input. The watermark passes 4 s before it
            // passes 6 s.
            "a 03 06 1 0 true",
            "a 03 06 1 1 false",
        ],
    );
}

#[test]
fn window_row_reaches_the_next_stage_below_its_firing_watermark() {
    let early = count("tumbling", json!({ "size": "3s", "early": "1s" }));
    check(
        json!([count("tumbling", json!({ "size": "2s" })), early]),
        &[(23.5, "a"), (24.0, "c")],
        // The row of `a` arrives at a watermark just below 24 s, after all early times of its
        // window.
        &["a 21 24 1 0 false", "c 24 27 1 0 true", "c 24 27 1 1 false"],
    );
}

#[test]
fn count_window_takes_rows_of_one_watermark_in_key_order() {
    let sliding = count("sliding", json!({ "size": "4s", "slide": "2s" }));
    check(
        json!([sliding, count("count", json!({ "count": 1 }))]),
        &[(27.5, "a"), (28.5, "b")],
        &["a 27.999999 28 1", "a 29.999999 30 1", "b 29.999999 30 1", "b 31.999999 32 1"],
    );
}

#[test]
fn event_exactly_one_gap_later_joins_the_session_in_any_order() {
    let session = || json!([count("session", json!({ "gap": "10s" }))]);
    let events =
        [(0.0, "a"), (10.0, "b"), (10.0, "a"), (20.0, "b"), (20.0, "a"), (30.0, "a"), (30.0, "b")];
    let rows = ["a 00 40 4", "b 10 40 3"];
    check(session(), &events, &rows);
    let others =
        [(0.0, "a"), (10.0, "a"), (10.0, "b"), (20.0, "a"), (20.0, "b"), (30.0, "b"), (30.0, "a")];
    check(session(), &others, &rows);
}

#[test]
fn event_behind_the_watermark_joins_an_open_session() {
    let session = json!([count("session", json!({ "gap": "10s" }))]);
    let events = [(0.0, "k"), (10.0, "other"), (5.0, "k")];
    check(session, &events, &["k 00 15 2", "other 10 20 1"]);
}

#[test]
fn event_is_late_if_the_session_it_would_form_has_expired() {
    let session = json!([count("session", json!({ "gap": "10s" }))]);
    // The watermark is 20 s less 1 us: a session that ends at 20 s still accepts events, one that
    // ends before does not.
    let events = [(0.0, "k"), (20.0, "other"), (9.999, "k"), (10.0, "k")];
    check(session, &events, &["k 00 10 1", "k 10 20 1", "other 20 30 1"]);
}

#[test]
fn sample_after_silence_starts_a_series_with_its_own_interval() {
    let normalize = json!({ "type": "normalize", "interval": "auto", "max_buffered": 1 });
    // The interval of one sample is 1 us, so `a` is silent long before 11.5 s. Its last sample
    // starts a new grid.
    let events = [(10.5, "a"), (11.5, "b"), (3.0, "a")];
    let rows = ["a 10.5 10.5 false", "a 03 3 false", "b 11.5 11.5 false"];
    check(json!([normalize]), &events, &rows);
}
