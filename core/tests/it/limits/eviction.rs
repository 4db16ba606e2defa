//! The key limit with the policy `evict`, compared with oracles that keep a list of keys in the
//! order of their last events.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::{Engine, Options, PipelineSpec, key};

use crate::common::Pipeline;
use crate::common::events::{Cell, Event, Run, collect, number, push};

const SIZE: i64 = 10;
const BOUND: i64 = 5;

fn pipeline(stage: &str, max_keys: usize, result_rows: usize) -> PipelineSpec {
    Pipeline::of(json!({"key": "k"}))
        .bound(&format!("{BOUND}ms"))
        .limit("max_keys", max_keys)
        .limit("on_max_keys", "evict")
        .result_rows(result_rows)
        .stages(stage)
        .spec()
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    key::push_str(&mut bytes, name);
    bytes
}

/// Returns a row: start, end, number of events.
fn row(key: &str, start: i64, end: i64, count: usize) -> (Vec<u8>, Vec<Cell>) {
    let count = number(u32::try_from(count).unwrap().into());
    (encoded(key), vec![Cell::Time(start * 1_000), Cell::Time(end * 1_000), count])
}

type Rows = Vec<(Vec<u8>, Vec<Cell>)>;

/// The open keys, each with its state. The key with the oldest last event comes first.
struct LruKeys<S> {
    max_keys: usize,
    list: Vec<(String, S)>,
}

impl<S: Default> LruKeys<S> {
    fn new(max_keys: usize) -> Self {
        Self { max_keys, list: Vec::new() }
    }

    fn touch(&mut self, key: &str) -> &mut S {
        let known = self.list.iter().position(|(known, _)| known == key);
        let state = match known {
            Some(place) => self.list.remove(place).1,
            None => {
                if self.list.len() == self.max_keys {
                    self.list.remove(0);
                }
                S::default()
            }
        };
        self.list.push((key.to_owned(), state));
        &mut self.list.last_mut().unwrap().1
    }
}

/// Returns each event with the watermark in effect when it arrives, and then the end of input.
fn with_watermarks(events: &[Event]) -> impl Iterator<Item = (Option<&Event>, i64)> {
    let mut watermark = i64::MIN;
    let each = events.iter().map(move |event| {
        let input_watermark = watermark;
        watermark = watermark.max(event.ts * 1_000 - BOUND * 1_000 - 1);
        (Some(event), input_watermark)
    });
    each.chain([(None, i64::MAX)])
}

/// Returns the rows of tumbling and sliding windows. A slice is as long as the slide.
fn windows(events: &[Event], slide: i64, max_keys: usize) -> Rows {
    let mut kept = LruKeys::<BTreeMap<i64, usize>>::new(max_keys);
    let (mut rows, mut before) = (Vec::new(), i64::MIN);
    for (event, watermark) in with_watermarks(events) {
        let is_over = |start: i64| (start + SIZE) * 1_000 - 1 <= watermark;
        let mut due = BTreeSet::new();
        for (key, slices) in &kept.list {
            let starts = slices
                .keys()
                .flat_map(|slice| (slice - SIZE + slide..=*slice).step_by(slide as usize));
            due.extend(
                starts
                    .filter(|start| is_over(*start) && (*start + SIZE) * 1_000 - 1 > before)
                    .map(|start| (start, key.clone())),
            );
        }
        for (start, key) in due {
            let (_, slices) = kept.list.iter().find(|(known, _)| *known == key).unwrap();
            let count = slices.range(start..start + SIZE).map(|(_, count)| count).sum();
            rows.push(row(&key, start, start + SIZE, count));
        }
        before = watermark;
        for (_, slices) in &mut kept.list {
            slices.retain(|slice, _| !is_over(*slice));
        }
        kept.list.retain(|(_, slices)| !slices.is_empty());
        if let Some(event) = event {
            let slice = event.ts.div_euclid(slide) * slide;
            if !is_over(slice) {
                *kept.touch(&event.key).entry(slice).or_default() += 1;
            }
        }
    }
    rows
}

/// Returns the rows of sessions with a gap of [`SIZE`]: first event, end, number of events.
fn sessions(events: &[Event], max_keys: usize) -> Rows {
    let mut kept = LruKeys::<Vec<(i64, i64, usize)>>::new(max_keys);
    let mut rows = Vec::new();
    for (event, watermark) in with_watermarks(events) {
        let is_over = |end: i64| end * 1_000 <= watermark;
        let mut due = Vec::new();
        for (key, sessions) in &mut kept.list {
            let over = sessions.iter().filter(|(_, end, _)| is_over(*end));
            due.extend(over.map(|(start, end, count)| (*end, *start, key.clone(), *count)));
            sessions.retain(|(_, end, _)| !is_over(*end));
        }
        kept.list.retain(|(_, sessions)| !sessions.is_empty());
        due.sort();
        rows.extend(due.into_iter().map(|(end, start, key, count)| row(&key, start, end, count)));
        let Some(event) = event else { continue };
        let mut whole = (event.ts, event.ts + SIZE, 1);
        let meets =
            |session: &(i64, i64, usize)| session.0 <= event.ts + SIZE && event.ts <= session.1;
        let known = kept.list.iter().find(|(key, _)| *key == event.key);
        if !known.is_some_and(|(_, sessions)| sessions.iter().any(meets)) && is_over(whole.1) {
            continue;
        }
        let sessions = kept.touch(&event.key);
        for (start, end, count) in sessions.iter().filter(|session| meets(session)) {
            whole = (whole.0.min(*start), whole.1.max(*end), whole.2 + count);
        }
        sessions.retain(|session| !meets(session));
        sessions.push(whole);
    }
    rows
}

