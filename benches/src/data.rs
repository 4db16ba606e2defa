//! The generated events, identical on every machine: as columns, as NDJSON and as CSV.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

/// The events in columns.
pub struct Events {
    /// Event times in microseconds, multiples of a millisecond.
    pub timestamps: Vec<i64>,
    /// Key ids below `key_count`.
    pub keys: Vec<u32>,
    /// Values with two decimals, skewed like latencies.
    pub values: Vec<f64>,
    /// Number of keys. If it is one, the stream has no key.
    pub key_count: u32,
    /// The concatenated ids for deduplication, if there are any.
    pub ids: String,
    /// The events with such ids, as JSON.
    pub lines: Vec<Line>,
}

/// `event-000000000000`
const ID_BYTES: usize = 18;

/// `{"event_id":"event-000000000000"}`
pub type Line = [u8; 33];

/// Number of keys of the stream.
pub const KEYS: u32 = 1_000;
/// Number of keys of the stream with many keys.
pub const MANY_KEYS: u32 = 1_000_000;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
/// The first time of the stream: 2023-11-14T22:13:20Z, in milliseconds.
const START_MS: i64 = 1_700_000_000_000;
const SPAN_MS: u64 = 3_600_000;
const DISORDER_MS: u64 = 2_000;

impl Events {
    /// Generates events of [`KEYS`] keys with unequal weights over one hour, each at most 2 s out
    /// of order.
    #[must_use]
    pub fn new(count: usize) -> Self {
        // The product of two uniform numbers makes small ids far more frequent.
        Self::hour(count, KEYS, |random| {
            random.below(u64::from(KEYS)) * random.below(u64::from(KEYS)) / u64::from(KEYS)
        })
    }

    /// Does the same with [`MANY_KEYS`] keys by Zipf's law with exponent 1.
    #[must_use]
    pub fn zipf(count: usize) -> Self {
        Self::hour(count, MANY_KEYS, |random| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 1 to the number of keys"
            )]
            let rank = f64::from(MANY_KEYS).powf(random.unit()) as u64;
            rank - 1
        })
    }

    /// Generates one series in order, with steps of 0.1 to 1.9 s.
    #[must_use]
    pub fn series(count: usize) -> Self {
        let mut random = Random(SEED);
        let mut events = Self::with_capacity(count, 1);
        let mut time = START_MS;
        for _ in 0..count {
            time += 100 + random.below(1_800).cast_signed();
            events.push(time, 0, &mut random);
        }
        events
    }

    /// Generates ids instead of keys over one hour, in order. A fifth of them occurs among the
    /// previous 100,000.
    #[must_use]
    pub fn ids(count: usize) -> Self {
        let mut random = Random(SEED);
        let mut events = Self::with_capacity(count, u32::try_from(count).unwrap_or(u32::MAX));
        for at in 0..count as u64 {
            let time = START_MS + (at * SPAN_MS / count.max(1) as u64).cast_signed();
            let back = (1 + random.below(100_000)).min(at) as usize;
            let repeated = (random.below(5) == 0)
                .then(|| events.keys.len().checked_sub(back))
                .flatten()
                .and_then(|place| events.keys.get(place).copied());
            let id = repeated.unwrap_or(u32::try_from(at).unwrap_or(u32::MAX));
            events.push(time, id, &mut random);
            let id = format!("event-{id:012}");
            let mut line = *b"{\"event_id\":\"event-000000000000\"}";
            line.iter_mut().skip(13).zip(id.bytes()).for_each(|(to, byte)| *to = byte);
            events.ids.push_str(&id);
            events.lines.push(line);
        }
        events
    }

    /// Returns the concatenated ids of the events of `range`.
    #[must_use]
    pub fn ids_of(&self, range: Range<usize>) -> &str {
        self.ids.get(range.start * ID_BYTES..range.end * ID_BYTES).unwrap_or_default()
    }

    fn hour(count: usize, key_count: u32, key: impl Fn(&mut Random) -> u64) -> Self {
        let mut random = Random(SEED);
        let mut events = Self::with_capacity(count, key_count);
        for at in 0..count as u64 {
            let on_time = at * SPAN_MS / count.max(1) as u64;
            let late = random.below(DISORDER_MS);
            let time = START_MS + on_time.cast_signed() - late.cast_signed();
            let key = u32::try_from(key(&mut random)).unwrap_or(0);
            events.push(time, key, &mut random);
        }
        events
    }

    fn with_capacity(count: usize, key_count: u32) -> Self {
        Self {
            timestamps: Vec::with_capacity(count),
            keys: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
            key_count,
            ids: String::new(),
            lines: Vec::new(),
        }
    }

    fn push(&mut self, time_ms: i64, key: u32, random: &mut Random) {
        self.timestamps.push(time_ms * 1_000);
        self.keys.push(key);
        let hundredths = 100 + random.below(1_000) * random.below(1_000) / (1 + random.below(50));
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        self.values.push(hundredths as f64 / 100.0);
    }

    /// Writes `{"ts":…,"service":"svc-0001","latency":…}`, one event a line.
    ///
    /// # Errors
    /// The error of the file system.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write_ndjson(&self, path: &Path) -> io::Result<()> {
        self.write_lines(path, "", |line, ms, key, value| {
            write!(line, "{{\"ts\":{ms},\"service\":\"{key}\",\"latency\":{value}}}")
        })
    }

    /// Writes `ts,service,latency`, one event a line.
    ///
    /// # Errors
    /// The error of the file system.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> io::Result<()> {
        self.write_lines(path, "ts,service,latency\n", |line, ms, key, value| {
            write!(line, "{ms},{key},{value}")
        })
    }

    /// Writes the three columns one after another, little-endian: milliseconds as doubles, key ids,
    /// values.
    ///
    /// # Errors
    /// The error of the file system.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
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
        let names: Vec<String> = (0..self.key_count).map(key_name).collect();
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

/// Returns the ids of the concatenated `ids`.
pub fn ids_in(ids: &str) -> impl Iterator<Item = &str> {
    (0..ids.len() / ID_BYTES).filter_map(|id| ids.get(id * ID_BYTES..(id + 1) * ID_BYTES))
}

/// Returns the name of a key.
#[must_use]
pub fn key_name(id: u32) -> String {
    format!("svc-{id:04}")
}

/// The generator xorshift64*.
struct Random(u64);

impl Random {
    /// Returns a number from 0 to below 1.
    fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "32 bits")]
        let share = self.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        share
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }
}
