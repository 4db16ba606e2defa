//! Sliding windows compared with the oracle, for all batches, polls, shards, key forms and
//! snapshots.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{PipelineSpec, RejectReason, watermark::Generator};

use crate::common::{
    Event, KeysAs, Pipeline, Row, Run, bits, cuts, encoded, events, linear, run_cut, spec,
};

/// Windows of `size` that start every `slide`, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Sliding {
    size: i64,
    slide: i64,
    offset: i64,
}

impl Sliding {
    fn new(size: i64, slide: i64) -> Self {
        Self { size, slide, offset: 0 }
    }

    /// Returns a keyed pipeline with all aggregations.
    fn pipeline(self, bound: Option<i64>, result_rows: u32) -> PipelineSpec {
        let Self { size, slide, offset } = self;
        let us = |time: i64| format!("{time}us");
        let window = json!({
            "type": "window", "window": "sliding", "size": us(size), "slide": us(slide),
            "offset": us(offset),
            "aggregations": [
                "count", "sum", "avg", "min", "max", "range", "variance",
                {"op": "stddev", "population": true}, "first", "last", "distinct", "rate", "p10",
                "p50", {"op": "p75", "engine": "tdigest"}, {"op": "p95", "engine": "exact"},
            ],
        });
        Pipeline::keyed().bound_us(bound).result_rows(result_rows).stage(window).spec()
    }

    /// Returns the starts of the windows that cover `time`.
    fn starts(self, time: i64) -> Vec<i64> {
        let mut start = (time - self.offset).div_euclid(self.slide) * self.slide + self.offset;
        let mut starts = Vec::new();
        while start + self.size > time {
            starts.push(start);
            start -= self.slide;
        }
        starts
    }

