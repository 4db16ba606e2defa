//! Session windows compared with the oracle, for all batches, polls, shards, key forms and
//! snapshots.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{PipelineSpec, RejectReason, Stats, watermark::Generator};

use crate::common::{Event, KeysAs, Pipeline, Row, Run, bits, cuts, encoded, events, run_cut};

/// The options of a session window, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Sessions {
    gap: i64,
    /// The out-of-orderness; `None` if the watermark rises only at the end of input.
    bound: Option<i64>,
    lateness: i64,
    is_final: bool,
}

impl Sessions {
    fn new(gap: i64, bound: i64, lateness: i64) -> Self {
        Self { gap, bound: Some(bound), lateness, is_final: false }
    }

    /// Returns a keyed pipeline with all aggregations of the oracle.
    fn pipeline(self, result_rows: u32) -> PipelineSpec {
        let Self { gap, bound, lateness, is_final } = self;
        let window = json!({
            "type": "window", "window": "session", "gap": format!("{gap}us"),
            "allowed_lateness": format!("{lateness}us"),
            "emit": if is_final { "final" } else { "close" },
            "aggregations": ["count", "sum", "avg", "min", "max"],
        });
        Pipeline::keyed().bound_us(bound).result_rows(result_rows).stage(window).spec()
    }

    /// Returns true if a session may emit more than one row.
    fn revises(self) -> bool {
        self.lateness > 0 && !self.is_final
    }
}

/// An open session of the oracle.
#[derive(Debug, Clone)]
struct Session {
    key: Vec<u8>,
    start: i64,
    /// Time of the last event.
    last: i64,
    summary: Summary,
    /// The revision of the emitted row, if there is one.
    fired: Option<u32>,
    /// The next revision: one more than the greatest revision of all replaced rows.
    replaces: u32,
}

/// The aggregates, with the compensated sum as two numbers.
#[derive(Debug, Clone, Copy)]
struct Summary {
    count: f64,
    sum: f64,
    lost: f64,
    min: f64,
    max: f64,
}

impl Summary {
    fn of(value: f64) -> Self {
        Self { count: 1.0, sum: value, lost: 0.0, min: value, max: value }
    }

    /// Merges `later`, whose events follow the ones of this summary.
    fn merged(self, later: Self) -> Self {
        let sum = self.sum + later.sum;
        let error = if self.sum.abs() >= later.sum.abs() {
            (self.sum - sum) + later.sum
        } else {
            (later.sum - sum) + self.sum
        };
        Self {
            count: self.count + later.count,
            sum,
            lost: (self.lost + later.lost) + error,
            min: self.min.min(later.min),
            max: self.max.max(later.max),
        }
    }

    fn values(self) -> [f64; 5] {
        let finite = |x: f64| if x.is_finite() { x } else { f64::NAN };
        let total = finite(self.sum + self.lost);
        [self.count, total, finite(total / self.count), self.min, self.max]
    }
}

struct Oracle {
    rows: Vec<Row>,
    late: u64,
    open: Vec<Session>,
    with: Sessions,
}

impl Oracle {
    fn of(events: &[Event], with: Sessions) -> Self {
        let mut oracle = Self { rows: vec![], late: 0, open: vec![], with };
        let mut greatest: Option<i64> = None;
        for event in events {
            let watermark = greatest.zip(with.bound).map_or(i64::MIN, |(ts, bound)| ts - bound - 1);
            oracle.advance(watermark);
            oracle.process(event, watermark);
            greatest = Some(greatest.map_or(event.ts, |greatest| greatest.max(event.ts)));
        }
        oracle.advance(i64::MAX);
        oracle
    }

    fn end(&self, session: &Session) -> i64 {
        session.last + self.with.gap
    }

