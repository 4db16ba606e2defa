//! Plain loops that compute the same results over dense ids, without snapshots, limits or late
//! events: the ceilings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hint::black_box;

use fastbloom::BloomFilter;
use serde::Deserialize;
use stream_processor::DEFAULT_BATCH_EVENTS;
use stream_processor_core::statistics::{
    ExponentialMovingAverage, SlidingWindowStats, ZScoreAnomalyDetector,
};
use tdigest::TDigest;

use crate::data::{Events, Line, ids_in, key_name};

const SIZE_US: i64 = 60_000_000;
const LAG_US: i64 = 2_000_001;
const STEP_US: i64 = 1_000_000;

/// The aggregate of one window and key.
trait Group: Clone + Default {
    fn add(&mut self, value: f64);
    /// Computes the row. Returns true if the group has values.
    fn row(&mut self) -> bool;
}

#[derive(Clone)]
struct Moments {
    count: f64,
    sum: f64,
    lost: f64,
    min: f64,
    max: f64,
    mean: f64,
    squares: f64,
}

impl Default for Moments {
    fn default() -> Self {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { count: 0.0, sum: 0.0, lost: 0.0, min, max, mean: 0.0, squares: 0.0 }
    }
}

impl Group for Moments {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let shifted = sum - self.sum;
        self.lost += (self.sum - (sum - shifted)) + (value - shifted);
        self.sum = sum;
        self.count += 1.0;
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn row(&mut self) -> bool {
        black_box((self.sum / self.count, (self.squares / (self.count - 1.0)).sqrt()));
        self.count > 0.0
    }
}

/// Logarithmic buckets, 64 for each octave: a relative error of 1 %.
#[derive(Clone, Default)]
struct Buckets(Vec<u32>);

impl Group for Buckets {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        const BASE: u64 = 1_023 << 6;
        if self.0.is_empty() {
            self.0 = vec![0; 64 * 16];
        }
        let bucket = (value.to_bits() >> 46).saturating_sub(BASE) as usize;
        if let Some(count) = self.0.get_mut(bucket) {
            *count += 1;
        }
    }

    fn row(&mut self) -> bool {
        let count: u32 = self.0.iter().sum();
        let (mut below, mut found) = (0, [0; 3]);
        for (bucket, more) in self.0.iter().enumerate() {
            below += more;
            for (found, share) in found.iter_mut().zip([50, 95, 99]) {
                if u64::from(below) * 100 < u64::from(count) * share {
                    *found = bucket + 1;
                }
            }
        }
        black_box(found);
        count > 0
    }
}

#[derive(Clone, Default)]
struct All(Vec<f64>);

impl Group for All {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    fn row(&mut self) -> bool {
        let last = self.0.len().saturating_sub(1);
        for percent in [99, 95, 50] {
            if !self.0.is_empty() {
                let place = last * percent / 100;
                black_box(self.0.select_nth_unstable_by(place, f64::total_cmp).1);
            }
        }
        !self.0.is_empty()
    }
}

#[derive(Clone, Default)]
struct Digest(Option<TDigest>);

impl Group for Digest {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.0.get_or_insert_with(|| TDigest::new_with_size(100)).push(value);
    }

    fn row(&mut self) -> bool {
        if let Some(digest) = &mut self.0 {
            digest.flush();
            black_box(digest.quantiles(&[0.5, 0.95, 0.99]));
        }
        self.0.is_some()
    }
}

/// Computes count, sum, avg, min, max and stddev in windows of a minute.
#[must_use]
pub fn moments(events: &Events) -> usize {
    tumbling::<Moments>(events, |at| events.keys.get(at).copied().unwrap_or(0))
}

/// Does the same as [`moments`] with text keys.
#[must_use]
pub fn moments_of_text(events: &Events) -> usize {
    let names: Vec<String> = (0..events.key_count).map(key_name).collect();
    let ids: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    tumbling::<Moments>(events, |at| {
        let id = events.keys.get(at).copied().unwrap_or(0) as usize;
        names.get(id).and_then(|name| ids.get(name.as_str())).copied().unwrap_or(0)
    })
}

/// Computes three percentiles with logarithmic buckets.
#[must_use]
pub fn buckets(events: &Events) -> usize {
    tumbling::<Buckets>(events, |at| events.keys.get(at).copied().unwrap_or(0))
}

/// Computes three percentiles from all values.
#[must_use]
pub fn all_values(events: &Events) -> usize {
    tumbling::<All>(events, |at| events.keys.get(at).copied().unwrap_or(0))
}

/// Computes three percentiles with the tdigest crate.
#[must_use]
pub fn digests(events: &Events) -> usize {
    tumbling::<Digest>(events, |at| events.keys.get(at).copied().unwrap_or(0))
}

