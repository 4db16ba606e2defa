//! Errors in JavaScript: instances of `Error` with a code, and with what the code needs.

use js_sys::{Error, JsString, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{SPEC, processor, refused, text_of};

#[wasm_bindgen_test]
fn wrong_pipeline_names_the_field() {
    let error = refused(processor(r#"{"stages": [{"type": "window", "window": "round"}]}"#));
    assert!(error.is_instance_of::<Error>());
    assert_eq!(text_of(&error, "code"), "invalid_pipeline");
    assert_eq!(text_of(&error, "field"), "stages[0].window");
    assert!(text_of(&error, "message").contains("tumbling"));
}

#[wasm_bindgen_test]
fn text_that_is_no_json_is_an_error_of_the_pipeline() {
    for text in ["", "{", "null", "[]", "\0", "{\"stages\": 1e999}"] {
        let error = refused(processor(text));
        assert_eq!(text_of(&error, "code"), "invalid_pipeline", "{text:?}");
    }
}

#[wasm_bindgen_test]
fn refused_event_has_the_limit_and_how_many_came_before() {
    let spec = r#"{"source": {"key": "k"}, "limits": {"max_keys": 1, "on_max_keys": "refuse"}, "stages": [
        {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"]}]}"#;
    let mut processor = processor(spec).unwrap();
    processor.define_keys(r#"["a", "b"]"#, 0).unwrap();
    let address = processor.reserve(3).unwrap();
    // The times are 0, and the ids of the keys follow them: 0, 0, 1.
    crate::common::view(address + 64, 12).copy_from(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    let error = refused(processor.push_reserved(3, 0, 3, 2, 0, false));
    assert_eq!(text_of(&error, "code"), "limit_reached");
    assert_eq!(text_of(&error, "limit"), "max_keys");
    let consumed = Reflect::get(&error, &JsString::from("consumed")).unwrap();
    assert_eq!(consumed.as_f64(), Some(2.0));
}

#[wasm_bindgen_test]
fn time_that_is_no_time_is_refused() {
    let mut processor = processor(SPEC).unwrap();
    for time in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        for error in [refused(processor.advance_watermark(time)), refused(processor.tick(time))] {
            assert_eq!(text_of(&error, "code"), "invalid_time");
        }
    }
    assert_eq!(JsValue::from(processor.watermark()), JsValue::UNDEFINED);
}
