//! The data that every benchmark measures with: the same events each time, on every machine.

/// Events in columns: 1,000 keys of unequal weight over one hour, each up to 2 s late.
pub struct Events {
    /// Event times, microseconds.
    pub timestamps: Vec<i64>,
    /// Key ids below [`KEYS`].
    pub keys: Vec<u32>,
    /// Values, skewed as latencies are.
    pub values: Vec<f64>,
}

/// Keys of the stream.
pub const KEYS: u32 = 1_000;
/// Where the stream starts: 2023-11-14T22:13:20Z, microseconds.
pub const START_US: i64 = 1_700_000_000_000_000;
const SPAN_US: u64 = 3_600_000_000;
const DISORDER_US: u64 = 2_000_000;

/// The first `count` events.
#[must_use]
pub fn events(count: usize) -> Events {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut events = Events {
        timestamps: Vec::with_capacity(count),
        keys: Vec::with_capacity(count),
        values: Vec::with_capacity(count),
    };
    for at in 0..count as u64 {
        let on_time = at * SPAN_US / count.max(1) as u64;
        let late = random.below(DISORDER_US);
        events.timestamps.push(START_US + on_time.saturating_sub(late).cast_signed());
        // The product of two uniform numbers: small ids are far more frequent.
        let key = random.below(u64::from(KEYS)) * random.below(u64::from(KEYS)) / u64::from(KEYS);
        events.keys.push(u32::try_from(key).unwrap_or(0));
        let tenths = 10 + random.below(100) * random.below(100) / (1 + random.below(20));
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        events.values.push(tenths as f64 / 10.0);
    }
    events
}

/// The name of a key.
#[must_use]
pub fn key_name(id: u32) -> String {
    format!("svc-{id:04}")
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        (high * bound) >> 32
    }
}
