//! The allocator measures that memory stays below `limits.max_state_bytes` plus a constant, for any
//! number of keys.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use stream_processor_core::{
    Batch, Column, Engine, KeyColumn, Options, PipelineSpec, key, text::Feed,
};

/// The system's allocator with counters of the current and the maximum number of bytes.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator has no other form; it hands all to the system's")]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Bytes that are not state: up to 65,536 unreferenced keys are kept, and batches and rows are in
/// transit.
const OVERHEAD_BYTES: usize = 48 << 20;

fn pipeline(stage: &str, max_state_bytes: u64) -> PipelineSpec {
    let json = format!(
        r#"{{"source": {{"key": "k", "value": "v"}}, "limits": {{"max_keys": 4000000000,
            "max_state_bytes": {max_state_bytes}, "on_max_state_bytes": "evict"}}, "stages": [{stage}]}}"#
    );
    PipelineSpec::from_json(&json).unwrap()
}

const WINDOWS: &str = r#"{"type": "window", "window": "tumbling", "size": "1h", "aggregations": ["count", "avg", "stddev"]}"#;
const STAGES: &[&str] = &[
    WINDOWS,
    r#"{"type": "window", "window": "tumbling", "size": "1h", "aggregations": ["p50", "distinct"]}"#,
    r#"{"type": "window", "window": "tumbling", "size": "1h", "allowed_lateness": "1h", "early": "1m", "aggregations": ["count"]}"#,
    r#"{"type": "window", "window": "session", "gap": "1h", "aggregations": ["count", {"op": "p95", "engine": "tdigest"}]}"#,
    r#"{"type": "window", "window": "global", "aggregations": ["count", "last"]}"#,
    r#"{"type": "rolling", "size": 20, "aggregations": ["avg", "p50"]}"#,
    r#"{"type": "ema", "span": 10}"#,
    r#"{"type": "normalize", "interval": "1h", "reduce": "mean"}"#,
];

/// Pushes `keys` new keys, each with `events` consecutive events.
fn push(engine: &mut Engine, keys: u64, events: u32) {
    const BATCH: u64 = 4_000;
    for first in (0..keys).step_by(BATCH as usize) {
        let (mut offsets, mut bytes, mut values) = (vec![0], Vec::new(), Vec::new());
        for name in first..first + BATCH {
            for event in 0..events {
                key::push_str(&mut bytes, &format!("device-{name:010}"));
                offsets.push(u32::try_from(bytes.len()).unwrap());
                values.push(f64::from(event) * 1.7 + name as f64);
            }
        }
        let pushed = engine.push(&Batch {
            timestamps: &vec![0; values.len()],
            keys: KeyColumn::Encoded { offsets: &offsets, bytes: &bytes },
            columns: &[Column::F64(&values)],
            identities: &[],
            ordinals: None,
            watermarks: None,
            partitions: None,
        });
        assert_eq!(pushed.unwrap().consumed, values.len());
        while engine.poll(100_000).is_some() {}
    }
}

/// Runs `feed` over an engine, and asserts that its memory stays within the limit plus
/// [`OVERHEAD_BYTES`].
fn measured(stage: &str, max_state_bytes: u64, feed: impl FnOnce(&PipelineSpec, &mut Engine)) {
    let spec = pipeline(stage, max_state_bytes);
    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    feed(&spec, &mut engine);
    let stats = engine.stats();
    let most = MOST.load(Ordering::Relaxed) - before;
    // Existing windows and keys may still grow.
    let counted = max_state_bytes * 4 / 10..max_state_bytes * 45 / 100;
    assert!(counted.contains(&stats.state_bytes), "{}", stats.state_bytes);
    assert!(stats.stages[0].evicted_keys > 0 && stats.limits_struck == ["state_limit"]);
    println!(
        "{stage}\n    {} keys kept, {} evicted; {:.1} MB counted, at most {:.1} MB in use",
        stats.stages[0].keys,
        stats.stages[0].evicted_keys,
        stats.state_bytes as f64 / 1e6,
        most as f64 / 1e6
    );
    let allowed = usize::try_from(max_state_bytes).unwrap() + OVERHEAD_BYTES;
    assert!(most <= allowed, "{most} bytes in use where {max_state_bytes} are allowed");
}

