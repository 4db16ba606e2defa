//! Pipelines with limits, and streams that reach them.

use proptest::prelude::*;
use serde_json::json;
use stream_processor_core::PipelineSpec;

use super::{BOUND, Limits, Policy};
use crate::common::Pipeline;
use crate::common::events::{Event, Run};

pub fn pipeline(stages: &str, limits: Limits, result_rows: usize) -> PipelineSpec {
    let Limits { keys, windows, bytes } = limits;
    let mut options = json!({
        "max_keys": keys.0, "on_max_keys": keys.1.name(),
        "max_windows_per_key": windows.0, "on_max_windows_per_key": windows.1.name(),
        "on_max_state_bytes": bytes.1.name(), "max_result_rows": result_rows,
    });
    if let Some(bytes) = bytes.0 {
        options["max_state_bytes"] = bytes.into();
    }
    let bound = format!("{BOUND}ms");
    Pipeline::keyed().bound(&bound).limits(&options).stages(stages).spec()
}

pub fn window(options: &str, aggregations: &str) -> String {
    format!(r#"{{"type": "window", "window": {options}, "aggregations": {aggregations}}}"#)
}

pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..60_i64, 0..7_u8, 0..30_i64, 0..3_u8);
    prop::collection::vec(event, 0..80).prop_map(|list| {
        let mut now = -30;
        let step = |(step, key, back, far): (i64, u8, i64, u8)| {
            now += step / 20;
            let back = if far == 0 { -back } else { back / 3 };
            Event::new(now - back, &char::from(b'a' + key).to_string(), &[f64::from(key)])
        };
        list.into_iter().map(step).collect()
    })
}

pub fn runs() -> impl Strategy<Value = Run> {
    (1..12_usize, any::<bool>()).prop_map(|(cut, restore)| Run { cut, restore })
}

pub fn policies() -> impl Strategy<Value = Policy> {
    prop::sample::select(Policy::ALL.to_vec())
}

pub fn limits(least_windows: usize) -> impl Strategy<Value = Limits> {
    let windows = least_windows..least_windows + 4;
    let bytes = prop_oneof![Just(None), (225..4_500_u64).prop_map(Some)];
    ((1..6_usize, policies()), (windows, policies()), (bytes, policies()))
        .prop_map(|(keys, windows, bytes)| Limits { keys, windows, bytes })
}

/// Returns the bytes of a window and of one of its values, with the event counts and the values
/// that the policies require.
pub fn bytes(limits: Limits, fixed: u64, slots: u64, value: u64) -> (u64, u64) {
    let keys_evict = limits.keys.1 == Policy::Evict || limits.windows.1 == Policy::Evict;
    let evicts = keys_evict || (limits.bytes.0.is_some() && limits.bytes.1 == Policy::Evict);
    (fixed + slots + if evicts { 8 } else { 0 }, value)
}
