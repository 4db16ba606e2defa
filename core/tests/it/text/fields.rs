//! Text fields of events: compared, counted and used as keys, for all batches, result buffers and
//! snapshots.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use stream_processor_core::{Engine, InputKind, Options, PipelineSpec, Plan, key};

use crate::common::Pipeline;
use crate::common::text::rows;

/// Size of the window: 10 ms.
const SIZE: i64 = 10;

fn spec(stages: &str, result_rows: usize) -> PipelineSpec {
    let window = json!({
        "type": "window", "window": "tumbling", "size": format!("{SIZE}ms"),
        "aggregations": [
            "count", {"op": "distinct", "field": "user"}, {"op": "count", "field": "user"},
        ],
    });
    let pipeline = Pipeline::keyed().bound("unbounded").result_rows(result_rows);
    pipeline.stages(stages).stage(window).spec()
}

#[derive(Debug, Clone)]
struct Event {
    ts: i64,
    key: &'static str,
    user: Value,
    region: Value,
}

/// Generates texts, numbers in several spellings, true, false and null.
fn value() -> impl Strategy<Value = Value> {
    let texts = ["eu", "us", "", "1", "true", "é\u{0}"];
    prop_oneof![
        4 => prop::sample::select(texts.to_vec()).prop_map(Value::from),
        2 => (0..3_u8).prop_map(Value::from),
        1 => (0..3_u8).prop_map(|n| Value::from(f64::from(n))),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (-50..50_i64, prop::sample::select(vec!["a", "b"]), value(), value());
    let event = event.prop_map(|(ts, key, user, region)| Event { ts, key, user, region });
    prop::collection::vec(event, 0..80)
}

fn line(event: &Event) -> String {
    let Event { ts, key, user, region } = event;
    format!("{{\"user\":{user},\"ts\":{ts},\"k\":\"{key}\",\"region\":{region},\"v\":1}}\n")
}

/// Returns the identity of a value: its type, and for a number its value, not its spelling.
fn identity_of(value: &Value) -> String {
    match value.as_f64() {
        Some(number) => format!("number {number}"),
        None => value.to_string(),
    }
}

/// Returns the expected rows of the events for which `passes` returns true, counted one by one.
fn expected(events: &[Event], passes: impl Fn(&Value) -> bool) -> String {
    let mut windows: BTreeMap<(i64, &str), Vec<&Value>> = BTreeMap::new();
    for event in events.iter().filter(|event| passes(&event.region)) {
        windows.entry((event.ts.div_euclid(SIZE), event.key)).or_default().push(&event.user);
    }
    let row = |((window, key), users): ((i64, &str), Vec<&Value>)| {
        let there: Vec<&&Value> = users.iter().filter(|user| !user.is_null()).collect();
        let different: BTreeSet<String> = there.iter().map(|user| identity_of(user)).collect();
        let time = |window: i64| {
            let mut text = Vec::new();
            stream_processor_core::time::write_rfc3339(window * SIZE * 1_000, &mut text);
            String::from_utf8(text).unwrap()
        };
        format!(
            "{{\"k\":\"{key}\",\"window_start\":\"{}\",\"window_end\":\"{}\",\"count\":{},\"distinct_user\":{},\"count_user\":{}}}\n",
            time(window),
            time(window + 1),
            users.len(),
            different.len(),
            there.len()
        )
    };
    windows.into_iter().map(row).collect()
}

/// A condition in JSON, and the same condition as a closure.
type Case = (&'static str, fn(&Value) -> bool);

const CASES: [Case; 8] = [
    (r#"{"field": "region", "op": "==", "value": "eu"}"#, |region| region == "eu"),
    (r#"{"field": "region", "op": "!=", "value": "eu"}"#, |region| {
        region != "eu" && !region.is_null()
    }),
    (r#"{"field": "region", "op": "in", "value": ["eu", "1", ""]}"#, |region| {
        region == "eu" || region == "1" || region == ""
    }),
    (r#"{"field": "region", "op": "in", "value": ["us", 1, true]}"#, |region| {
        region == "us" || region.as_f64() == Some(1.0) || region == &Value::Bool(true)
    }),
    (r#"{"field": "region", "op": "==", "value": true}"#, |region| region == &Value::Bool(true)),
    (
        r#"{"any": [{"field": "region", "op": "missing"}, {"field": "region", "op": "==", "value": "us"}]}"#,
        |region| region.is_null() || region == "us",
    ),
    (r#"{"not": {"field": "region", "op": "in", "value": ["us", 2]}}"#, |region| {
        region != "us" && region.as_f64() != Some(2.0)
    }),
    (
        r#"{"field": "user", "op": "!=", "value": "nobody"}, {"field": "region", "op": "==", "value": ""}"#,
        |region| region == "",
    ),
];

