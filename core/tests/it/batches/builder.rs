//! Batches made event by event, and rows read by field name.

use stream_processor_core::{
    Batch, BatchBuilder, Column, Engine, Error, KeyColumn, Options, PipelineSpec, Plan, Value, key,
};

fn spec(json: &str) -> PipelineSpec {
    PipelineSpec::from_json(json).unwrap()
}

fn keyed() -> PipelineSpec {
    spec(
        r#"{"source": {"key": "svc", "value": "ms"}, "stages": [{"type": "window", "window": "tumbling",
            "size": "10s", "aggregations": ["count", "sum"]}]}"#,
    )
}

/// Returns all waiting rows as (key, start, sum).
fn drain(engine: &mut Engine) -> Vec<(String, i64, f64)> {
    let mut all = Vec::new();
    while let Some(rows) = engine.poll(100) {
        for row in 0..rows.len() {
            let key = rows.key_fields(row).map(|field| format!("{field:?}")).collect();
            all.push((key, rows.start(row).unwrap(), rows.number(row, "sum").unwrap()));
        }
    }
    all
}

fn finish(mut engine: Engine) -> Vec<(String, i64, f64)> {
    engine.finish().unwrap();
    drain(&mut engine)
}

#[test]
fn text_keys_give_the_rows_of_encoded_keys() {
    let keys = ["", "a", "b", "a\0b", "a\u{1}", "é😀", "a key of more than sixteen bytes"];
    let mut encoded = Engine::open(&keyed(), Options::default()).unwrap();
    let mut built = Engine::open(&keyed(), Options::default()).unwrap();
    let mut events = BatchBuilder::new(built.plan());
    let (mut times, mut values, mut offsets, mut bytes) = (vec![], vec![], vec![0], vec![]);
    for number in 0..1000_u32 {
        let text = keys[(number as usize * 5 + number as usize / 7) % keys.len()];
        let (time, value) = (i64::from(number) * 50_000, f64::from(number));
        times.push(time);
        values.push(value);
        key::push_str(&mut bytes, text);
        offsets.push(u32::try_from(bytes.len()).unwrap());
        events.push(time, text, &[value]).unwrap();
        if number % 100 == 99 {
            assert!(!events.push_to(&mut built).unwrap().full);
            assert!(events.is_empty());
        }
    }
    let keys = KeyColumn::Encoded { offsets: &offsets, bytes: &bytes };
    let columns = [Column::F64(&values)];
    let batch = Batch { timestamps: &times, keys, columns: &columns, ..Batch::default() };
    encoded.push(&batch).unwrap();
    assert_eq!(finish(built), finish(encoded));
}

#[test]
fn keys_of_other_types_follow_texts_in_one_batch() {
    let mut engine = Engine::open(&keyed(), Options::default()).unwrap();
    let mut events = BatchBuilder::new(engine.plan());
    events.push(1, "7", &[1.0]).unwrap();
    events.push(2, 7, &[2.0]).unwrap();
    events.push(3, 7.0, &[4.0]).unwrap();
    events.push(4, Value::from(true), &[8.0]).unwrap();
    events.push(5, String::from("7"), &[16.0]).unwrap();
    events.push(6, i64::MAX, &[32.0]).unwrap();
    events.push_to(&mut engine).unwrap();
    let expected = [
        ("Bool(true)", 8.0),
        ("Number(7.0)", 6.0),
        ("Integer(9223372036854775807)", 32.0),
        ("Text(\"7\")", 17.0),
    ];
    assert_eq!(finish(engine), expected.map(|(key, sum)| (key.to_owned(), 0, sum)));
}

