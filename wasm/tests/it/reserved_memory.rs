//! Batches that JavaScript writes into the module's memory: any bytes, ranges and sizes.

use js_sys::{Float64Array, Uint32Array, WebAssembly};
use stream_processor_wasm::js::Processor;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{SPEC, memory_len, processor, refused, text_of};

/// The columns of the pipeline in a batch of up to 8 events start this many bytes apart.
const STRIDE: u32 = 64;

fn buffer() -> JsValue {
    wasm_bindgen::memory().unchecked_into::<WebAssembly::Memory>().buffer()
}

/// Reserves a batch and writes it: times in milliseconds, values of 1, key ids.
fn written(processor: &mut Processor, times: &[f64], ids: &[u32]) -> u32 {
    let address = processor.reserve(times.len()).unwrap();
    let len = u32::try_from(times.len()).unwrap();
    let buffer = buffer();
    Float64Array::new_with_byte_offset_and_length(&buffer, address, len).copy_from(times);
    Float64Array::new_with_byte_offset_and_length(&buffer, address + STRIDE, len).fill(1.0, 0, len);
    Uint32Array::new_with_byte_offset_and_length(&buffer, address + 2 * STRIDE, len).copy_from(ids);
    address
}

fn opened() -> Processor {
    let mut processor = processor(SPEC).unwrap();
    processor.define_keys(r#"["a", "b"]"#, 0).unwrap();
    processor
}

#[wasm_bindgen_test]
fn reserved_columns_are_aligned_and_inside_the_memory() {
    let mut processor = opened();
    for events in [1, 7, 8, 9, 1_000, 100_000] {
        let address = processor.reserve(events).unwrap();
        let bytes = u32::try_from(events.next_multiple_of(8) * 8 * 4).unwrap();
        assert_eq!(address % STRIDE, 0);
        assert!(address + bytes <= memory_len(), "{events}");
    }
}

#[wasm_bindgen_test]
fn written_events_are_pushed_from_any_position() {
    let mut processor = opened();
    written(&mut processor, &[0.0, 500.0, 1_000.0, 2_000.0], &[0, 1, 0, 1]);
    assert_eq!(processor.push_reserved(4, 0, 1, 2, 0, false).unwrap(), 1);
    assert_eq!(processor.push_reserved(4, 1, 4, 2, 1, false).unwrap(), 3);
    processor.finish().unwrap();
    assert_eq!(processor.poll(100).unwrap(), 4);
}

#[wasm_bindgen_test]
fn count_beyond_the_memory_is_out_of_memory() {
    let mut processor = opened();
    for events in [usize::MAX, usize::MAX - 7, usize::MAX / 8, usize::MAX / 32, 1 << 27] {
        let error = refused(processor.reserve(events));
        assert_eq!(text_of(&error, "code"), "out_of_memory", "{events}");
    }
    written(&mut processor, &[0.0], &[0]);
    assert_eq!(processor.push_reserved(1, 0, 1, 2, 0, false).unwrap(), 1);
}

#[wasm_bindgen_test]
fn range_beyond_the_batch_is_refused() {
    let ranges = [
        (4, 3, 1),
        (4, 4, 5),
        (4, 5, 9),
        (400, 0, 400),
        (4_000_000, 9, 4_000_000),
        (usize::MAX, 0, 4),
        (usize::MAX / 8, 0, 4),
        (4, usize::MAX, usize::MAX),
    ];
    let mut processor = opened();
    for (events, from, to) in ranges {
        written(&mut processor, &[0.0; 4], &[0; 4]);
        let error = refused(processor.push_reserved(events, from, to, 2, from, false));
        assert_eq!(text_of(&error, "code"), "malformed_block", "{events} {from} {to}");
        assert_eq!(processor.push_reserved(4, 0, 4, 2, 0, false).unwrap(), 4);
    }
}

#[wasm_bindgen_test]
fn batch_without_a_reservation_is_refused() {
    let mut processor = opened();
    let error = refused(processor.push_reserved(4, 0, 4, 2, 0, false));
    assert_eq!(text_of(&error, "code"), "malformed_block");
    processor.finish().unwrap();
    assert_eq!(processor.poll(100).unwrap(), 0);
}

#[wasm_bindgen_test]
fn key_id_beyond_the_dictionary_takes_nothing_of_the_batch() {
    for wrong in [2, 3, u32::MAX] {
        let mut processor = opened();
        written(&mut processor, &[0.0, 1.0, 2.0], &[0, 1, wrong]);
        let error = refused(processor.push_reserved(3, 0, 3, 2, 0, false));
        assert_eq!(text_of(&error, "code"), "unknown_key_id");
        processor.finish().unwrap();
        assert_eq!(processor.poll(100).unwrap(), 0);
    }
}

#[wasm_bindgen_test]
fn any_bits_are_events_or_rejections() {
    let patterns =
        [f64::NAN, f64::INFINITY, -0.0, 1e300, f64::MIN_POSITIVE, f64::from_bits(u64::MAX)];
    let mut processor = opened();
    let address = written(&mut processor, &patterns, &[0, 1, 0, 1, 0, 1]);
    Float64Array::new_with_byte_offset_and_length(&buffer(), address + STRIDE, 6)
        .copy_from(&patterns);
    assert_eq!(processor.push_reserved(6, 0, 6, 2, 0, false).unwrap(), 6);
    processor.finish().unwrap();
}

#[wasm_bindgen_test]
fn growth_of_the_memory_detaches_views_and_keeps_the_batch() {
    let mut processor = opened();
    let address = written(&mut processor, &[0.0, 5_000.0], &[0, 1]);
    let view = Float64Array::new_with_byte_offset_and_length(&buffer(), address, 2);
    wasm_bindgen::memory().unchecked_into::<WebAssembly::Memory>().grow(1);
    assert_eq!(view.length(), 0);
    assert_eq!(processor.push_reserved(2, 0, 2, 2, 0, false).unwrap(), 2);
    processor.finish().unwrap();
    assert_eq!(processor.poll(100).unwrap(), 2);
}