    /// Fires the sessions that end at or before `watermark`, and removes those that have expired.
    fn advance(&mut self, watermark: i64) {
        let Sessions { lateness, is_final, .. } = self.with;
        let delay = if is_final { lateness } else { 0 };
        self.open.sort_by_key(|session| (session.last, session.start, session.key.clone()));
        for at in 0..self.open.len() {
            let fires_at = self.end(&self.open[at]) + delay;
            if self.open[at].fired.is_none() && fires_at <= watermark {
                self.fire(at, fires_at);
            }
        }
        let gap = self.with.gap;
        self.open
            .retain(|session| session.fired.is_none() || session.last + gap + lateness > watermark);
    }

    fn fire(&mut self, at: usize, firing: i64) {
        self.open[at].fired = Some(self.open[at].replaces);
        self.row(at, firing, false);
    }

    /// Appends a row of the session, or its retraction.
    fn row(&mut self, at: usize, firing: i64, retracted: bool) {
        let session = &self.open[at];
        let mut values = session.summary.values().map(bits).to_vec();
        if self.with.revises() {
            values.push(bits(session.fired.unwrap().into()));
            values.push(bits(f64::from(u8::from(retracted))));
        }
        let (start, end, key) = (session.start, self.end(session), session.key.clone());
        self.rows.push(Row { firing, end, start, key, values, ..Row::default() });
    }

    /// Processes one event: merges it with the sessions within the gap, or drops it as late.
    fn process(&mut self, event: &Event, watermark: i64) {
        let Sessions { gap, lateness, .. } = self.with;
        let key = encoded(event.key);
        let near = |session: &&Session| {
            session.key == key && session.start - gap <= event.ts && event.ts <= session.last + gap
        };
        let mut parts: Vec<Session> = self.open.iter().filter(near).cloned().collect();
        parts.sort_by_key(|part| part.start);
        let start = parts.iter().map(|part| part.start).fold(event.ts, i64::min);
        let last = parts.iter().map(|part| part.last).fold(event.ts, i64::max);
        if last + gap + lateness <= watermark {
            self.late += 1;
            return;
        }
        for part in &parts {
            let at = self.open.iter().position(|s| s.key == key && s.start == part.start).unwrap();
            if part.fired.is_some() && (part.start, part.last) != (start, last) {
                self.row(at, watermark, true);
            }
            self.open.remove(at);
        }
        let replaces = parts.iter().map(|part| part.fired.map_or(part.replaces, |n| n + 1)).max();
        let event_alone = Summary::of(event.value);
        let summary = match &parts[..] {
            [] => event_alone,
            [part] => part.summary.merged(event_alone),
            [left, right] => left.summary.merged(event_alone).merged(right.summary),
            _ => panic!("more than two sessions within reach"),
        };
        let replaces = replaces.unwrap_or(0);
        self.open.push(Session { key, start, last, summary, fired: None, replaces });
        if self.with.revises() && last + gap <= watermark {
            self.fire(self.open.len() - 1, watermark);
        }
    }
}

fn sessions() -> impl Strategy<Value = Sessions> {
    let gap = prop::sample::select(vec![1_i64, 500_000, 1_000_000, 3_000_000, 20_000_000]);
    let bound = prop::sample::select(vec![Some(0_i64), Some(2_000_000), None]);
    let lateness = prop::sample::select(vec![0_i64, 1, 1_000_000, 5_000_000, 60_000_000]);
    (gap, bound, lateness, any::<bool>()).prop_map(|(gap, bound, lateness, is_final)| Sessions {
        gap,
        bound,
        lateness,
        is_final,
    })
}

/// Returns the same stream with fewer keys and coarse times: ties, touching sessions and merges are
/// common.
fn coarse(events: Vec<Event>) -> Vec<Event> {
    let coarse = |event: Event| Event {
        ts: event.ts.div_euclid(250_000) * 250_000,
        key: event.key % 3,
        ..event
    };
    events.into_iter().map(coarse).collect()
}

