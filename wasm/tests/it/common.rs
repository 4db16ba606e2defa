//! Blocks in the module's own memory, and calls of the C ABI.

use js_sys::{JsString, Reflect, Uint8Array, WebAssembly};
use stream_processor_core::{Batch, Column, KeyColumn, wire};
use stream_processor_wasm::abi;
use stream_processor_wasm::js::Processor;
use wasm_bindgen::{JsCast, JsValue};

/// Counts events and sums values in windows of one second.
pub(crate) const SPEC: &str = r#"{"source": {"key": "k", "value": "v"}, "stages": [
    {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count", "sum"]}]}"#;

/// Returns the memory of this module.
fn memory() -> WebAssembly::Memory {
    wasm_bindgen::memory().unchecked_into()
}

/// Returns a view of `len` bytes of memory at `address`; it is valid until memory grows.
pub(crate) fn view(address: u32, len: u32) -> Uint8Array {
    Uint8Array::new_with_byte_offset_and_length(&memory().buffer(), address, len)
}

/// Returns the size of the memory in bytes.
pub(crate) fn memory_len() -> u32 {
    Uint8Array::new(&memory().buffer()).length()
}

/// Allocates a block with these bytes.
pub(crate) fn block(bytes: &[u8]) -> (u32, u32) {
    let len = u32::try_from(bytes.len()).unwrap();
    let address = abi::sp_alloc(len);
    assert_ne!(address, 0);
    view(address, len).copy_from(bytes);
    (address, len)
}

/// Opens an engine.
pub(crate) fn open(spec: &str) -> i32 {
    let (spec, len) = block(spec.as_bytes());
    let handle = abi::sp_open(spec, len, 0, 0);
    abi::sp_free(spec);
    assert!(handle > 0, "{}", error());
    handle
}

/// Returns the block of a batch with one event of the value 1 for each time, all of one key.
pub(crate) fn batch(times_us: &[i64]) -> Vec<u8> {
    let offsets: Vec<u32> = (0..=times_us.len()).map(|n| u32::try_from(n).unwrap()).collect();
    let keys = "a".repeat(times_us.len());
    let values = vec![1.0; times_us.len()];
    let batch = Batch {
        timestamps: times_us,
        keys: KeyColumn::Text { offsets: &offsets, bytes: keys.as_bytes() },
        columns: &[Column::F64(&values)],
        ..Batch::default()
    };
    // Blocks are read and written in words of 64 bits.
    let mut words = vec![0_u64; wire::batch_len(&batch).div_ceil(8)];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    wire::encode_batch(&batch, bytes);
    bytes.to_vec()
}

/// Returns the address and the length of a packed result.
pub(crate) fn parts_of(packed: u64) -> (u32, u32) {
    (packed as u32, (packed >> 32) as u32)
}

/// Returns the bytes of a packed result.
pub(crate) fn unpack(packed: u64) -> Vec<u8> {
    let (address, len) = parts_of(packed);
    view(address, len).to_vec()
}

/// Opens a processor as JavaScript does.
pub(crate) fn processor(spec: &str) -> Result<Processor, JsValue> {
    Processor::new(spec, 7.0, false, false, false)
}

/// Returns the error of a call that must fail.
pub(crate) fn refused<T>(result: Result<T, JsValue>) -> JsValue {
    match result {
        Ok(_) => panic!("the call succeeds"),
        Err(error) => error,
    }
}

/// Returns the code of the last error.
pub(crate) fn error() -> String {
    wire::decode_error(&unpack(abi::sp_error())).unwrap().code
}

/// Returns a property of a JavaScript value as text; empty if it is undefined.
pub(crate) fn text_of(value: &JsValue, name: &str) -> String {
    let property = Reflect::get(value, &JsString::from(name)).unwrap();
    property.as_string().unwrap_or_default()
}
