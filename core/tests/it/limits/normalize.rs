//! The limits of keys and of bytes in normalize stages, under each policy, compared with a simple
//! model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stream_processor_core::PipelineSpec;

use super::oracle::setup::{events, limits, pipeline, runs};
use super::oracle::{BOUND, Limits, Policy, encoded};
use crate::common::events::{Cell, Event, Run, collect_refusing};
use crate::normalize::oracle::{Field, Options, Samples};

/// A row with the watermark at which it is emitted.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    firing: i64,
    time: i64,
    key: Vec<u8>,
    value: f64,
    filled: bool,
}

/// The result of a stream.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    rows: Vec<Row>,
    /// Positions of the events before which a call stopped.
    refused: Vec<usize>,
    /// Samples dropped by the key limit and by the byte limit.
    dropped: [u64; 2],
    late: u64,
    /// Evicted keys, their open grid points, and the samples in these.
    evicted: [u64; 3],
    bytes: u64,
}

/// The open series, each with all its samples. The series with the oldest last sample comes first.
struct Model<'a> {
    options: &'a Options,
    limits: Limits,
    series: Vec<(String, BTreeMap<i64, Samples>)>,
    watermark: i64,
    out: Outcome,
}

fn model(options: &Options, limits: Limits, events: &[Event]) -> Outcome {
    let (series, out) = (Vec::new(), Outcome::default());
    let mut model = Model { options, limits, series, watermark: i64::MIN, out };
    for (place, event) in events.iter().enumerate() {
        model.end_silent();
        if model.process(event) {
            let moved = event.ts * 1_000 - BOUND * 1_000 - 1;
            model.watermark = model.watermark.max(moved);
        } else {
            model.out.refused.push(place);
        }
    }
    model.end_silent();
    model.out.bytes = model.bytes();
    model.watermark = i64::MAX;
    for (key, places) in std::mem::take(&mut model.series) {
        model.emit(&key, &places);
    }
    let order = |row: &Row| (row.firing, row.time, row.key.clone());
    model.out.rows.sort_by_key(order);
    model.out
}

impl Model<'_> {
    fn is_closed(&self, place: i64) -> bool {
        self.options.last_of(place) <= self.watermark
    }

    /// Removes the series whose next sample would be late or would start a new series.
    fn end_silent(&mut self) {
        let silence = self.options.max_silence_us();
        let is_silent = |(_, places): &(String, BTreeMap<i64, Samples>)| {
            places.keys().all(|place| self.is_closed(*place + silence))
        };
        let (silent, rest) = self.series.iter().cloned().partition(is_silent);
        self.series = rest;
        let silent: Vec<(String, BTreeMap<i64, Samples>)> = silent;
        for (key, places) in silent {
            self.emit(&key, &places);
        }
    }

    /// Emits the rows of a series up to its last closed grid point.
    fn emit(&mut self, key: &str, places: &BTreeMap<i64, Samples>) {
        let mut over = places.clone();
        over.retain(|place, _| self.is_closed(*place));
        for row in self.options.rows_of(&encoded(key), &over) {
            let (next, _) = over.range(row.time..).next().unwrap();
            self.out.rows.push(Row {
                firing: self.options.last_of(*next),
                time: row.time,
                key: row.key,
                value: row.values[0],
                filled: row.filled[0],
            });
        }
    }

    /// Returns the numbers of open grid points of a series and of the samples buffered in them.
    fn count_buffered(&self, places: &BTreeMap<i64, Samples>) -> (u64, u64) {
        let keeps_all = ["mean", "sum", "median"].contains(&self.options.fields[0].reduce);
        let open = places.iter().filter(|(place, _)| !self.is_closed(**place));
        let samples = open.map(|(_, samples)| if keeps_all { samples.len() } else { 1 });
        let samples: Vec<usize> = samples.collect();
        (samples.len() as u64, samples.iter().sum::<usize>() as u64)
    }

    fn bytes(&self) -> u64 {
        let of = |(key, places): &(String, BTreeMap<i64, Samples>)| {
            let (open, samples) = self.count_buffered(places);
            new_bytes(key) + 8 * open + 32 * samples
        };
        self.series.iter().map(of).sum()
    }

    /// Processes or drops `event`. Returns false if it is refused.
    fn process(&mut self, event: &Event) -> bool {
        let time = event.ts * 1_000;
        let place = self.options.place_of(time);
        if self.is_closed(place) {
            self.out.late += 1;
            return true;
        }
        let known = self.series.iter().position(|(key, _)| *key == event.key);
        let mut places = match known {
            Some(known) => self.series.remove(known).1,
            None => {
                while let Some((limit, policy)) = self.limit(&event.key) {
                    match policy {
                        Policy::Refuse => return false,
                        Policy::Evict if !self.series.is_empty() => self.evict(),
                        _ => {
                            self.out.dropped[limit] += 1;
                            return true;
                        }
                    }
                }
                BTreeMap::new()
            }
        };
        places.entry(place).or_default().push((time, event.clone()));
        self.series.push((event.key.clone(), places));
        true
    }

    fn limit(&self, key: &str) -> Option<(usize, Policy)> {
        let (keys, bytes) = (self.limits.keys, self.limits.bytes);
        if self.series.len() >= keys.0 {
            return Some((0, keys.1));
        }
        let needed = self.bytes() + new_bytes(key);
        bytes.0.filter(|most| needed > most / 9 * 4).map(|_| (1, bytes.1))
    }

    /// Evicts the key with the oldest last sample.
    fn evict(&mut self) {
        let (key, places) = self.series.remove(0);
        let (open, samples) = self.count_buffered(&places);
        self.emit(&key, &places);
        for (count, more) in self.out.evicted.iter_mut().zip([1, open, samples]) {
            *count += more;
        }
    }
}

