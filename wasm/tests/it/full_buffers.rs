//! Results that do not fit: calls stop, and continue after the rows were taken.

use stream_processor_core::wire;
use stream_processor_wasm::abi;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{batch, block, error, open, unpack};

const SMALL: &str = r#"{"source": {"key": "k", "value": "v"}, "limits": {"max_result_rows": 2}, "stages": [
    {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"]}]}"#;
const REFUSING: &str = r#"{"source": {"key": "k", "value": "v"},
    "limits": {"max_windows_per_key": 2, "on_max_windows_per_key": "refuse"}, "time": {"max_out_of_orderness": "1h"},
    "stages": [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count"]}]}"#;
const FULL_BIT: i64 = 1 << 32;
const SECOND: i64 = 1_000_000;

/// Takes the rows that wait and returns their number.
fn polled(handle: i32) -> usize {
    let rows = abi::sp_poll(handle, 1_000);
    if rows == 0 { 0 } else { wire::decode_rows(&unpack(rows)).unwrap().len() }
}

#[wasm_bindgen_test]
fn push_stops_at_the_full_buffer_and_continues_after_a_poll() {
    let handle = open(SMALL);
    let times: Vec<i64> = (0..50).map(|n| n * SECOND).collect();
    let (mut from, mut rows, mut stops) = (0, 0, 0_usize);
    while from < times.len() {
        let (address, len) = block(&batch(&times[from..]));
        let pushed = abi::sp_push(handle, address, len);
        assert!(pushed >= 0);
        from += usize::try_from(pushed & (FULL_BIT - 1)).unwrap();
        stops += usize::from(pushed & FULL_BIT != 0);
        let taken = polled(handle);
        assert!(taken <= 2);
        rows += taken;
        abi::sp_free(address);
    }
    // An engine may take events whose rows have no room yet: they are emitted by later calls.
    while abi::sp_finish(handle) == 1 {
        stops += 1;
        rows += polled(handle);
    }
    rows += polled(handle);
    assert!(stops >= times.len() / 2 - 1, "{stops}");
    assert_eq!(rows, times.len());
    abi::sp_close(handle);
}

#[wasm_bindgen_test]
fn limit_that_refuses_names_itself_and_the_call_can_be_continued() {
    let handle = open(REFUSING);
    let (address, len) = block(&batch(&[0, SECOND, 2 * SECOND, 3 * SECOND]));
    assert_eq!(abi::sp_push(handle, address, len), -2);
    let reported = wire::decode_error(&unpack(abi::sp_error())).unwrap();
    assert_eq!(error(), "limit_reached");
    let limit = reported.limit_reached.unwrap();
    assert_eq!((limit.limit, limit.consumed), ("max_windows_per_key", 2));
    abi::sp_free(address);
    let (address, len) = block(&batch(&[1, SECOND + 1]));
    assert_eq!(abi::sp_push(handle, address, len), 2);
    assert_eq!(abi::sp_finish(handle), 0);
    assert_eq!(polled(handle), 2);
    abi::sp_free(address);
    abi::sp_close(handle);
}