proptest! {
    #[test]
    fn texts_are_compared_and_counted(
        events in events(),
        case in prop::sample::select(CASES.to_vec()),
        piece in 1..20_usize,
        most in 1..9_usize,
        restore in any::<bool>(),
    ) {
        let text: String = events.iter().map(line).collect();
        let all = rows(&spec("", most), &text, piece, restore);
        prop_assert_eq!(all, expected(&events, |_| true));
        let (condition, passes) = case;
        let stage = format!(r#"{{"type": "filter", "where": [{condition}]}}"#);
        let found = rows(&spec(&stage, most), &text, piece, restore);
        let kept: Vec<Event> = match condition.contains("nobody") {
            true => events.iter().filter(|event| !event.user.is_null()).cloned().collect(),
            false => events.clone(),
        };
        prop_assert_eq!(found, expected(&kept, passes), "{}", condition);
    }
}

#[test]
fn distinct_of_many_texts_is_an_estimate() {
    let spec = PipelineSpec::from_json(
        r#"{"source": {"value": "v"}, "stages": [{"type": "window", "window": "global", "aggregations":
            [{"op": "distinct", "field": "user", "name": "users"}]}]}"#,
    )
    .unwrap();
    let text: String = (0..40_000)
        .map(|n| format!("{{\"ts\":{n},\"v\":0,\"user\":\"u{}\"}}\n", n % 20_000))
        .collect();
    let row = rows(&spec, &text, 5_000, true);
    let row: Value = serde_json::from_str(&row).unwrap();
    let users = row["users"].as_f64().unwrap();
    assert!((users / 20_000.0 - 1.0).abs() < 0.05, "{users}");
}

#[test]
fn type_of_a_field_follows_from_all_stages() {
    let kind = |stages: &str| {
        let plan = Plan::new(&Pipeline::keyed().stages(stages).spec()).unwrap();
        let column = plan.input.columns.iter().find(|column| column.name == "x");
        (
            column.map(|column| column.kind),
            plan.output.columns.iter().any(|column| column.name == "x"),
        )
    };
    let window = |aggregations: &str| {
        format!(r#"{{"type": "window", "window": "global", "aggregations": [{aggregations}]}}"#)
    };
    let distinct = window(r#"{"op": "distinct", "field": "x"}"#);
    assert_eq!(kind(&distinct), (Some(InputKind::Text), false));
    let both = window(r#"{"op": "distinct", "field": "x"}, {"op": "max", "field": "x"}"#);
    assert_eq!(kind(&both).0, Some(InputKind::F64));
    assert_eq!(kind(&window(r#"{"op": "count", "field": "x"}"#)).0, Some(InputKind::F64));
    let filter = |condition: &str| {
        format!(r#"{{"type": "filter", "where": [{condition}]}}, {{"type": "ema", "span": 2}}"#)
    };
    // A text is not a column of the rows; a number is.
    let text = filter(r#"{"field": "x", "op": "==", "value": "a"}"#);
    assert_eq!(kind(&text), (Some(InputKind::Text), false));
    let number = filter(r#"{"field": "x", "op": "==", "value": 1}"#);
    assert_eq!(kind(&number), (Some(InputKind::F64), true));
    let both = filter(
        r#"{"field": "x", "op": "==", "value": 1}, {"field": "x", "op": "!=", "value": "a"}"#,
    );
    assert_eq!(kind(&both).0, Some(InputKind::Text));
}

#[test]
fn invalid_conditions_on_text_fields_are_refused_with_the_reason() {
    for (stage, path, message) in [
        (
            r#"{"type": "filter", "where": [{"field": "x", "op": "<", "value": "a"}]}"#,
            "stages[0].where[0].op",
            "only texts in the key have an order",
        ),
        (
            r#"{"type": "filter", "where": [{"field": "x", "op": "==", "value": "a"}, {"field": "x", "op": ">", "value": 1}]}"#,
            "stages[0].where[0].value",
            "as a number",
        ),
        (
            r#"{"type": "filter", "where": [{"field": "v", "op": "==", "value": "a"}]}"#,
            "stages[0].where[0].value",
            "as a number",
        ),
    ] {
        crate::common::assert_refused(stage, path, message);
    }
}

#[test]
fn event_with_a_field_of_another_type_is_rejected() {
    let spec = spec("", 9);
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut feed = stream_processor_core::text::Feed::new(&spec, engine.plan(), 0);
    let text = "{\"ts\":1,\"k\":1,\"v\":1,\"user\":[1]}\n{\"ts\":1,\"k\":1,\"v\":1}\n";
    feed.push(&mut engine, text.as_bytes()).unwrap();
    assert_eq!((engine.stats().events, engine.stats().rejected), (1, 1));
}

#[test]
fn fingerprints_are_finite_and_distinct() {
    let all: BTreeSet<u64> = (0..20_000)
        .map(|n| {
            let mut value = Vec::new();
            key::push_str(&mut value, &n.to_string());
            let fingerprint = key::fingerprint(&value);
            assert!(fingerprint.is_finite());
            fingerprint.to_bits()
        })
        .collect();
    assert_eq!(all.len(), 20_000);
}
