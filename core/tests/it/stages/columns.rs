//! Columns that stages add, replace and read, in any sequence, compared with one event at a time.
//! Names exist, are new, are set twice or are read by later stages, for all batches and snapshots.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use stream_processor_core::statistics::{
    ExponentialMovingAverage, SlidingWindowStats, ZScoreAnomalyDetector,
};
use stream_processor_core::{PipelineSpec, Plan};

use crate::common::events::{Cell, Collected, Event, Run, collect, number};

const NAMES: [&str; 4] = ["v", "w", "x", "y"];

/// A stage, as the names that it reads and sets.
#[derive(Debug, Clone)]
enum Step {
    /// Sets each name to the sum of two others. The first of them counts as 1 if it is missing.
    Map(Vec<(usize, usize, usize)>),
    /// Passes events whose column is above 1.
    Filter(usize),
    Ema(usize, usize),
    Rolling(usize, usize),
    ZScore(usize, usize),
    /// Sets one key for all events.
    KeyBy,
}

/// The columns of an event by name.
type Columns = BTreeMap<String, f64>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..NAMES.len();
    let both = (name.clone(), name.clone());
    let set = (name.clone(), name.clone(), name.clone());
    let step = prop_oneof![
        4 => prop::collection::vec(set, 1..5).prop_map(Step::Map),
        1 => name.prop_map(Step::Filter),
        1 => both.clone().prop_map(|(field, name)| Step::Ema(field, name)),
        1 => both.clone().prop_map(|(field, name)| Step::Rolling(field, name)),
        1 => both.prop_map(|(field, name)| Step::ZScore(field, name)),
        1 => Just(Step::KeyBy),
    ];
    prop::collection::vec(step, 1..6)
}

fn stage(step: &Step) -> Value {
    let name = |place: &usize| NAMES[*place];
    match step {
        Step::Map(set) => {
            let set: Vec<Value> = set
                .iter()
                .map(|(to, a, b)| json!({"name": name(to), "expression": format!("coalesce({}, 1) + {}", name(a), name(b))}))
                .collect();
            json!({"type": "map", "set": set})
        }
        Step::Filter(field) => {
            json!({"type": "filter", "where": [{"field": name(field), "op": ">", "value": 1}]})
        }
        Step::Ema(field, to) => {
            json!({"type": "ema", "alpha": 0.5, "field": name(field), "name": name(to)})
        }
        Step::Rolling(field, to) => {
            let max = json!({"op": "max", "name": name(to)});
            json!({"type": "rolling", "size": 3, "field": name(field), "aggregations": [max]})
        }
        Step::ZScore(field, to) => {
            json!({"type": "zscore", "field": name(field), "name": name(to)})
        }
        Step::KeyBy => json!({"type": "key_by", "fields": []}),
    }
}

/// Returns a pipeline of `steps`. If `is_aggregated`, a last stage aggregates all names.
fn pipeline(steps: &[Step], is_aggregated: bool) -> PipelineSpec {
    let mut stages: Vec<Value> = steps.iter().map(stage).collect();
    if is_aggregated {
        let maxima = NAMES.map(|name| json!({"op": "max", "field": name, "name": name}));
        stages.push(
            json!({"type": "window", "window": "tumbling", "size": "1h", "aggregations": maxima}),
        );
    }
    let spec = json!({
        "source": {"key": "k", "value": "v"}, "limits": {"max_result_rows": 3},
        "time": {"max_out_of_orderness": "unbounded"}, "stages": stages,
    });
    PipelineSpec::from_json(&spec.to_string()).unwrap()
}

/// Returns those of `steps` that are valid after the steps before them. A step cannot add a name
/// that exists.
fn valid_steps(steps: Vec<Step>, is_aggregated: bool) -> Vec<Step> {
    let mut kept: Vec<Step> = Vec::new();
    for step in steps {
        kept.push(step);
        let errors = [false, is_aggregated].map(|last| Plan::new(&pipeline(&kept, last)).err());
        if let Some(error) = errors.into_iter().flatten().next() {
            assert!(error.message().contains("a second column"), "{error}");
            kept.pop();
        }
    }
    kept
}

/// Returns the output of `steps` for events with these keys and columns: position, key and columns.
fn expected(steps: &[Step], events: &[(String, Columns)]) -> Vec<(usize, String, Columns)> {
    let mut all: Vec<(usize, String, Columns)> = (0..)
        .zip(events)
        .map(|(place, (key, columns))| (place, key.clone(), columns.clone()))
        .collect();
    for step in steps {
        let mut states = BTreeMap::new();
        all.retain_mut(|(_, key, columns)| apply(step, &mut states, key, columns));
    }
    all
}

