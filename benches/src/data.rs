//! The same events each time, on every machine: as columns, as NDJSON, as CSV.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Events in columns: [`KEYS`] keys of unequal weight over one hour, each up to 2 s late.
pub struct Events {
    /// Event times, microseconds, whole milliseconds.
    pub timestamps: Vec<i64>,
    /// Key ids below [`KEYS`].
    pub keys: Vec<u32>,
    /// Values of two decimals, skewed as latencies are.
    pub values: Vec<f64>,
}

/// Keys of the stream.
pub const KEYS: u32 = 1_000;
/// Where the stream starts: 2023-11-14T22:13:20Z, milliseconds.
const START_MS: i64 = 1_700_000_000_000;
const SPAN_MS: u64 = 3_600_000;
const DISORDER_MS: u64 = 2_000;

impl Events {
    /// The first `count` events.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut events = Self {
            timestamps: Vec::with_capacity(count),
            keys: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
        };
        for at in 0..count as u64 {
            let on_time = at * SPAN_MS / count.max(1) as u64;
            let late = random.below(DISORDER_MS);
            let time = START_MS + on_time.cast_signed() - late.cast_signed();
            events.timestamps.push(time * 1_000);
            // The product of two uniform numbers: small ids are far more frequent.
            let key =
                random.below(u64::from(KEYS)) * random.below(u64::from(KEYS)) / u64::from(KEYS);
            events.keys.push(u32::try_from(key).unwrap_or(0));
            let hundredths =
                100 + random.below(1_000) * random.below(1_000) / (1 + random.below(50));
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            events.values.push(hundredths as f64 / 100.0);
        }
        events
    }

    /// Writes `{"ts":…,"service":"svc-0001","latency":…}`, a line each.
    ///
    /// # Errors
    /// What writing a file can fail with.
    pub fn write_ndjson(&self, path: &Path) -> io::Result<()> {
        self.write_lines(path, "", |line, ms, key, value| {
            write!(line, "{{\"ts\":{ms},\"service\":\"{key}\",\"latency\":{value}}}")
        })
    }

    /// Writes `ts,service,latency`, a line each.
    ///
    /// # Errors
    /// What writing a file can fail with.
    pub fn write_csv(&self, path: &Path) -> io::Result<()> {
        self.write_lines(path, "ts,service,latency\n", |line, ms, key, value| {
            write!(line, "{ms},{key},{value}")
        })
    }

    /// Writes the three columns end to end, little-endian: milliseconds as doubles, key ids, values.
    ///
    /// # Errors
    /// What writing a file can fail with.
    pub fn write_columns(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        for time in &self.timestamps {
            #[expect(
                clippy::cast_precision_loss,
                reason = "whole milliseconds are far below 2^53"
            )]
            file.write_all(&((time / 1_000) as f64).to_le_bytes())?;
        }
        for value in &self.values {
            file.write_all(&value.to_le_bytes())?;
        }
        for key in &self.keys {
            file.write_all(&key.to_le_bytes())?;
        }
        file.flush()
    }

    fn write_lines(
        &self,
        path: &Path,
        header: &str,
        line_of: impl Fn(&mut String, i64, &str, f64) -> std::fmt::Result,
    ) -> io::Result<()> {
        let names: Vec<String> = (0..KEYS).map(key_name).collect();
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        file.write_all(header.as_bytes())?;
        let mut line = String::new();
        for ((time, key), value) in self.timestamps.iter().zip(&self.keys).zip(&self.values) {
            line.clear();
            let name = names.get(*key as usize).map_or("", String::as_str);
            line_of(&mut line, time / 1_000, name, *value).map_err(io::Error::other)?;
            line.push('\n');
            file.write_all(line.as_bytes())?;
        }
        file.flush()
    }
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