/// Returns the running count of each key at each event.
fn counts(events: &[Event], max_keys: usize) -> Vec<(Vec<u8>, Cell)> {
    let mut kept = LruKeys::<u32>::new(max_keys);
    let count = |event: &Event| {
        let count = kept.touch(&event.key);
        *count += 1;
        (encoded(&event.key), number((*count).into()))
    };
    events.iter().map(count).collect()
}

/// Returns the rows of windows of three events. The windows that are open at the end are ordered by
/// their last and first event.
fn threes(events: &[Event], max_keys: usize) -> Vec<(Vec<u8>, Cell)> {
    let mut kept = LruKeys::<Vec<i64>>::new(max_keys);
    let mut rows = Vec::new();
    for event in events {
        let times = kept.touch(&event.key);
        times.push(event.ts);
        if times.len() == 3 {
            kept.list.pop();
            rows.push((encoded(&event.key), number(3.0)));
        }
    }
    let times = |list: &[i64]| (*list.iter().max().unwrap(), *list.iter().min().unwrap());
    kept.list.sort_by_key(|(key, list)| (times(list), key.clone()));
    rows.extend(
        kept.list
            .iter()
            .map(|(key, list)| (encoded(key), number(if list.len() == 1 { 1.0 } else { 2.0 }))),
    );
    rows
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..60_i64, 0..7_u8, 0..12_i64);
    prop::collection::vec(event, 0..60).prop_map(|list| {
        let mut now = -30;
        let step = |(step, key, back): (i64, u8, i64)| {
            now += step / 20;
            Event::new(now - back, &char::from(b'a' + key).to_string(), &[])
        };
        list.into_iter().map(step).collect()
    })
}

fn runs() -> impl Strategy<Value = Run> {
    (1..9_usize, any::<bool>()).prop_map(|(cut, restore)| Run { cut, restore })
}

fn found(spec: &PipelineSpec, events: &[Event], run: Run) -> Rows {
    let all = collect(spec, events, run);
    all.keys.into_iter().zip(all.rows).collect()
}

fn last_cells(rows: Rows) -> Vec<(Vec<u8>, Cell)> {
    rows.into_iter().map(|(key, mut cells)| (key, cells.pop().unwrap())).collect()
}

proptest! {
    #[test]
    fn evicted_key_loses_its_windows(events in events(), run in runs(), rows in 1..9_usize, max_keys in 1..5_usize, slides in any::<bool>()) {
        let (stage, slide) = match slides {
            true => (r#"{"type": "window", "window": "sliding", "size": "10ms", "slide": "2ms", "aggregations": ["count"]}"#, 2),
            false => (r#"{"type": "window", "window": "tumbling", "size": "10ms", "aggregations": ["count"]}"#, SIZE),
        };
        prop_assert_eq!(found(&pipeline(stage, max_keys, rows), &events, run), windows(&events, slide, max_keys));
    }

    #[test]
    fn evicted_key_loses_its_sessions(events in events(), run in runs(), rows in 1..9_usize, max_keys in 1..5_usize) {
        let stage = r#"{"type": "window", "window": "session", "gap": "10ms", "aggregations": ["count"]}"#;
        prop_assert_eq!(found(&pipeline(stage, max_keys, rows), &events, run), sessions(&events, max_keys));
    }

    #[test]
    fn evicted_key_loses_its_running_count(events in events(), run in runs(), rows in 1..9_usize, max_keys in 1..5_usize) {
        let stage = r#"{"type": "rolling", "aggregations": ["count"]}"#;
        prop_assert_eq!(last_cells(found(&pipeline(stage, max_keys, rows), &events, run)), counts(&events, max_keys));
    }

    #[test]
    fn evicted_key_loses_its_open_count_window(events in events(), run in runs(), rows in 1..9_usize, max_keys in 1..5_usize) {
        let stage = r#"{"type": "window", "window": "count", "count": 3, "aggregations": ["count"]}"#;
        prop_assert_eq!(last_cells(found(&pipeline(stage, max_keys, rows), &events, run)), threes(&events, max_keys));
    }
}

#[test]
fn endless_new_keys_stay_within_the_limit_and_are_counted() {
    const KEYS: i64 = 300_000;
    for (stage, windows) in [
        (r#"{"type": "window", "window": "tumbling", "size": "1h", "aggregations": ["count"]}"#, 1),
        (r#"{"type": "window", "window": "session", "gap": "1h", "aggregations": ["count"]}"#, 1),
        (r#"{"type": "window", "window": "global", "aggregations": ["count"]}"#, 1),
        (r#"{"type": "rolling", "aggregations": ["count"]}"#, 0),
    ] {
        let mut engine =
            Engine::open(&pipeline(stage, 1_000, 100_000), Options::default()).unwrap();
        for first in (0..KEYS).step_by(10_000) {
            let events = (first..first + 10_000).map(|at| Event::new(0, &at.to_string(), &[]));
            assert_eq!(push(&mut engine, &events.collect::<Vec<_>>()).consumed, 10_000);
            while engine.poll(100_000).is_some() {}
        }
        let stats = engine.stats();
        let of_stage = &stats.stages[0];
        assert_eq!((of_stage.keys, of_stage.evicted_keys, of_stage.key_limit), (1_000, 299_000, 0));
        assert_eq!(of_stage.evicted_windows, 299_000 * windows);
        assert_eq!((stats.limit_dropped, &stats.limits_struck[..]), (0, &["key_limit"][..]));
        assert!(engine.snapshot().unwrap().len() < 100_000);
    }
}