fn new_bytes(key: &str) -> u64 {
    96 + encoded(key).len() as u64 + 144 + 160
}

fn stage(options: &Options) -> String {
    let Options { interval, offset, align, samples, fields, .. } = options;
    let Field { fill, reduce, .. } = fields[0];
    let basis = match samples {
        true => r#""basis": "samples""#.to_owned(),
        false => format!(r#""align": "{align}", "reduce": "{reduce}""#),
    };
    format!(
        r#"{{"type": "normalize", "interval": "{interval}ms", "offset": "{offset}ms", "fill": "{fill}", {basis}}}"#
    )
}

/// Returns the engine's result for `events`.
fn found(spec: &PipelineSpec, events: &[Event], run: Run) -> Outcome {
    let (all, before, refused) = collect_refusing(spec, events, run);
    let stage = &before.stages[0];
    assert_eq!(before.events, (events.len() - refused.len()) as u64);
    let row = |(at, cells): (usize, &Vec<Cell>)| match cells[..] {
        [Cell::Time(time), Cell::Number(bits), Cell::Bool(filled)] => {
            let (firing, key) = (all.firing[at], all.keys[at].clone());
            Row { firing, time, key, value: f64::from_bits(bits), filled }
        }
        _ => panic!("{cells:?}"),
    };
    Outcome {
        rows: all.rows.iter().enumerate().map(row).collect(),
        refused,
        dropped: [stage.key_limit, stage.state_limit],
        late: stage.late_dropped,
        evicted: [stage.evicted_keys, stage.evicted_windows, stage.evicted_events],
        bytes: stage.state_bytes,
    }
}

/// Fills that depend on the two neighbouring points only.
const FILLS: &[&str] = &["linear", "forward", "backward", "zero", "mean", "none"];
const REDUCES: &[&str] = &["last", "first", "mean", "min", "max", "sum", "median"];

prop_compose! {
    fn options()(
        interval in 1..8_i64,
        offset in -9..9_i64,
        align in prop::sample::select(vec!["floor", "ceil", "round"]),
        samples in prop::bool::weighted(0.3),
        fill in prop::sample::select(FILLS),
        reduce in prop::sample::select(REDUCES),
        max_fill_points in prop_oneof![Just(100_000_i64), 1..5_i64],
    ) -> Options {
        let reduce = if samples { "last" } else { reduce };
        let field = Field { fill, reduce, max_gap: None, degree: 1, outliers: None };
        Options { interval, offset, align, samples, fields: vec![field], max_fill_points, bound: BOUND }
    }
}

/// Generates the stream of the other limit tests, but with many values.
fn samples() -> impl Strategy<Value = Vec<Event>> {
    events().prop_map(|events| {
        let value = |at: u32| f64::from(at * 7 % 13);
        let event = |(at, event): (u32, Event)| Event { values: vec![value(at)], ..event };
        (0..).zip(events).map(event).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn rows_and_counters_under_limits_equal_the_model(
        events in samples(),
        run in runs(),
        rows in 1..9_usize,
        limits in limits(1),
        options in options(),
    ) {
        let mut spec = pipeline(&stage(&options), limits, rows);
        spec.limits.max_fill_points = u32::try_from(options.max_fill_points).unwrap();
        let (mut found, mut expected) = (found(&spec, &events, run), model(&options, limits, &events));
        for (found, expected) in found.rows.iter_mut().zip(&mut expected.rows) {
            let same = (found.value.is_nan() && expected.value.is_nan()) || (found.value - expected.value).abs() < 1e-9;
            prop_assert!(same, "{:?} is not {:?}", found, expected);
            // Only rounding may differ.
            (found.value, expected.value) = (0.0, 0.0);
        }
        prop_assert_eq!(found, expected);
    }
}

/// Checks that a silent key does not count for the limit when its next sample arrives, for all
/// batches.
#[test]
fn silent_key_is_removed_before_its_next_sample() {
    let event = |(ts, key): (i64, &str)| Event::new(ts, key, &[1.0]);
    let events = [(-33, "d"), (-37, "f"), (-28, "a"), (-28, "b"), (-25, "a"), (-25, "f")];
    let events = events.map(event);
    let none = (100, Policy::Drop);
    let limits = Limits { keys: none, windows: none, bytes: (Some(3_807), Policy::Drop) };
    let stage = r#"{"type": "normalize", "interval": "1ms"}"#;
    let mut spec = pipeline(stage, limits, 100);
    spec.limits.max_fill_points = 3;
    let [one, two, all] = [1, 2, 6].map(|cut| found(&spec, &events, Run { cut, restore: false }));
    assert_eq!(one.dropped, [0, 1]);
    assert_eq!((&two, &all), (&one, &one));
}
