//! The multiset of values of one slot: all of them, value/count pairs, or a histogram.

use super::histogram::Histogram;
use super::pairs::{self, MAX_DISTINCT, has_many_distinct, merge_pairs};
use super::value_range::ValueRange;
use super::{ALWAYS_EXACT, PercentileState, percentile_by_rank, push};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Percentile;
use crate::statistics::rank::{percentile_of_selected, select_ranks};

/// A multiset of values in one of three forms. The form depends only on the values, not on their
/// order, unless the limit of bytes makes values pairs or a histogram ([`ValueSet::shrink`]).
///
/// Up to `exact` values are kept one by one. More values become pairs, up to [`MAX_DISTINCT`]
/// different ones, and then a histogram.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum ValueSet {
    /// All values, in any order.
    Values(Vec<f64>),
    /// The different values in ascending order, each with its count.
    Pairs(Vec<(f64, u64)>),
    Histogram(Box<Histogram>),
}

impl ValueSet {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Values(values) if values.is_empty())
    }

    /// Adds `value` where [`ValueSet::add`] has to grow or to change the form.
    #[cold]
    fn add_slowly(&mut self, value: f64, exact: usize) {
        match self {
            Self::Values(values) if values.len() < exact => {
                push(values, value, exact);
            }
            Self::Values(values) => {
                let mut values = core::mem::take(values);
                values.push(value);
                *self = Self::from_many(values);
            }
            Self::Pairs(pairs) => {
                pairs::add(pairs, value, 1);
                if pairs.len() > MAX_DISTINCT {
                    *self = Self::Histogram(Box::new(Histogram::from_pairs(pairs)));
                }
            }
            Self::Histogram(histogram) => histogram.add(value, 1),
        }
    }

    /// Returns the form for more values than are kept one by one.
    fn from_many(mut values: Vec<f64>) -> Self {
        if has_many_distinct(&values) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.add(*value, 1));
            return Self::Histogram(Box::new(histogram));
        }
        crate::util::sort::floats(&mut values);
        let pair = |run: &[f64]| run.first().map(|value| (*value, run.len() as u64));
        Self::Pairs(values.chunk_by(|a, b| a == b).filter_map(pair).collect())
    }

    /// Returns the number of values.
    fn count(&self) -> u64 {
        match self {
            Self::Values(values) => values.len() as u64,
            Self::Pairs(pairs) => pairs::count(pairs),
            Self::Histogram(histogram) => histogram.count(),
        }
    }

    /// Returns the value at `rank` of all `count`, and the number of equal values from that rank
    /// on.
    fn at(&self, rank: u64, count: u64) -> (f64, u64) {
        match self {
            Self::Values(values) => {
                let value = usize::try_from(rank).ok().and_then(|rank| values.get(rank));
                (value.copied().unwrap_or(f64::NAN), 1)
            }
            Self::Pairs(pairs) => pairs::at(pairs, rank, count),
            Self::Histogram(histogram) => histogram.at(rank),
        }
    }
}

impl PercentileState for ValueSet {
    const EMPTY: Self = Self::Values(Vec::new());
    const MERGES_IN_ANY_ORDER: bool = true;
    const LIMITS_VALUES: bool = true;
    const MAX_GROWTH: u64 = Histogram::MAX_BYTES;

    #[inline]
    fn add(&mut self, value: f64, exact: usize) {
        match self {
            Self::Histogram(histogram) => histogram.add(value, 1),
            Self::Values(values) if values.len() < values.capacity().min(exact) => {
                values.push(value)
            }
            _ => self.add_slowly(value, exact),
        }
    }

    fn add_all(&mut self, more: &[f64], exact: usize) {
        match self {
            Self::Histogram(histogram) => histogram.add_all(more),
            Self::Values(values) if values.len() + more.len() <= exact => {
                values.reserve_exact(more.len());
                values.extend_from_slice(more);
            }
            _ => more.iter().for_each(|value| self.add(*value, exact)),
        }
    }