fn streams() -> impl Strategy<Value = Vec<Event>> {
    prop_oneof![events(), events().prop_map(coarse)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn rows_equal_the_oracle(
        events in streams(),
        cuts in cuts(),
        sessions in sessions(),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in any::<bool>(),
    ) {
        let expected = Oracle::of(&events, sessions);
        let mut run = Run::new(sessions.pipeline(buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(rows, expected.rows);
        prop_assert_eq!(stats.late_dropped, expected.late);
        prop_assert_eq!(stats.events, events.len() as u64);
        prop_assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (0, 0));
    }

    #[test]
    fn roll_up_of_sessions_does_not_depend_on_cuts(
        events in streams(),
        cuts in cuts(),
        lateness in prop::sample::select(vec!["0s", "2s"]),
    ) {
        let first = json!({
            "type": "window", "window": "session", "gap": "500ms", "allowed_lateness": lateness,
            "aggregations": ["count"],
        });
        let pipeline = Pipeline::keyed().bound("1s").result_rows(2).stage(first);
        let second = r#""window": "session", "gap": "5s""#;
        let pipeline = pipeline.window(second, json!(["count", "sum"])).spec();
        let mut whole = Run::new(pipeline.clone());
        whole.push(&events, KeysAs::Encoded);
        let expected = whole.finish();
        prop_assert_eq!(run_cut(Run::new(pipeline), &events, &cuts), expected.clone());
        let (rows, stats): (Vec<Row>, Stats) = expected;
        prop_assert_eq!(stats.stages[1].late_dropped, 0);
        let counted: f64 = rows.iter().map(|row| row.number("sum")).sum();
        prop_assert_eq!(counted, (events.len() as u64 - stats.late_dropped) as f64);
    }

    #[test]
    fn merged_shards_equal_one_engine(
        events in streams(),
        sessions in sessions(),
        batch in 1_usize..50,
        shards in 2_u32..5,
    ) {
        let sessions = Sessions { lateness: 0, ..sessions };
        let pipeline = sessions.pipeline(1000);
        let mut generator = Generator::new(&pipeline);
        let mut runs: Vec<Run> = (0..shards).map(|_| Run::new(pipeline.clone())).collect();
        for batch in events.chunks(batch) {
            let timestamps: Vec<i64> = batch.iter().map(|event| event.ts).collect();
            let mut watermarks = Vec::new();
            generator.observe_all(&timestamps, &mut watermarks);
            for (shard, run) in (0..).zip(&mut runs) {
                let mine = |at: &usize| batch[*at].key % shards == shard;
                let picked: Vec<usize> = (0..batch.len()).filter(mine).collect();
                let part: Vec<Event> = picked.iter().map(|at| batch[*at]).collect();
                let input_watermarks: Vec<i64> = picked.iter().map(|at| watermarks[*at]).collect();
                run.push_with_watermarks(&part, None, Some(&input_watermarks), KeysAs::Ids);
                run.advance(generator.watermark());
            }
        }
        let mut rows: Vec<Row> = runs.into_iter().flat_map(|run| run.finish().0).collect();
        rows.sort_by(|a, b| (a.firing, a.start, &a.key).cmp(&(b.firing, b.start, &b.key)));
        prop_assert_eq!(rows, Oracle::of(&events, sessions).rows);
    }
}

/// Generates events whose times are whole seconds, so that no aggregation depends on the order
/// within a session.
fn events_of_whole_seconds() -> impl Strategy<Value = Vec<Event>> {
    let event = (0_i64..40, 0_u32..2, -100..100_i32);
    prop::collection::vec(event, 1..100).prop_map(|events| {
        let event = |(ts, key, value)| Event { ts: ts * 1_000_000, key, value: f64::from(value) };
        events.into_iter().map(event).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn aggregations_of_merged_sessions_equal_those_of_all_their_events(
        events in events_of_whole_seconds(),
        cuts in cuts(),
        lateness in prop::sample::select(vec!["0s", "10s", "60s"]),
    ) {
        let window = json!({
            "type": "window", "window": "session", "gap": "2s", "allowed_lateness": lateness,
            "aggregations": [
                "count", "sum", "range", "variance", "stddev", "first", "last", "p50", "p95",
                {"op": "p99", "engine": "exact"},
            ],
        });
        let mut run = Run::new(Pipeline::keyed().bound("4s").result_rows(3).stage(window).spec());
        run.restores_when_full = true;
        let (rows, stats) = run_cut(run, &events, &cuts);
        let mut truth: Vec<Row> = Vec::new();
        for row in rows {
            // The last row of a session is the valid one, unless it is retracted.
            truth.retain(|known| (known.start, known.end, &known.key) != (row.start, row.end, &row.key));
            if lateness == "0s" || !row.flag("retracted") {
                truth.push(row);
            }
        }
        let mut counted = 0;
        for row in &truth {
            let within = |event: &&Event| {
                encoded(event.key) == row.key && (row.start..row.end).contains(&event.ts)
            };
            let mut group: Vec<Event> = events.iter().filter(within).copied().collect();
            counted += group.len();
            if stats.late_dropped == 0 {
                group.sort_by_key(|event| event.ts);
                let found = row.numbers();
                let expected = aggregations(&group);
                for (found, expected) in found.iter().zip(&expected) {
                    let same = (found - expected).abs() <= 1e-9 * expected.abs().max(1.0);
                    prop_assert!(same || (found.is_nan() && expected.is_nan()), "{:?} {:?}", found, expected);
                }
            }
        }
        if stats.late_dropped == 0 {
            prop_assert_eq!(counted, events.len());
        }
    }
}

/// Returns the expected aggregations of events in event-time order.
fn aggregations(group: &[Event]) -> [f64; 10] {
    let values: Vec<f64> = group.iter().map(|event| event.value).collect();
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let squares: f64 =
        values.iter().map(|value| (value - sum / count) * (value - sum / count)).sum();
    let variance = if values.len() < 2 { f64::NAN } else { squares / (count - 1.0) };
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let percentile = |percent| crate::common::linear(&values, percent);
    [
        count,
        sum,
        max - min,
        variance,
        variance.sqrt(),
        values[0],
        values[values.len() - 1],
        percentile("50"),
        percentile("95"),
        percentile("99"),
    ]
}

const SECOND: i64 = 1_000_000;

fn at(seconds: i64, key: u32) -> Event {
    Event { ts: seconds * SECOND, key, value: seconds as f64 }
}

/// Returns the start and end in seconds, and the count, of each row.
fn bounds(rows: &[Row]) -> Vec<(i64, i64, f64)> {
    let bounds = |row: &Row| (row.start / SECOND, row.end / SECOND, row.number("count"));
    rows.iter().map(bounds).collect()
}

/// Returns the same as [`bounds`], and the revision and whether the row is retracted.
fn revisions(rows: &[Row]) -> Vec<(i64, i64, f64, f64, bool)> {
    let bounds = bounds(rows).into_iter().zip(rows);
    bounds
        .map(|((s, e, n), row)| (s, e, n, row.number("revision"), row.flag("retracted")))
        .collect()
}

fn run(gap: i64, bound: i64, lateness: i64, events: &[Event]) -> (Vec<Row>, Stats) {
    let sessions = Sessions::new(gap * SECOND, bound * SECOND, lateness * SECOND);
    let mut run = Run::new(sessions.pipeline(100));
    run.push(events, KeysAs::Ids);
    run.finish()
}

#[test]
fn events_exactly_one_gap_apart_form_one_session() {
    let (rows, _) = run(10, 0, 0, &[at(0, 1), at(10, 1), at(21, 1)]);
    assert_eq!(bounds(&rows), [(0, 20, 2.0), (21, 31, 1.0)]);
    assert_eq!(rows[0].firing, 20 * SECOND);
}

#[test]
fn event_between_two_sessions_merges_them() {
    let (rows, _) =
        run(10, 30, 0, &[at(0, 1), at(30, 1), at(15, 2), at(15, 1), at(8, 1), at(22, 1)]);
    assert_eq!(bounds(&rows), [(15, 25, 1.0), (0, 40, 5.0)]);
}

#[test]
fn session_stays_open_until_watermark_reaches_its_end() {
    let (rows, stats) = run(10, 0, 0, &[at(0, 1), at(10, 2), at(5, 1)]);
    assert_eq!(bounds(&rows), [(0, 15, 2.0), (10, 20, 1.0)]);
    assert_eq!(stats.late_dropped, 0);
}

#[test]
fn events_in_order_across_keys_join_their_sessions_in_any_key_order() {
    let [a, b] = [1, 2];
    let events = [at(0, a), at(10, b), at(10, a), at(20, b), at(20, a), at(30, a), at(30, b)];
    let (rows, stats) = run(10, 0, 0, &events);
    assert_eq!(bounds(&rows), [(0, 40, 4.0), (10, 40, 3.0)]);
    assert_eq!(stats.late_dropped, 0);
}

#[test]
fn expired_session_is_not_extended() {
    let (rows, stats) = run(10, 0, 0, &[at(0, 1), at(11, 2), at(5, 1)]);
    assert_eq!(bounds(&rows), [(0, 10, 1.0), (5, 15, 1.0), (11, 21, 1.0)]);
    assert_eq!(stats.late_dropped, 0);
}

#[test]
fn event_is_late_if_the_session_it_would_form_has_expired() {
    let sessions = Sessions::new(10 * SECOND, 0, 0);
    let mut run = Run::new(sessions.pipeline(100));
    // The watermark is just below 26 s. A session of 15 alone would end at 25; merged with 20 it is
    // still open.
    run.push(&[at(20, 1), at(26, 2), at(15, 3), at(15, 1), at(10, 1)], KeysAs::Ids);
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 1);
    assert_eq!((drops[0].ordinal, drops[0].reason), (2, RejectReason::Late));
    assert_eq!((drops[0].watermark, drops[0].window_end), (26 * SECOND - 1, Some(25 * SECOND)));
    let (rows, stats) = run.finish();
    assert_eq!(bounds(&rows), [(10, 30, 3.0), (26, 36, 1.0)]);
    assert_eq!(stats.late_dropped, 1);
}

/// Replays `testSessionWindows` of Apache Flink's `WindowOperatorTest` and checks its expected
/// sums: a gap of 3 s, with watermarks sent by hand.
#[test]
fn sessions_equal_those_of_flink() {
    let event = |key: u32, value: f64, ts: i64| Event { ts: ts * 1_000, key, value };
    let mut run =
        Run::new(Sessions { bound: None, ..Sessions::new(3 * SECOND, 0, 0) }.pipeline(100));
    run.push(
        &[
            event(2, 1.0, 0),
            event(2, 2.0, 1_000),
            event(2, 3.0, 2_500),
            event(1, 1.0, 10),
            event(1, 2.0, 1_000),
        ],
        KeysAs::Ids,
    );
    run.restore();
    run.push(
        &[
            event(1, 3.0, 2_500),
            event(2, 4.0, 5_501),
            event(2, 5.0, 6_000),
            event(2, 5.0, 6_000),
            event(2, 6.0, 6_050),
        ],
        KeysAs::Ids,
    );
    run.advance(12_000 * 1_000);
    while run.poll(10) > 0 {}
    run.push(&[event(2, 10.0, 15_000), event(2, 20.0, 15_000)], KeysAs::Ids);
    run.advance(17_999 * 1_000);
    let (rows, _) = run.finish();
    let sums: Vec<_> = rows
        .iter()
        .map(|row| (row.key.clone(), row.number("sum"), row.start / 1_000, row.end / 1_000))
        .collect();
    let expected = [
        (encoded(1), 6.0, 10, 5_500),
        (encoded(2), 6.0, 0, 5_500),
        (encoded(2), 20.0, 5_501, 9_050),
        (encoded(2), 30.0, 15_000, 18_000),
    ];
    let mut expected = expected.to_vec();
    expected[..2].sort_by_key(|(_, _, start, _)| *start);
    assert_eq!(sums, expected);
}

/// Replays `shouldMergeSessions` of Kafka Streams' `KStreamSessionWindowAggregateProcessorTest`: a
/// gap of 5 min, an event just beyond it, and one between the two. Its sessions end at their last
/// event.
#[test]
fn sessions_equal_those_of_kafka_streams() {
    let gap = 300_000_000;
    let event = |ts: i64| Event { ts, key: 1, value: 1.0 };
    let mut run = Run::new(Sessions::new(gap, 2 * gap, 0).pipeline(100));
    run.push(&[event(0), event(gap + 1_000)], KeysAs::Ids);
    assert_eq!(run.engine.stats().stages[0].open_windows, 2);
    run.push(&[event(gap / 2)], KeysAs::Ids);
    assert_eq!(run.engine.stats().stages[0].open_windows, 1);
    let (rows, _) = run.finish();
    let found: Vec<_> =
        rows.iter().map(|row| (row.start, row.end - gap, row.number("count"))).collect();
    assert_eq!(found, [(0, gap + 1_000, 3.0)]);
}

#[test]
fn two_events_merge_three_sessions_into_one() {
    let minute = |n: i64| at(60 * n, 1);
    let events = [minute(0), minute(10), minute(20), minute(5), minute(15)];
    let (rows, _) = run(5 * 60, 3600, 0, &events);
    assert_eq!(bounds(&rows), [(0, 1500, 5.0)]);
}

#[test]
fn late_event_in_a_fired_session_emits_the_next_revision_at_once() {
    let (rows, _) =
        run(10, 0, 20, &[at(0, 1), at(8, 1), at(20, 2), at(4, 1), at(4, 1), at(60, 2), at(4, 1)]);
    assert_eq!(
        revisions(&rows),
        [
            (0, 18, 2.0, 0.0, false),
            (0, 18, 3.0, 1.0, false),
            (0, 18, 4.0, 2.0, false),
            (20, 30, 1.0, 0.0, false),
            (60, 70, 1.0, 0.0, false),
        ]
    );
    assert_eq!(rows[1].firing, 20 * SECOND - 1);
}

#[test]
fn merged_session_retracts_the_rows_it_replaces_first() {
    let events = [at(0, 1), at(15, 1), at(30, 2), at(7, 1), at(12, 1), at(40, 2)];
    let (rows, _) = run(10, 0, 100, &events);
    assert_eq!(
        revisions(&rows),
        [
            (0, 10, 1.0, 0.0, false),
            (15, 25, 1.0, 0.0, false),
            (0, 10, 1.0, 0.0, true),
            (15, 25, 1.0, 0.0, true),
            (0, 25, 3.0, 1.0, false),
            (0, 25, 4.0, 2.0, false),
            (30, 50, 2.0, 0.0, false),
        ]
    );
}

#[test]
fn fired_session_that_is_extended_is_retracted_and_fires_again_at_its_end() {
    // At a watermark of 12 s the session from 0 has fired. The event at 9 extends it to 19, so it
    // is open again.
    let events = [at(0, 1), at(12, 2), at(9, 1), at(14, 2), at(5, 3), at(30, 2)];
    let (rows, _) = run(10, 0, 100, &events);
    assert_eq!(
        revisions(&rows),
        [
            (0, 10, 1.0, 0.0, false),
            (0, 10, 1.0, 0.0, true),
            (5, 15, 1.0, 0.0, false),
            (0, 19, 2.0, 1.0, false),
            (12, 24, 2.0, 0.0, false),
            (30, 40, 1.0, 0.0, false),
        ]
    );
}

#[test]
fn merged_session_continues_the_revisions_of_its_parts() {
    // [0, 10) fires, is extended to 19 without firing, and is then merged with the session that
    // starts at 21.
    let events = [at(0, 1), at(12, 2), at(9, 1), at(21, 1), at(15, 1)];
    let (rows, _) = run(10, 8, 100, &[&events[..1], &[at(20, 2)], &events[2..]].concat());
    assert_eq!(
        revisions(&rows),
        [
            (0, 10, 1.0, 0.0, false),
            (0, 10, 1.0, 0.0, true),
            (20, 30, 1.0, 0.0, false),
            (0, 31, 4.0, 1.0, false),
        ]
    );
}

#[test]
fn final_row_is_emitted_once_after_the_allowed_lateness() {
    let sessions = Sessions { is_final: true, ..Sessions::new(10 * SECOND, 0, 5 * SECOND) };
    let mut run = Run::new(sessions.pipeline(100));
    run.push(&[at(0, 1), at(14, 2), at(3, 1), at(19, 2), at(3, 1)], KeysAs::Ids);
    assert_eq!(run.poll(10), 1);
    assert_eq!(bounds(&run.rows), [(0, 13, 2.0)]);
    assert_eq!(run.rows[0].firing, 18 * SECOND);
    let (rows, stats) = run.finish();
    assert_eq!((rows.len(), stats.late_dropped), (2, 1));
}

#[test]
fn session_limits_count_open_sessions() {
    let mut pipeline = Sessions { bound: None, ..Sessions::new(SECOND, 0, 0) }.pipeline(100);
    pipeline.limits.max_keys = 2;
    pipeline.limits.max_windows_per_key = 2;
    let mut run = Run::new(pipeline);
    let events = [at(0, 1), at(0, 2), at(0, 3), at(5, 1), at(9, 1), at(5, 1), at(6, 1), at(20, 2)];
    run.push(&events, KeysAs::Ids);
    let reasons: Vec<_> =
        run.engine.drops(10).iter().map(|drop| (drop.ordinal, drop.reason)).collect();
    assert_eq!(reasons, [(2, RejectReason::KeyLimit), (4, RejectReason::WindowLimit)]);
    run.restore();
    let (rows, stats) = run.finish();
    assert_eq!(rows.len(), 4);
    assert_eq!(stats.limits_struck, ["key_limit", "window_limit"]);
    assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (0, 0));
}

#[test]
fn times_at_the_ends_of_the_range_form_sessions() {
    let end = 8_640_000_000_000_000_000;
    let events = [-end, -end + 1, end, end - 1].map(|ts| Event { ts, key: 1, value: 1.0 });
    for lateness in ["0s", "520000w"] {
        let window = json!({
            "type": "window", "window": "session", "gap": "520000w", "allowed_lateness": lateness,
            "aggregations": ["count"],
        });
        let mut run = Run::new(Pipeline::keyed().bound("520000w").stage(window).spec());
        run.push(&events, KeysAs::Ids);
        run.restore();
        let (rows, stats) = run.finish();
        assert_eq!(rows.iter().map(|row| row.number("count")).sum::<f64>(), 4.0);
        assert_eq!((rows.len(), stats.rejected), (2, 0));
    }
}

#[test]
fn invalid_options_are_refused_with_path_and_reason() {
    let error = |fields: &str| Pipeline::of(json!({})).window(fields, json!(["count"])).refusal();
    let session = |fields: &str| error(&format!(r#""window": "session", {fields}"#));
    assert_eq!(
        error(r#""window": "session""#),
        "stages[0].gap: missing: the longest time between two events of a session, such as \"30s\""
    );
    assert!(session(r#""gap": "0s""#).starts_with("stages[0].gap: 0s: a gap must be longer"));
    assert!(session(r#""gap": "1s", "size": "1m""#).starts_with("stages[0].size: sessions"));
    assert!(session(r#""gap": "1s", "slide": "1m""#).starts_with("stages[0].slide: sessions"));
    assert!(session(r#""gap": "1s", "offset": "1m""#).starts_with("stages[0].offset: sessions"));
    assert!(session(r#""gap": "1s", "early": "1m""#).starts_with("stages[0].early: a session may"));
    assert!(
        session(r#""gap": "1s", "allowed_lateness": "-1s""#)
            .starts_with("stages[0].allowed_lateness: -1s: must be 0s or longer")
    );
    assert!(error(r#""window": "tumbling""#).starts_with("stages[0].size: missing: the length of"));
    assert!(
        error(r#""window": "tumbling", "size": "1m", "gap": "1s""#)
            .ends_with("so they have none: remove it, or set window = \"session\"")
    );
}