#[test]
fn events_not_taken_stay_in_the_builder() {
    let mut spec = keyed();
    spec.limits.max_result_rows = 500;
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut events = BatchBuilder::new(engine.plan());
    // More events than the engine processes at once, in more windows than it holds rows.
    for number in 0..10_000_i64 {
        let key = ["x", "yy", ""][number as usize % 3];
        events.push(number * 10_000_000, key, &[1.0]).unwrap();
    }
    let (mut rows, mut calls) = (Vec::new(), 0);
    while events.push_to(&mut engine).unwrap().full {
        rows.extend(drain(&mut engine));
        calls += 1;
    }
    assert!(calls > 2 && events.is_empty());
    while engine.finish().unwrap() == stream_processor_core::Progress::Full {
        rows.extend(drain(&mut engine));
    }
    rows.extend(drain(&mut engine));
    assert_eq!(rows.len(), 10_000);
    for (number, (key, start, sum)) in (0..).zip(rows) {
        let expected = format!("Text({:?})", ["x", "yy", ""][number as usize % 3]);
        assert_eq!((key, start, sum), (expected, number * 10_000_000, 1.0));
    }
}

#[test]
fn discard_removes_events_from_the_front() {
    let mut engine = Engine::open(&keyed(), Options::default()).unwrap();
    let mut events = BatchBuilder::new(engine.plan());
    for (time, key, value) in [(1, "abc", 1.0), (2, "d", 2.0), (3, "ef", 4.0)] {
        events.push(time, key, &[value]).unwrap();
    }
    events.discard(2);
    assert_eq!(events.len(), 1);
    events.push_to(&mut engine).unwrap();
    events.discard(9);
    assert_eq!(finish(engine), [("Text(\"ef\")".to_owned(), 0, 4.0)]);
}

#[test]
fn unlisted_fields_are_missing() {
    let spec = spec(
        r#"{"source": {"value": "ms"}, "stages": [
            {"type": "filter", "where": [{"field": "code", "op": "missing"}]},
            {"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["sum"]}]}"#,
    );
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut events = BatchBuilder::with_fields(engine.plan(), &["ms"]).unwrap();
    events.push(1, (), &[3.0]).unwrap();
    events.push_to(&mut engine).unwrap();
    let mut events = BatchBuilder::with_fields(engine.plan(), &["code", "ms"]).unwrap();
    events.push(2, (), &[200.0, 5.0]).unwrap();
    events.push(3, (), &[f64::NAN, 7.0]).unwrap();
    events.push_to(&mut engine).unwrap();
    assert_eq!(finish(engine), [(String::new(), 0, 10.0)]);
}

#[test]
fn refused_events_leave_the_builder_unchanged() {
    let mut spec = keyed();
    spec.limits.max_batch_events = 2;
    let plan = Plan::new(&spec).unwrap();
    let mut events = BatchBuilder::new(&plan);
    let code = |result: Result<(), Error>| result.unwrap_err().code();
    events.push(1, "a", &[1.0]).unwrap();
    assert_eq!(code(events.push(2, "a", &[1.0, 2.0])), "column_count");
    assert_eq!(code(events.push(2, (), &[1.0])), "keys_mismatch");
    assert_eq!(code(events.push(2, ("a", "b"), &[1.0])), "keys_mismatch");
    assert_eq!(code(events.push(2, Value::Null, &[1.0])), "keys_mismatch");
    assert_eq!(code(events.push(2, f64::NAN, &[1.0])), "keys_mismatch");
    assert_eq!(code(events.push_values(2, "a", &["x".into()])), "invalid_field");
    assert_eq!(code(events.push_values(2, "a", &[true.into()])), "invalid_field");
    events.push(2, "b", &[2.0]).unwrap();
    assert_eq!(code(events.push(3, "c", &[1.0])), "batch_too_large");
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    assert_eq!(events.push_to(&mut engine).unwrap().consumed, 2);
    let rows = finish(engine);
    assert_eq!(rows, [("Text(\"a\")".to_owned(), 0, 1.0), ("Text(\"b\")".to_owned(), 0, 2.0)]);

    for (fields, problem) in
        [(&["mss"][..], "did you mean `ms`"), (&["ms", "ms"], "named twice"), (&[], "name it")]
    {
        let error = BatchBuilder::with_fields(&plan, fields).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}
