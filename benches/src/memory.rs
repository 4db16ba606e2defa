//! Measures the bytes of an open window of one key with a counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use stream_processor::runtime::NativeEngine;
use stream_processor_core::Options;
use stream_processor_core::PipelineSpec;

use crate::data::Events;
use crate::loops;
use crate::measure::Laps;

/// The system's allocator with a counter of the bytes in use.
pub struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator has no other form; it hands all to the system's")]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The open state to measure: keys, windows of each key, and values in each window.
struct OpenState {
    name: &'static str,
    aggregations: &'static str,
    keys: u32,
    windows: i64,
    values: usize,
    /// The allowed bytes, by the number of octaves of the values.
    bar: fn(f64) -> f64,
}

/// The bytes of an open window of a key with any aggregations, without percentiles.
const WINDOW: f64 = 100.0;
const MOMENTS: &str = r#"["count","sum","avg","min","max","stddev"]"#;
const PERCENTILES: &str = r#"["p50","p95","p99"]"#;
const OPEN_STATES: &[OpenState] = &[
    OpenState {
        name: "count to stddev, 1,000 keys",
        aggregations: MOMENTS,
        keys: 1_000,
        windows: 60,
        values: 2,
        bar: |_| WINDOW,
    },
    OpenState {
        name: "count to stddev, 100,000 keys",
        aggregations: MOMENTS,
        keys: 100_000,
        windows: 10,
        values: 1,
        bar: |_| WINDOW,
    },
    OpenState {
        name: "percentiles, 20 values",
        aggregations: PERCENTILES,
        keys: 1_000,
        windows: 10,
        values: 20,
        bar: |_| WINDOW + 1_024.0,
    },
    OpenState {
        name: "percentiles, 100 values",
        aggregations: PERCENTILES,
        keys: 1_000,
        windows: 10,
        values: 100,
        bar: |_| WINDOW + 1_024.0,
    },
    OpenState {
        name: "percentiles, 512 values",
        aggregations: PERCENTILES,
        keys: 1_000,
        windows: 10,
        values: 512,
        bar: |_| WINDOW + 4_096.0,
    },
    OpenState {
        name: "percentiles, 2,000 values",
        aggregations: PERCENTILES,
        keys: 100,
        windows: 10,
        values: 2_000,
        bar: |octaves| WINDOW + 256.0 * octaves,
    },
];

/// Prints the table.
///
/// # Errors
/// The error of the engine.
///
/// # Errors
/// A failure of the engine.
pub fn print() -> Result<()> {
    println!("| open windows of a key | bytes each | bar | met? |");
    println!("|---|---|---|---|");
    for open in OPEN_STATES {
        let (bytes, bar) = measure(open)?;
        let met = if bytes <= bar { "yes" } else { "no" };
        println!("| {} | {bytes:.0} | {bar:.0} | {met} |", open.name);
    }
    println!();
    Ok(())
}

fn measure(open: &OpenState) -> Result<(f64, f64)> {
    let spec = PipelineSpec::from_json(&format!(
        r#"{{"source":{{"key":"service","value":"latency"}},"time":{{"max_out_of_orderness":"1d"}},
            "stages":[{{"type":"window","window":"tumbling","size":"1m","aggregations":{}}}]}}"#,
        open.aggregations
    ))?;
    let events = events(open);
    let mut engine = NativeEngine::open(&spec, Options::default())?;
    let before = IN_USE.load(Ordering::Relaxed);
    let names = loops::Names::of(&events, loops::Keys::Ids);
    loops::push(&mut engine, &events, &names, &mut Laps::default())?;
    let bytes = IN_USE.load(Ordering::Relaxed) - before;
    let span =
        |pick: fn(f64, f64) -> f64| events.values.iter().copied().reduce(pick).unwrap_or(1.0);
    let octaves = span(f64::max).log2().floor() - span(f64::min).log2().floor() + 1.0;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let each = bytes as f64 / (f64::from(open.keys) * open.windows as f64);
    Ok((each, (open.bar)(octaves)))
}

/// Generates the same number of values for each key in each window, window after window.
fn events(open: &OpenState) -> Events {
    let rounds = open.values * open.keys as usize;
    let mut events = Events::new(rounds * usize::try_from(open.windows).unwrap_or(0));
    events.key_count = open.keys;
    for (at, (time, key)) in events.timestamps.iter_mut().zip(&mut events.keys).enumerate() {
        let window = i64::try_from(at / rounds).unwrap_or(0);
        *time = (28_333_333 + window) * 60_000_000 + i64::try_from(at % rounds).unwrap_or(0);
        *key = u32::try_from(at % open.keys as usize).unwrap_or(0);
    }
    events
}
