//! The t-digest of one slot: recent values one by one, and centroids of the values before.

use tdigest::{Centroid, TDigest};

use super::{ALWAYS_EXACT, PercentileState, push};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Percentile;
use crate::statistics::rank::{percentile_of_selected, select_ranks};

/// Maximum number of centroids of a digest.
const MAX_CENTROIDS: usize = 200;
/// Number of values that a digest counts without error; more cannot occur.
const MAX_COUNT: u64 = 1 << 53;

/// A t-digest with a buffer of recent values.
///
/// The buffer is flushed when it holds [`ALWAYS_EXACT`] values and one more arrives, so the digest
/// depends only on the order of the values. Within one flush their order does not matter.
#[derive(Debug, Clone)]
pub(in super::super) struct Digest {
    /// The values that are not in the digest yet.
    recent: Vec<f64>,
    digested: Option<Box<Digested>>,
}

/// The values that were flushed.
#[derive(Debug, Clone)]
struct Digested {
    digest: TDigest,
    /// One result for each percentile of the outputs, over all values; valid after sealing.
    results: Vec<f64>,
}

impl Digest {
    /// Adds `value` where the buffer has to grow or to be flushed.
    #[cold]
    fn add_slowly(&mut self, value: f64) {
        if self.recent.len() == ALWAYS_EXACT {
            let full = core::mem::take(&mut self.recent);
            self.flush(full);
            self.recent.reserve_exact(ALWAYS_EXACT);
        }
        push(&mut self.recent, value, ALWAYS_EXACT);
    }

    /// Moves `values` into the digest.
    fn flush(&mut self, values: Vec<f64>) {
        let digested = self.digested.get_or_insert_with(|| Box::new(Digested::new(empty())));
        digested.digest = digested.merged(values);
    }
}

impl Digested {
    fn new(digest: TDigest) -> Self {
        Self { digest, results: Vec::new() }
    }

    /// Returns the digest with `values` added. Sorted here, because sorting floats as integers is
    /// faster; the order is the crate's.
    fn merged(&self, mut values: Vec<f64>) -> TDigest {
        crate::util::sort::floats(&mut values);
        self.digest.merge_sorted(values)
    }
}

fn empty() -> TDigest {
    TDigest::new_with_size(MAX_CENTROIDS)
}

impl PercentileState for Digest {
    const EMPTY: Self = Self { recent: Vec::new(), digested: None };
    const MERGES_IN_ANY_ORDER: bool = false;
    const LIMITS_VALUES: bool = false;
    // The buffered values may all become centroids.
    const MAX_GROWTH: u64 = 16 * (ALWAYS_EXACT as u64 + 1);

    #[inline]
    fn add(&mut self, value: f64, _exact: usize) {
        if self.recent.len() < self.recent.capacity().min(ALWAYS_EXACT) {
            self.recent.push(value);
        } else {
            self.add_slowly(value);
        }
    }

    /// Merges the digests. Values in the buffers stay there if they fit into one buffer, else all
    /// are flushed.
    fn merge(&mut self, later: &Self, _exact: usize) {
        if let Some(more) = &later.digested {
            let mut digests = vec![more.digest.clone()];
            if let Some(digested) = self.digested.take() {
                digests.insert(0, digested.digest);
            }
            self.digested = Some(Box::new(Digested::new(TDigest::merge_digests(digests))));
        }
        self.recent.reserve_exact(later.recent.len());
        self.recent.extend_from_slice(&later.recent);
        if self.recent.len() > ALWAYS_EXACT {
            let all = core::mem::take(&mut self.recent);
            self.flush(all);
        }
    }

    fn is_approximate(&self) -> bool {
        self.digested.is_some()
    }

    fn seal(&mut self, percentiles: &[Percentile], _stats: &mut StageStats) {
        match &mut self.digested {
            None => select_ranks(&mut self.recent, percentiles),
            Some(digested) => {
                let all = digested.merged(self.recent.clone());
                let quantiles: Vec<f64> =
                    percentiles.iter().map(|percentile| percentile.percent() / 100.0).collect();
                let found = all.quantiles(&quantiles).into_iter();
                // Turns −0 into 0: they are one value.
                digested.results = found.map(|value| value.unwrap_or(f64::NAN) + 0.0).collect();
            }
        }
    }