    /// Merges `later`. The result is a function of all values, whichever side they come from.
    fn merge(&mut self, later: &Self, exact: usize) {
        match (&mut *self, later) {
            (_, Self::Values(more)) => self.add_all(more, exact),
            (Self::Values(values), _) => {
                let values = core::mem::take(values);
                *self = later.clone();
                self.add_all(&values, exact);
            }
            (Self::Pairs(pairs), Self::Pairs(more)) => {
                let merged = merge_pairs(pairs, more);
                *self = if merged.len() > MAX_DISTINCT {
                    Self::Histogram(Box::new(Histogram::from_pairs(&merged)))
                } else {
                    Self::Pairs(merged)
                };
            }
            (Self::Histogram(histogram), Self::Pairs(more)) => histogram.add_pairs(more),
            (Self::Pairs(pairs), Self::Histogram(more)) => {
                let mut histogram = more.clone();
                histogram.add_pairs(pairs);
                *self = Self::Histogram(histogram);
            }
            (Self::Histogram(histogram), Self::Histogram(more)) => histogram.merge(more),
        }
    }

    fn is_approximate(&self) -> bool {
        matches!(self, Self::Histogram(_))
    }

    fn seal(&mut self, percentiles: &[Percentile], stats: &mut StageStats) {
        match self {
            Self::Values(values) => select_ranks(values, percentiles),
            Self::Pairs(_) => {}
            Self::Histogram(histogram) => stats.folded_values += histogram.folded(),
        }
    }

    fn percentile(&self, percentile: Percentile, _asked: &[Percentile]) -> f64 {
        if let Self::Values(values) = self {
            return percentile_of_selected(values, percentile);
        }
        let count = self.count();
        if count == 0 {
            return f64::NAN;
        }
        let range = ValueRange::of_set(self);
        percentile_by_rank(percentile, count, range, |rank| self.at(rank, count))
    }

    fn variable_bytes(&self) -> u64 {
        match self {
            Self::Values(values) => 8 * values.len() as u64,
            Self::Pairs(pairs) => 16 * pairs.len() as u64,
            Self::Histogram(histogram) => histogram.counted_bytes(),
        }
    }

    fn grows(&self, value: f64) -> bool {
        match self {
            Self::Values(_) => true,
            Self::Pairs(pairs) => {
                pairs.binary_search_by(|(known, _)| known.total_cmp(&value)).is_err()
            }
            Self::Histogram(histogram) => histogram.grows(value),
        }
    }

    fn shrink(&mut self) -> bool {
        match self {
            Self::Values(values) if values.len() > ALWAYS_EXACT => {
                *self = Self::from_many(core::mem::take(values));
                true
            }
            _ => false,
        }
    }

    /// Writes the form, the count and the values; equal multisets give equal bytes.
    #[inline]
    fn save(&self, writer: &mut SectionWriter<'_>) {
        match self {
            Self::Values(values) => {
                writer.u32(0);
                writer.length(values.len());
                let mut sorted = values.clone();
                crate::util::sort::floats(&mut sorted);
                writer.f64s(sorted.into_iter());
            }
            Self::Pairs(pairs) => {
                writer.u32(1);
                writer.length(pairs.len());
                writer.f64s(pairs.iter().map(|(value, _)| *value));
                writer.u64s(pairs.iter().map(|(_, times)| *times));
            }
            Self::Histogram(histogram) => {
                writer.u32(2);
                writer.u64(histogram.count());
                histogram.save(writer);
            }
        }
    }