/// Fires windows of a minute when the watermark passes them. Returns the number of rows.
fn tumbling<G: Group>(events: &Events, key: impl Fn(usize) -> u32) -> usize {
    let fresh = || vec![G::default(); events.key_count as usize];
    let fire = |groups: Vec<G>| {
        groups.into_iter().filter_map(|mut group| group.row().then_some(())).count()
    };
    let mut open: BTreeMap<i64, Vec<G>> = BTreeMap::new();
    let (mut start, mut current) = (i64::MIN, fresh());
    let (mut watermark, mut next_fire, mut rows) = (i64::MIN, i64::MAX, 0);
    for (at, (time, value)) in events.timestamps.iter().zip(&events.values).enumerate() {
        if watermark >= next_fire {
            open.insert(start, std::mem::take(&mut current));
            let later = open.split_off(&(watermark - SIZE_US + 2));
            rows += std::mem::replace(&mut open, later).into_values().map(fire).sum::<usize>();
            start = i64::MIN;
            next_fire = open.keys().next().map_or(i64::MAX, |start| start + SIZE_US - 1);
        }
        if time.wrapping_sub(start).cast_unsigned() >= SIZE_US.cast_unsigned() {
            if start != i64::MIN {
                open.insert(start, std::mem::take(&mut current));
            }
            start = time.div_euclid(SIZE_US) * SIZE_US;
            current = open.remove(&start).unwrap_or_else(fresh);
            next_fire = next_fire.min(start + SIZE_US - 1);
        }
        if let Some(group) = current.get_mut(key(at) as usize) {
            group.add(*value);
        }
        watermark = watermark.max(time - LAG_US);
    }
    open.insert(start, current);
    rows + open.into_values().map(fire).sum::<usize>()
}

/// Interpolates linearly at every second between two samples.
#[must_use]
pub fn linear(events: &Events) -> usize {
    grid(events, |from, to, share| from + (to - from) * share)
}

/// Repeats the last value at every second.
#[must_use]
pub fn forward(events: &Events) -> usize {
    grid(events, |from, _, _| from)
}

fn grid(events: &Events, between: impl Fn(f64, f64, f64) -> f64) -> usize {
    let mut rows = Vec::with_capacity(events.values.len());
    let samples = events.timestamps.iter().zip(&events.values);
    let mut next = i64::MIN;
    for ((from, low), (to, high)) in samples.clone().zip(samples.skip(1)) {
        next = next.max(from.div_euclid(STEP_US) * STEP_US + STEP_US);
        #[expect(clippy::cast_precision_loss, reason = "seconds in microseconds")]
        while next <= *to {
            let share = (next - from) as f64 / (to - from) as f64;
            rows.push((next, between(*low, *high, share)));
            next += STEP_US;
        }
    }
    black_box(&rows).len()
}

/// Runs the type [`ExponentialMovingAverage`] without an engine.
#[must_use]
pub fn ema(events: &Events) -> usize {
    let Ok(mut average) = ExponentialMovingAverage::with_span(20.0) else { return 0 };
    for value in &events.values {
        average.update(*value);
        black_box(average.value());
    }
    events.values.len()
}

/// Runs the type [`ZScoreAnomalyDetector`] without an engine.
#[must_use]
pub fn zscore(events: &Events) -> usize {
    let mut detector = ZScoreAnomalyDetector::new(3.0);
    for value in &events.values {
        black_box(detector.check(*value));
    }
    events.values.len()
}

/// Runs the type [`SlidingWindowStats`] without an engine, with a percentile after each value.
#[must_use]
pub fn sliding_stats(events: &Events) -> usize {
    let Ok(mut last) = SlidingWindowStats::new(100) else { return 0 };
    for value in &events.values {
        last.update(*value);
        let _ = black_box(last.percentile(95.0));
    }
    events.values.len()
}

/// Deduplicates ids with the `HashSet` of the standard library, without a ttl.
#[must_use]
pub fn hash_set(events: &Events) -> usize {
    let mut seen = HashSet::new();
    ids_in(&events.ids).filter(|id| seen.insert(*id)).count()
}

/// Does the same as [`hash_set`] for JSON events.
#[must_use]
pub fn hash_set_of_json(events: &Events) -> usize {
    let mut seen = HashSet::new();
    events.lines.iter().filter_map(id_of).filter(|id| seen.insert(*id)).count()
}

/// Deduplicates ids with the crate fastbloom: one filter without a ttl.
#[must_use]
pub fn fastbloom(events: &Events) -> usize {
    let mut seen = BloomFilter::with_false_pos(0.01).expected_items(events.lines.len());
    ids_in(&events.ids).filter(|id| !seen.insert(*id)).count()
}

/// Does the same as [`fastbloom()`] for JSON events.
#[must_use]
pub fn fastbloom_of_json(events: &Events) -> usize {
    let mut seen = BloomFilter::with_false_pos(0.01).expected_items(events.lines.len());
    events.lines.iter().filter_map(id_of).filter(|id| !seen.insert(*id)).count()
}

/// Returns the id of an event as serde_json reads it, without a copy.
fn id_of(line: &Line) -> Option<&str> {
    #[derive(Deserialize)]
    struct Event<'a> {
        event_id: &'a str,
    }
    serde_json::from_slice(line).ok().map(|Event { event_id }| event_id)
}

/// Returns the events as NDJSON, one text for each batch.
#[must_use]
pub fn content_text(events: &Events) -> Vec<String> {
    let columns = events.timestamps.iter().zip(&events.keys).zip(&events.values);
    let line = |((time, key), value): ((&i64, &u32), &f64)| {
        let (time, name) = (time / 1_000, key_name(*key));
        format!(
            "{{\"ts\":{time},\"service\":\"{name}\",\"latency\":{value},\"path\":\"/api/v2/orders/{key}\",\"status\":\"delivered\"}}\n"
        )
    };
    let lines: Vec<String> = columns.map(line).collect();
    lines.chunks(DEFAULT_BATCH_EVENTS.get()).map(<[String]>::concat).collect()
}