    fn percentile(&self, percentile: Percentile, asked: &[Percentile]) -> f64 {
        let Some(digested) = &self.digested else {
            return percentile_of_selected(&self.recent, percentile);
        };
        let position = asked.binary_search(&percentile).ok();
        position.and_then(|position| digested.results.get(position)).copied().unwrap_or(f64::NAN)
    }

    fn variable_bytes(&self) -> u64 {
        let centroids =
            self.digested.as_ref().map_or(0, |digested| digested.digest.centroids().len());
        8 * self.recent.len() as u64 + 16 * centroids as u64
    }

    fn grows(&self, _value: f64) -> bool {
        true
    }

    #[inline]
    fn save(&self, writer: &mut SectionWriter<'_>) {
        let mut sorted = self.recent.clone();
        crate::util::sort::floats(&mut sorted);
        writer.length(sorted.len());
        writer.f64s(sorted.into_iter());
        let digest = self.digested.as_ref().map(|digested| &digested.digest);
        let centroids = digest.map_or(&[][..], TDigest::centroids);
        writer.length(centroids.len());
        if let Some((min, max)) = digest.and_then(|digest| digest.min().zip(digest.max())) {
            writer.f64s([min, max].into_iter());
            writer.f64s(centroids.iter().map(Centroid::mean));
            writer.f64s(centroids.iter().map(Centroid::weight));
        }
    }