    /// Reads what [`ValueSet::save`] wrote.
    #[inline]
    fn load(reader: &mut SectionReader<'_>, exact: usize) -> Result<Self, SnapshotError> {
        const DAMAGED: SnapshotError =
            SnapshotError::Damaged("the values of a percentile are inconsistent");
        let set = match reader.u32()? {
            0 => {
                let length = reader.length()?;
                let values: Vec<f64> = reader.f64s(length)?.collect();
                let fits = length <= exact && values.iter().all(|value| value.is_finite());
                let fits = fits && values.is_sorted_by(|a, b| a.total_cmp(b).is_le());
                Self::Values(if fits { values } else { return Err(DAMAGED) })
            }
            1 => Self::Pairs(pairs::load(reader)?.ok_or(DAMAGED)?),
            2 => {
                let count = reader.count()?;
                Self::Histogram(Box::new(Histogram::load(count, reader)?))
            }
            _ => return Err(DAMAGED),
        };
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{HEADER_BYTES, Kind, write_section};

    fn set(values: impl Iterator<Item = f64>) -> ValueSet {
        let mut set = ValueSet::EMPTY;
        values.for_each(|value| set.add(value, 512));
        set
    }

    fn seal(set: &mut ValueSet, percentiles: &[Percentile]) {
        set.seal(percentiles, &mut StageStats::default());
    }

    /// Returns the bytes on the heap, without the overhead of the allocator.
    fn bytes(set: &ValueSet) -> usize {
        match set {
            ValueSet::Values(values) => values.capacity() * size_of::<f64>(),
            ValueSet::Pairs(pairs) => pairs.capacity() * size_of::<(f64, u64)>(),
            ValueSet::Histogram(histogram) => histogram.bytes(),
        }
    }

    #[test]
    fn memory_stays_within_its_bounds() {
        let of = |count: u32| bytes(&set((0..count).map(|at| 100.0 + f64::from(at))));
        assert!((0..=100).all(|count| of(count) <= 1000));
        assert!((0..=512).all(|count| of(count) <= 4096));
        let few = set((0..10_000_u32).map(|at| f64::from(at % 256)));
        assert!(bytes(&few) <= 4096);
        // Four octaves, from 64 to 1023, and the index of octaves.
        assert_eq!(of(900) / 1024, 1);
        assert!(size_of::<ValueSet>() <= 32);
    }

    #[test]
    fn form_depends_only_on_the_values() {
        let up = set((0..600_u32).map(f64::from));
        let down = set((0..600_u32).rev().map(f64::from));
        assert!(matches!(up, ValueSet::Histogram(_)));
        let ps: [Percentile; 5] = ["0", "3", "50", "77.7", "100"].map(|text| text.parse().unwrap());
        assert!(ps.iter().all(|p| up.percentile(*p, &[]) == down.percentile(*p, &[])));
        assert!(matches!(set((0..600_u32).map(|at| f64::from(at % 256))), ValueSet::Pairs(_)));
        assert!(matches!(set((0..512_u32).map(f64::from)), ValueSet::Values(_)));
    }

    fn bytes_of(set: &ValueSet) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_section(&mut bytes, Kind::Stage, |writer| set.save(writer));
        bytes
    }

    #[test]
    fn selected_ranks_equal_those_of_sorted_values() {
        let all: Vec<Percentile> =
            (0..=100).map(|percent: u32| percent.to_string().parse().unwrap()).collect();
        for count in [1_u32, 2, 3, 10, 101, 500] {
            let values = || (0..count).map(|at| f64::from(at * 7 % count / 2));
            let mut sorted: Vec<f64> = values().collect();
            sorted.sort_by(f64::total_cmp);
            let sorted = ValueSet::Values(sorted);
            for step in [1, 2, 7, 33, 50, 100] {
                let some: Vec<Percentile> = all.iter().copied().step_by(step).collect();
                let mut set = set(values());
                seal(&mut set, &some);
                assert!(some.iter().all(|p| set.percentile(*p, &[]) == sorted.percentile(*p, &[])));
            }
        }
    }

    #[test]
    fn value_sets_round_trip_and_damaged_bytes_do_not_panic() {
        let many = |step: f64| (0..900_u32).map(move |at| (f64::from(at) - 300.0) * step);
        let sets = [
            set([].into_iter()),
            set(many(1.5).take(500)),
            set(many(1.0).map(|value| (value / 9.0).floor())),
            set(many(1e-3)),
        ];
        let percentiles = ["0", "50", "99.9"].map(|text| text.parse().unwrap());
        for saved in sets {
            let mut bytes = bytes_of(&saved);
            let payload = &mut bytes[HEADER_BYTES..];
            let loaded = ValueSet::load(&mut SectionReader::new(payload), 512).unwrap();
            let (count, sorted) = (saved.count(), sorted(&saved));
            assert!((0..count).all(|rank| loaded.at(rank, count) == sorted.at(rank, count)));
            for at in (0..payload.len()).step_by(3) {
                let before = payload[at];
                for changed in [before ^ 1, before ^ 0x80, 0, 0xff] {
                    payload[at] = changed;
                    let Ok(mut set) = ValueSet::load(&mut SectionReader::new(payload), 512) else {
                        continue;
                    };
                    set.add(7.0, 512);
                    seal(&mut set, &percentiles);
                    assert!(percentiles.iter().all(|p| !set.percentile(*p, &[]).is_infinite()));
                }
                payload[at] = before;
            }
        }
    }

    fn sorted(set: &ValueSet) -> ValueSet {
        let mut set = set.clone();
        if let ValueSet::Values(values) = &mut set {
            values.sort_by(f64::total_cmp);
        }
        set
    }
}