/// The state that a stage keeps for one key.
struct State {
    ema: ExponentialMovingAverage,
    last: SlidingWindowStats,
    scores: ZScoreAnomalyDetector,
}

impl State {
    fn new() -> Self {
        Self {
            ema: ExponentialMovingAverage::with_alpha(0.5).unwrap(),
            last: SlidingWindowStats::new(3).unwrap(),
            scores: ZScoreAnomalyDetector::new(3.0),
        }
    }
}

/// Applies `step` to one event. Returns false if the event does not pass.
fn apply(
    step: &Step,
    states: &mut BTreeMap<String, State>,
    key: &mut String,
    columns: &mut Columns,
) -> bool {
    let of = |columns: &Columns, place: &usize| columns[NAMES[*place]];
    let (to, value) = match step {
        Step::Map(set) => {
            for (to, a, b) in set {
                let (a, b) = (of(columns, a), of(columns, b));
                columns.insert(NAMES[*to].to_owned(), if a.is_nan() { 1.0 } else { a } + b);
            }
            return true;
        }
        Step::Filter(field) => return of(columns, field) > 1.0,
        Step::KeyBy => {
            key.clear();
            return true;
        }
        Step::Ema(field, to) | Step::Rolling(field, to) | Step::ZScore(field, to) => {
            (NAMES[*to], of(columns, field))
        }
    };
    let (mut added, mut anomaly) = (f64::NAN, false);
    if !value.is_nan() {
        let state = states.entry(key.clone()).or_insert_with(State::new);
        added = match step {
            Step::Ema(..) => {
                state.ema.update(value);
                state.ema.value().unwrap()
            }
            Step::Rolling(..) => {
                state.last.update(value);
                state.last.max().unwrap()
            }
            _ => {
                let score = state.scores.update(value);
                anomaly = score.anomaly;
                score.zscore.unwrap_or(f64::NAN)
            }
        };
    }
    columns.insert(to.to_owned(), added);
    if matches!(step, Step::ZScore(..)) {
        columns.insert(format!("{to}_anomaly"), f64::from(u8::from(anomaly)));
    }
    true
}

/// Returns the field of the event at `place`. NaN stands for a missing value, which the source
/// never has.
fn field(name: &str, place: usize) -> f64 {
    let at = place * 7 + name.len() + usize::from(name.as_bytes()[0]);
    if name != "v" && at % 11 == 3 { f64::NAN } else { (at * at % 23) as f64 / 4.0 - 1.0 }
}

/// Returns the rows that `all` gives under the names of the output.
fn rows(spec: &PipelineSpec, all: &[(usize, String, Columns)], ts: &[i64]) -> Vec<Vec<Cell>> {
    let columns = Plan::new(spec).unwrap().output.columns;
    let cell = |place: usize, of_event: &Columns, name: &str| match name {
        "ts" => Cell::Time(ts[place] * 1_000),
        name if name.ends_with("_anomaly") => Cell::Bool(of_event[name] != 0.0),
        name => number(of_event[name]),
    };
    all.iter()
        .map(|(place, _, of_event)| {
            columns.iter().map(|column| cell(*place, of_event, &column.name)).collect()
        })
        .collect()
}

/// Returns the times, and each event with the source's columns.
fn stream(keys: &[String]) -> (Vec<i64>, Vec<(String, Columns)>) {
    let columns = |place| NAMES.map(|name| (name.to_owned(), field(name, place)));
    let events = keys.iter().enumerate();
    let events = events.map(|(place, key)| (key.clone(), columns(place).into_iter().collect()));
    ((0..).map(|at| at * 37 % 50).take(keys.len()).collect(), events.collect())
}

fn run(spec: &PipelineSpec, keys: &[String], ts: &[i64], run: Run) -> Collected {
    let inputs = Plan::new(spec).unwrap().input.columns;
    let event = |place: usize| {
        let values: Vec<f64> = inputs.iter().map(|input| field(&input.name, place)).collect();
        Event::new(ts[place], &keys[place], &values)
    };
    let events: Vec<Event> = (0..keys.len()).map(event).collect();
    collect(spec, &events, run)
}

fn keys() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(vec!["a".to_owned(), "b".to_owned()]), 1..30)
}