/// Held by the test that measures: tests run at the same time.
static MEASURING: Mutex<()> = Mutex::new(());

#[test]
fn memory_stays_within_its_limit() {
    let _alone = MEASURING.lock().unwrap();
    for stage in STAGES {
        for events in [1, 6] {
            measured(stage, 36 << 20, |_, engine| push(engine, 200_000, events));
        }
    }
}

#[test]
#[ignore = "takes minutes unless it is optimized: `cargo xtask test core` runs it so"]
fn memory_of_ten_million_keys_stays_within_its_limit() {
    let _alone = MEASURING.lock().unwrap();
    for stage in [WINDOWS, STAGES[3], STAGES[5], STAGES[7]] {
        measured(stage, 256 << 20, |_, engine| push(engine, 10_000_000, 1));
    }
    // As text: the reader's dictionary stays within its limit too.
    measured(WINDOWS, 256 << 20, |spec, engine| {
        let mut feed = Feed::new(spec, engine.plan(), 0);
        let mut text = String::new();
        for name in 0..10_000_000 {
            writeln!(text, r#"{{"ts": 0, "k": "device-{name:010}", "v": {name}}}"#).unwrap();
            if text.len() > 1 << 20 {
                feed.push(engine, text.as_bytes()).unwrap();
                text.clear();
            }
        }
        feed.end(engine).unwrap();
    });
}

/// Returns the most memory in use while `keys` keys of `key_bytes` bytes are fed as text to an
/// engine that has room for ten keys.
fn most_with_long_keys(source: &str, keys: usize, key_bytes: usize) -> usize {
    let json = format!(
        r#"{{"source": {source}, "limits": {{"max_keys": 10, "max_partitions": 4, "max_state_bytes": 100000}},
            "stages": [{WINDOWS}]}}"#
    );
    let spec = PipelineSpec::from_json(&json).unwrap();
    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let mut engine = Engine::open(&spec, Options::default()).unwrap();
    let mut feed = Feed::new(&spec, engine.plan(), 0);
    let long = "-".repeat(key_bytes);
    for key in 0..keys {
        let line = format!("{{\"ts\":0,\"v\":1,\"k\":\"{key}{long}\",\"p\":\"{key}{long}\"}}\n");
        feed.push(&mut engine, line.as_bytes()).unwrap();
    }
    let stats = engine.stats();
    assert_eq!(stats.events + stats.rejected, keys as u64);
    MOST.load(Ordering::Relaxed) - before
}

const BY_KEY: &str = r#"{"key": "k", "value": "v"}"#;
const BY_PARTITION: &str = r#"{"partition": "p", "value": "v"}"#;

#[test]
fn keys_beyond_max_key_bytes_take_no_memory() {
    let _alone = MEASURING.lock().unwrap();
    for source in [BY_KEY, BY_PARTITION] {
        let most = most_with_long_keys(source, 50, 500_000);
        assert!(most < 16 << 20, "{most}");
    }
}

#[test]
#[ignore = "takes minutes unless it is optimized: `cargo xtask test core` runs it so"]
fn memory_of_long_keys_that_no_state_refers_to_is_bounded() {
    let _alone = MEASURING.lock().unwrap();
    for source in [BY_KEY, BY_PARTITION] {
        for (keys, key_bytes) in [(20_000, 60_000), (65_000, 16_000)] {
            let most = most_with_long_keys(source, keys, key_bytes);
            println!("{source} {keys} {key_bytes}: {most}");
            assert!(most < 192 << 20, "{most}");
        }
    }
}