    /// Returns the number of the slice that contains `time`. Slice 0 starts at the offset modulo
    /// the slide.
    fn slice(self, time: i64) -> i64 {
        (time - self.offset.rem_euclid(self.slide)).div_euclid(gcd(self.size, self.slide))
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

struct Oracle {
    rows: Vec<Row>,
    late: u64,
    unassigned: u64,
}

/// Adds every event to each window that covers it and has not fired.
fn oracle(events: &[Event], windows: Sliding, bound: Option<i64>) -> Oracle {
    let mut open: BTreeMap<(i64, Vec<u8>), BTreeMap<i64, Vec<Event>>> = BTreeMap::new();
    let mut greatest: Option<i64> = None;
    let (mut late, mut unassigned) = (0, 0);
    for event in events {
        let watermark =
            greatest.zip(bound).map_or(i64::MIN, |(greatest, bound)| greatest - bound - 1);
        let starts = windows.starts(event.ts);
        unassigned += u64::from(starts.is_empty());
        late += u64::from(
            !starts.is_empty() && starts.iter().all(|at| at + windows.size - 1 <= watermark),
        );
        for start in starts.into_iter().filter(|start| start + windows.size - 1 > watermark) {
            let slices = open.entry((start, encoded(event.key))).or_default();
            slices.entry(windows.slice(event.ts)).or_default().push(*event);
        }
        greatest = Some(greatest.map_or(event.ts, |greatest| greatest.max(event.ts)));
    }
    let rows = open.into_iter().map(|((start, key), slices)| Row {
        firing: start + windows.size - 1,
        end: start + windows.size,
        start,
        key,
        values: results(
            &slices,
            windows.slice(start),
            windows.slice(start + windows.size),
            windows.size,
        )
        .map(bits)
        .to_vec(),
        ..Row::default()
    });
    Oracle { rows: rows.collect(), late, unassigned }
}

/// Returns the columns of the window of the slices `from..to`.
fn results(slices: &BTreeMap<i64, Vec<Event>>, from: i64, to: i64, size: i64) -> [f64; 16] {
    let mut whole: Option<Aggregates> = None;
    let mut at = from;
    while at < to {
        // The largest aligned node of the aggregate tree that starts here and lies within the
        // window.
        let mut length = 1;
        while at % (length * 2) == 0 && at + length * 2 <= to {
            length *= 2;
        }
        whole = combine(whole, node(slices, at, length));
        at += length;
    }
    let mut events: Vec<Event> = slices.values().flatten().copied().collect();
    let values: Vec<f64> = events.iter().map(|event| event.value).collect();
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for &value in &values {
        min = if value < min { value } else { min };
        max = if value > max { value } else { max };
    }
    let finite = |x: f64| if x.is_finite() { x } else { f64::NAN };
    let Aggregates { count, sum, lost, squares, .. } = whole.unwrap();
    let total = finite(sum + lost);
    let variance = if count > 1.0 { finite(squares / (count - 1.0)) } else { f64::NAN };
    // Slices are ordered by time, and the events of a slice by their arrival.
    events.sort_by_key(|event| event.ts);
    [
        count,
        total,
        finite(total / count),
        min,
        max,
        finite(max - min),
        variance,
        finite(squares / count).sqrt(),
        events[0].value,
        events[events.len() - 1].value,
        values.iter().map(|value| bits(value + 0.0)).collect::<BTreeSet<_>>().len() as f64,
        count * 1e6 / size as f64,
        linear(&values, "10"),
        linear(&values, "50"),
        linear(&values, "75"),
        linear(&values, "95"),
    ]
}

/// The aggregates that depend on the order of merging: the sum and its rounding error, the mean and
/// the squared distances.
#[derive(Clone, Copy)]
struct Aggregates {
    count: f64,
    sum: f64,
    lost: f64,
    mean: f64,
    squares: f64,
}

/// Returns the aggregates of a node of `length` slices that starts at `from`.
fn node(slices: &BTreeMap<i64, Vec<Event>>, from: i64, length: i64) -> Option<Aggregates> {
    if length > 1 {
        let half = length / 2;
        return combine(node(slices, from, half), node(slices, from + half, half));
    }
    let mut whole: Option<Aggregates> = None;
    for Event { value, .. } in slices.get(&from)? {
        let one = Aggregates { count: 1.0, sum: *value, lost: 0.0, mean: *value, squares: 0.0 };
        let mut next = combine(whole, Some(one)).unwrap();
        if let Some(before) = whole {
            // Welford's update, value by value.
            let distance = value - before.mean;
            next.mean = before.mean + distance / next.count;
            next.squares = before.squares + distance * (value - next.mean);
        }
        // The engine starts at 0, and 0 + -0 is 0.
        next.sum += 0.0;
        whole = Some(next);
    }
    whole
}

fn combine(left: Option<Aggregates>, right: Option<Aggregates>) -> Option<Aggregates> {
    let (Some(left), Some(right)) = (left, right) else { return left.or(right) };
    let sum = left.sum + right.sum;
    let lost = if left.sum.abs() >= right.sum.abs() {
        (left.sum - sum) + right.sum
    } else {
        (right.sum - sum) + left.sum
    };
    let count = left.count + right.count;
    let distance = right.mean - left.mean;
    let share = right.count / count;
    Some(Aggregates {
        count,
        sum,
        lost: (left.lost + right.lost) + lost,
        mean: left.mean + distance * share,
        squares: (left.squares + right.squares) + distance * distance * (left.count * share),
    })
}

/// Generates sizes and slides, in milliseconds: with and without a common divisor, adjacent, with
/// gaps, and with many windows for each event.
fn windows() -> impl Strategy<Value = Sliding> {
    let pairs = [(10_000, 3_000), (7_000, 7_000), (3_000, 10_000), (2_500, 1_000), (4_000, 6_000)];
    let more = [(2_000, 50), (700, 300), (60_000, 4_000), (1_000, 3_000), (8_000, 1_000)];
    let offset = prop::sample::select(vec![0_i64, 300_000, -900_001, 123_456_789]);
    (prop::sample::select([pairs, more].concat()), offset).prop_map(|((size, slide), offset)| {
        Sliding { size: size * 1000, slide: slide * 1000, offset }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn rows_equal_the_oracle(
        events in events(),
        cuts in cuts(),
        windows in windows(),
        bound in prop::sample::select(vec![Some(0_i64), Some(2_000_000), None]),
        buffer in prop::sample::select(vec![1_u32, 3, 1000]),
        restores_when_full in prop::sample::select(vec![false, false, true]),
    ) {
        let expected = oracle(&events, windows, bound);
        prop_assume!(!restores_when_full || expected.rows.len() < 300);
        let mut run = Run::new(windows.pipeline(bound, buffer));
        run.restores_when_full = restores_when_full;
        let (rows, stats) = run_cut(run, &events, &cuts);
        prop_assert_eq!(rows, expected.rows);
        prop_assert_eq!(stats.late_dropped, expected.late);
        prop_assert_eq!(stats.unassigned, expected.unassigned);
        prop_assert_eq!(stats.events, events.len() as u64);
        prop_assert_eq!((stats.stages[0].keys, stats.stages[0].open_windows), (0, 0));
    }

    #[test]
    fn roll_up_of_sliding_windows_does_not_depend_on_cuts(events in events(), cuts in cuts()) {
        let pipeline = spec(
            r#"{"source": {"key": "k", "value": "v"}, "time": {"max_out_of_orderness": "1s"},
                "limits": {"max_result_rows": 2},
                "stages": [
                  {"type": "window", "window": "sliding", "size": "3s", "slide": "2s", "aggregations": ["count"]},
                  {"type": "window", "window": "sliding", "size": "5s", "slide": "4s",
                   "aggregations": ["count", "sum"]}]}"#,
        );
        let mut whole = Run::new(pipeline.clone());
        whole.push(&events, KeysAs::Encoded);
        let expected = whole.finish();
        prop_assert_eq!(run_cut(Run::new(pipeline), &events, &cuts), expected.clone());
        prop_assert_eq!(expected.1.stages[1].late_dropped, 0);
    }

    #[test]
    fn merged_shards_equal_one_engine(
        events in events(),
        windows in windows(),
        batch in 1_usize..50,
        shards in 2_u32..5,
    ) {
        let pipeline = windows.pipeline(Some(1_000_000), 1000);
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
        prop_assert_eq!(rows, oracle(&events, windows, Some(1_000_000)).rows);
    }
}

const SECOND: i64 = 1_000_000;

fn at(seconds: i64, key: u32) -> Event {
    Event { ts: seconds * SECOND, key, value: 1.0 }
}

/// Returns the start in seconds and the count of each row.
fn counts(rows: &[Row]) -> Vec<(i64, f64)> {
    rows.iter().map(|row| (row.start / SECOND, row.number("count"))).collect()
}

#[test]
fn event_counts_in_every_window_that_covers_it() {
    let mut run = Run::new(Sliding::new(10 * SECOND, 3 * SECOND).pipeline(Some(0), 100));
    run.push(&[at(0, 1), at(1, 1)], KeysAs::Ids);
    assert_eq!(counts(&run.finish().0), [(-9, 1.0), (-6, 2.0), (-3, 2.0), (0, 2.0)]);
}

#[test]
fn event_late_for_some_windows_counts_in_the_open_ones() {
    let mut run = Run::new(Sliding::new(10 * SECOND, 5 * SECOND).pipeline(Some(0), 100));
    run.push(&[at(1, 1), at(12, 1)], KeysAs::Ids);
    // The watermark is just below 12 s: the windows that start at -5 and 0 have fired.
    run.push(&[at(7, 1), at(4, 1)], KeysAs::Ids);
    let drops = run.engine.drops(10);
    assert_eq!(drops.len(), 1, "only the last one is late for all of its windows");
    assert_eq!((drops[0].ordinal, drops[0].reason), (3, RejectReason::Late));
    assert_eq!((drops[0].watermark, drops[0].window_end), (12 * SECOND - 1, Some(10 * SECOND)));
    let (rows, stats) = run.finish();
    assert_eq!(counts(&rows), [(-5, 1.0), (0, 1.0), (5, 2.0), (10, 1.0)]);
    assert_eq!((stats.late_dropped, stats.unassigned), (1, 0));
}

#[test]
fn event_between_windows_is_unassigned_and_never_late() {
    let mut run = Run::new(Sliding::new(3 * SECOND, 10 * SECOND).pipeline(Some(0), 100));
    run.push(&[at(0, 1), at(2, 1), at(3, 1), at(9, 1), at(25, 1), at(4, 1), at(1, 1)], KeysAs::Ids);
    assert_eq!(run.engine.drops(10).len(), 1);
    run.restore();
    let (rows, stats) = run.finish();
    assert_eq!(counts(&rows), [(0, 2.0)]);
    assert_eq!((stats.unassigned, stats.late_dropped, stats.events), (4, 1, 7));
    assert_eq!(stats.stages[0].unassigned, 4);
}

#[test]
fn times_at_the_ends_of_the_range_fall_into_windows() {
    let end = 8_640_000_000_000_000_000;
    let day = 86_400 * SECOND;
    let mut run = Run::new(Sliding::new(10_000 * day, 3_000 * day).pipeline(Some(0), 2));
    run.restores_when_full = true;
    run.push(
        &[Event { ts: -end, key: 1, value: 1.0 }, Event { ts: end, key: 1, value: 2.0 }],
        KeysAs::Ids,
    );
    let (rows, stats) = run.finish();
    assert!((6..=8).contains(&rows.len()), "three or four windows each: {}", rows.len());
    assert!(rows.iter().all(|row| row.end - row.start == 10_000 * day));
    assert_eq!(stats.rejected, 0);
}

#[test]
fn slice_is_removed_after_its_last_window_fires() {
    let mut run = Run::new(Sliding::new(10 * SECOND, SECOND).pipeline(Some(0), 1000));
    let mut most = 0;
    for second in 0..200 {
        run.push(&[at(second, 1), at(second, second as u32)], KeysAs::Ids);
        while run.poll(100) > 0 {}
        most = most.max(run.engine.stats().stages[0].open_windows);
    }
    assert_eq!(most, 20, "two keys in each of ten slices");
    run.advance(1000 * SECOND);
    assert_eq!(run.engine.stats().stages[0].open_windows, 0);
}

#[test]
fn window_limit_counts_slices() {
    let mut pipeline = Sliding::new(3 * SECOND, SECOND).pipeline(None, 100);
    pipeline.limits.max_keys = 2;
    pipeline.limits.max_windows_per_key = 3;
    let mut run = Run::new(pipeline);
    let events = [at(0, 1), at(0, 2), at(0, 3), at(1, 1), at(2, 1), at(3, 1), at(0, 1)];
    run.push(&events, KeysAs::Ids);
    let reasons: Vec<_> =
        run.engine.drops(10).iter().map(|drop| (drop.ordinal, drop.reason)).collect();
    assert_eq!(reasons, [(2, RejectReason::KeyLimit), (5, RejectReason::WindowLimit)]);
    run.restore();
    let (rows, stats) = run.finish();
    assert_eq!(rows.len(), 8);
    assert_eq!(stats.limits_struck, ["key_limit", "window_limit"]);
}

#[test]
fn one_hour_window_every_second_emits_3600_rows_per_event() {
    let mut run = Run::new(Sliding::new(3600 * SECOND, SECOND).pipeline(Some(0), 1000));
    run.push(&[at(0, 1), at(1_000_000, 1)], KeysAs::Ids);
    let (rows, _) = run.finish();
    assert_eq!(rows.len(), 7200);
    assert!(rows.is_sorted_by_key(|row| row.end));
}

#[test]
fn invalid_options_are_refused_with_path_and_reason() {
    let error = |fields: &str| {
        let options = format!(r#""size": "10s", {fields}"#);
        Pipeline::of(json!({})).window(&options, json!(["count"])).refusal()
    };
    assert_eq!(
        error(r#""window": "tumbling", "slide": "5s""#),
        "stages[0].slide: tumbling windows come one after another, so they have none: remove it, or set window = \"sliding\""
    );
    assert!(
        error(r#""window": "sliding""#)
            .starts_with("stages[0].slide: missing: the time from one window")
    );
    assert!(
        error(r#""window": "sliding", "slide": "-1s""#)
            .starts_with("stages[0].slide: -1s: windows")
    );
    assert!(
        error(r#""window": "sliding", "slide": "999us""#)
            .contains("10011 windows of 10s, more than limits.max_windows_per_event = 10000")
    );
    assert!(
        error(r#""window": "sliding", "slide": "3333333us""#)
            .contains("10000000 slices of 1 us, the greatest common divisor")
    );
    assert!(error(r#""window": "slidin", "slide": "1s""#).contains("did you mean `sliding`?"));
    assert!(error(r#""window": "sliding", "slid": "1s""#).contains("did you mean `slide`?"));
}