    #[inline]
    fn load(reader: &mut SectionReader<'_>, _exact: usize) -> Result<Self, SnapshotError> {
        const DAMAGED: SnapshotError =
            SnapshotError::Damaged("the values or centroids of a t-digest are inconsistent");
        let length = reader.length()?;
        let recent: Vec<f64> = reader.f64s(length)?.collect();
        let count = reader.length()?;
        let is_sorted = recent.is_sorted_by(|a, b| a.total_cmp(b).is_le());
        let is_valid = is_sorted && recent.iter().all(|value| value.is_finite());
        if length > ALWAYS_EXACT || count > MAX_CENTROIDS || !is_valid {
            return Err(DAMAGED);
        }
        if count == 0 {
            return Ok(Self { recent, digested: None });
        }
        let extremes: Vec<f64> = reader.f64s(2)?.collect();
        let means: Vec<f64> = reader.f64s(count)?.collect();
        let weights: Vec<f64> = reader.f64s(count)?.collect();
        let (Some(min), Some(max)) = (extremes.first().copied(), extremes.last().copied()) else {
            return Err(DAMAGED);
        };
        let bounded = means.iter().all(|mean| (min..=max).contains(mean));
        let sorted = means.is_sorted_by(|a, b| a.total_cmp(b).is_le());
        #[expect(clippy::cast_precision_loss, reason = "it is a power of two")]
        let counts =
            |weight: &f64| weight.fract() == 0.0 && (1.0..MAX_COUNT as f64).contains(weight);
        let finite = min.is_finite() && max.is_finite();
        if !(finite && bounded && sorted && weights.iter().all(counts)) {
            return Err(DAMAGED);
        }
        let count: f64 = weights.iter().sum();
        let centroids =
            means.into_iter().zip(weights).map(|(mean, weight)| Centroid::new(mean, weight));
        let digest =
            TDigest::new(centroids.collect(), 0.0, count, Some(max), Some(min), MAX_CENTROIDS);
        Ok(Self { recent, digested: Some(Box::new(Digested::new(digest))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{HEADER_BYTES, Kind, write_section};

    fn digest(values: impl Iterator<Item = f64>) -> Digest {
        let mut digest = Digest::EMPTY;
        values.for_each(|value| digest.add(value, ALWAYS_EXACT));
        digest
    }

    fn values(count: u32) -> impl DoubleEndedIterator<Item = f64> {
        (0..count).map(|at| f64::from(at * 7919 % 10_007) - 300.0)
    }

    fn bytes_of(digest: &Digest) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_section(&mut bytes, Kind::Stage, |writer| digest.save(writer));
        bytes
    }

    fn percentiles(digest: &mut Digest) -> Vec<f64> {
        let asked = ["0", "1", "50", "99.9", "100"].map(|text| text.parse().unwrap());
        digest.seal(&asked, &mut StageStats::default());
        asked.iter().map(|percentile| digest.percentile(*percentile, &asked)).collect()
    }

    #[test]
    fn buffer_is_flushed_by_the_value_after_512() {
        let counts = [512, 513, 1024, 1025].map(|count| digest(values(count)).recent.len());
        assert_eq!(counts, [512, 1, 512, 1]);
        assert!(digest(values(512)).digested.is_none());
        let backwards = digest(values(512).rev().chain([7.0]));
        let forwards = digest(values(512).chain([7.0]));
        assert_eq!(bytes_of(&backwards), bytes_of(&forwards));
    }

    #[test]
    fn sealing_changes_no_state() {
        for count in [3, 512, 700, 5000] {
            let mut sealed = digest(values(count));
            let before = bytes_of(&sealed);
            percentiles(&mut sealed);
            assert_eq!(bytes_of(&sealed), before);
        }
    }

    #[test]
    fn merged_digests_have_small_rank_errors() {
        let mut all: Vec<f64> = values(6000).collect();
        all.sort_by(f64::total_cmp);
        for cut in [0, 100, 600, 3000, 5999, 6000] {
            let mut merged = digest(values(6000).take(cut));
            merged.merge(&digest(values(6000).skip(cut)), ALWAYS_EXACT);
            let found = percentiles(&mut merged);
            assert_eq!((found[0], found[4]), (all[0], all[5999]));
            for (found, share, tolerance) in
                [(found[1], 0.01, 0.002), (found[2], 0.5, 0.01), (found[3], 0.999, 0.001)]
            {
                let rank = all.partition_point(|value| *value < found) as f64 / 6000.0;
                assert!((rank - share).abs() <= tolerance, "{cut}: {rank} for {share}");
            }
        }
    }

    #[test]
    fn few_values_stay_exact_when_merged() {
        let mut merged = digest(values(300));
        merged.merge(&digest(values(512).skip(300)), ALWAYS_EXACT);
        assert!(!merged.is_approximate());
        assert_eq!(percentiles(&mut merged), percentiles(&mut digest(values(512))));
    }

    #[test]
    fn merging_an_empty_digest_changes_nothing() {
        for count in [0, 7, 512, 513, 3000] {
            let (mut left, mut right) = (digest(values(count)), Digest::EMPTY);
            right.merge(&left, ALWAYS_EXACT);
            left.merge(&Digest::EMPTY, ALWAYS_EXACT);
            let whole = bytes_of(&digest(values(count)));
            assert_eq!((bytes_of(&left), bytes_of(&right)), (whole.clone(), whole));
        }
    }

    #[test]
    fn extreme_values_give_finite_percentiles() {
        let extremes = [f64::MAX, -f64::MAX, 5e-324, -5e-324, 0.0];
        let mut digest = digest(extremes.into_iter().cycle().take(3000));
        assert!(percentiles(&mut digest).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn digests_round_trip_and_damaged_bytes_do_not_panic() {
        for count in [1, 100, 513, 3000] {
            let saved = digest(values(count));
            let mut bytes = bytes_of(&saved);
            let payload = &mut bytes[HEADER_BYTES..];
            let load =
                |payload: &[u8]| Digest::load(&mut SectionReader::new(payload), ALWAYS_EXACT);
            assert_eq!(percentiles(&mut load(payload).unwrap()), percentiles(&mut saved.clone()));
            for at in (0..payload.len()).step_by(3) {
                let before = payload[at];
                for changed in [before ^ 1, before ^ 0x80, 0, 0xff] {
                    payload[at] = changed;
                    if let Ok(mut digest) = load(payload) {
                        digest.merge(&saved, ALWAYS_EXACT);
                        percentiles(&mut digest);
                    }
                }
                payload[at] = before;
            }
        }
    }
}