fn runs() -> impl Strategy<Value = Run> {
    (1..9_usize, any::<bool>()).prop_map(|(cut, restore)| Run { cut, restore })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn stages_read_the_columns_that_earlier_stages_set(steps in steps(), keys in keys(), cut in runs()) {
        let steps = valid_steps(steps, false);
        // After filters alone, rows are the unchanged events, without columns.
        prop_assume!(!steps.iter().all(|step| matches!(step, Step::Filter(_))));
        let spec = pipeline(&steps, false);
        let (ts, events) = stream(&keys);
        let found = run(&spec, &keys, &ts, cut);
        prop_assert_eq!(found.rows, rows(&spec, &expected(&steps, &events), &ts));
    }

    #[test]
    fn windows_aggregate_the_columns_that_earlier_stages_set(steps in steps(), keys in keys(), cut in runs()) {
        let steps = valid_steps(steps, true);
        let spec = pipeline(&steps, true);
        let (ts, events) = stream(&keys);
        let mut maxima: BTreeMap<String, [f64; 4]> = BTreeMap::new();
        for (_, key, columns) in expected(&steps, &events) {
            let of_key = maxima.entry(key).or_insert([f64::NAN; 4]);
            of_key.iter_mut().zip(NAMES).for_each(|(max, name)| *max = max.max(columns[name]));
        }
        let expected: Vec<Vec<Cell>> =
            maxima.values().map(|maxima| maxima.iter().map(|max| number(*max)).collect()).collect();
        let found = run(&spec, &keys, &ts, cut).without(&["window_start", "window_end"]);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn column_set_twice_has_its_last_value() {
    let set = json!([{"name": "w", "expression": "v * 2"}, {"name": "w", "expression": "w + 1"}]);
    for later in [json!([]), json!([{"type": "ema", "alpha": 1.0, "field": "w"}])] {
        let mut stages = vec![json!({"type": "map", "set": set})];
        stages.extend(later.as_array().unwrap().iter().cloned());
        let spec =
            json!({"source": {"value": "v"}, "limits": {"max_result_rows": 2}, "stages": stages});
        let spec = PipelineSpec::from_json(&spec.to_string()).unwrap();
        let events = [1.0, 10.0, 100.0].map(|v| Event::new(1, "", &[v]));
        for restore in [false, true] {
            let found = collect(&spec, &events, Run { cut: 2, restore });
            for name in &found.columns[2..] {
                assert_eq!(found.numbers(name), [3.0, 21.0, 201.0], "{name}");
            }
        }
    }
}

#[test]
fn map_of_the_mark_field_adds_a_row_column() {
    let spec = |set: &str| {
        let spec = json!({
            "source": {"value": "v"}, "time": {"watermark": "punctuated", "watermark_field": "mark"},
            "stages": [{"type": "map", "set": [{"name": set, "expression": "v * 2"}]}],
        });
        PipelineSpec::from_json(&spec.to_string()).unwrap()
    };
    let names = |set| -> Vec<String> {
        let output = Plan::new(&spec(set)).unwrap().output;
        output.columns.into_iter().map(|column| column.name).collect()
    };
    assert_eq!(names("w"), ["ts", "v", "w"]);
    assert_eq!(names("mark"), ["ts", "v", "mark"]);
    let events = [Event::new(1, "", &[3.0, 1.0]), Event::new(2, "", &[5.0, 0.0])];
    let found = collect(&spec("mark"), &events, Run { cut: 1, restore: true });
    assert_eq!(found.numbers("mark"), [6.0, 10.0]);
}

#[test]
fn columns_of_points_and_windows_are_set_and_read_like_those_of_events() {
    let set = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(name, text)| json!({"name": name, "expression": text})).collect()
    };
    let spec = json!({
        "source": {"value": "v"}, "limits": {"max_result_rows": 1}, "stages": [
            {"type": "map", "set": set(&[("w", "v * 2"), ("w", "w + 1")])},
            {"type": "normalize", "interval": "1s", "max_gap": "10s", "fields": [{"name": "w"}, {"name": "v"}]},
            {"type": "map", "set": set(&[("w", "w + v"), ("u", "w * 2"), ("u", "u + w")])},
            {"type": "window", "window": "tumbling", "size": "1m",
                "aggregations": [{"op": "sum", "field": "u", "name": "u"}, {"op": "max", "field": "w", "name": "w"}]},
            {"type": "map", "set": set(&[("u", "u / 3"), ("x", "u + w"), ("x", "x * 10"), ("w", "x - u")])},
        ]
    });
    let spec = PipelineSpec::from_json(&spec.to_string()).unwrap();
    // At 0, 1 and 2 s v is 1, 2 (filled) and 3, w is 3, 5 and 7; so w + v is 4, 7 and 10.
    let events = [(0, 1.0), (2_000, 3.0)].map(|(ts, v)| Event::new(ts, "", &[v]));
    for restore in [false, true] {
        let found = collect(&spec, &events, Run { cut: 1, restore });
        let (u, x) = (21.0, 310.0);
        let columns = ["u", "w", "x"].map(|name| found.numbers(name));
        assert_eq!(columns, [u, x - u, x].map(|number| vec![number]));
    }
}
