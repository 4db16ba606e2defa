//! The values of one window and key: all of them, each different one with its number, or buckets.

use super::buckets::Buckets;
use super::rank::Place;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Percentile;

/// Different values that are kept exactly where there are more values than are kept one by one.
const MAX_DISTINCT: usize = 256;

/// Which form it has is a function of the values alone, not of their order: all of them up to a number, beyond that
/// pairs up to [`MAX_DISTINCT`] different ones, and then buckets.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Group {
    /// All values, in any order until [`Group::sort`].
    Values(Vec<f64>),
    /// The different values, ascending, each with how often it came.
    Pairs(Vec<(f64, u64)>),
    Buckets(Box<Buckets>),
}

impl Group {
    pub(super) const EMPTY: Self = Self::Values(Vec::new());

    /// Adds `value`, which is finite and not −0; up to `exact` values are kept one by one.
    #[inline]
    pub(super) fn add(&mut self, value: f64, exact: usize) {
        match self {
            Self::Buckets(buckets) => buckets.add(value, 1),
            Self::Values(values) if values.len() < values.capacity().min(exact) => {
                values.push(value)
            }
            _ => self.add_slowly(value, exact),
        }
    }

    #[cold]
    fn add_slowly(&mut self, value: f64, exact: usize) {
        match self {
            Self::Values(values) if values.len() < exact => {
                let length = values.len();
                let more = if length < 64 { length.max(4) } else { length / 2 + 8 };
                values.reserve_exact(more.min(exact - length));
                values.push(value);
            }
            Self::Values(values) => {
                let mut pairs = Self::Pairs(Vec::new());
                values.sort_unstable_by(f64::total_cmp);
                for value in values.iter().chain([&value]) {
                    pairs.add_slowly(*value, exact);
                }
                *self = pairs;
            }
            Self::Pairs(pairs) => {
                match pairs.binary_search_by(|(known, _)| known.total_cmp(&value)) {
                    Ok(place) => {
                        if let Some((_, times)) = pairs.get_mut(place) {
                            *times = times.saturating_add(1);
                        }
                    }
                    Err(place) if pairs.len() < MAX_DISTINCT => pairs.insert(place, (value, 1)),
                    Err(_) => {
                        let mut buckets = Buckets::new();
                        pairs.iter().for_each(|(known, times)| buckets.add(*known, *times));
                        buckets.add(value, 1);
                        *self = Self::Buckets(Box::new(buckets));
                    }
                }
            }
            Self::Buckets(buckets) => buckets.add(value, 1),
        }
    }

    /// Puts values in order, as [`Group::percentile`] needs them.
    pub(super) fn sort(&mut self) {
        if let Self::Values(values) = self {
            values.sort_unstable_by(f64::total_cmp);
        }
    }

    /// NaN where there are no values.
    pub(super) fn percentile(&self, percentile: Percentile) -> f64 {
        let count = self.count();
        if count == 0 {
            return f64::NAN;
        }
        let place = Place::of(percentile, count);
        let (low, left) = self.at(place.rank);
        if !place.is_between() || left > 1 {
            return low;
        }
        let (high, _) = self.at(place.rank + 1);
        place.between(low, high)
    }

    fn count(&self) -> u64 {
        match self {
            Self::Values(values) => values.len() as u64,
            Self::Pairs(pairs) => {
                pairs.iter().fold(0, |all, (_, times)| all.saturating_add(*times))
            }
            Self::Buckets(buckets) => buckets.count(),
        }
    }

    /// The value at `rank`, and how many from there on are the same.
    fn at(&self, mut rank: u64) -> (f64, u64) {
        match self {
            Self::Values(values) => {
                let value = usize::try_from(rank).ok().and_then(|rank| values.get(rank));
                (value.copied().unwrap_or(f64::NAN), 1)
            }
            Self::Pairs(pairs) => {
                for (value, times) in pairs {
                    if rank < *times {
                        return (*value, times - rank);
                    }
                    rank -= times;
                }
                (f64::NAN, 1)
            }
            Self::Buckets(buckets) => buckets.at(rank),
        }
    }

    /// Writes its form, its count and its values, the same for the same values in any order.
    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        match self {
            Self::Values(values) => {
                writer.u32(0);
                writer.length(values.len());
                let mut sorted = values.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                writer.f64s(sorted.into_iter());
            }
            Self::Pairs(pairs) => {
                writer.u32(1);
                writer.length(pairs.len());
                writer.f64s(pairs.iter().map(|(value, _)| *value));
                writer.u64s(pairs.iter().map(|(_, times)| *times));
            }
            Self::Buckets(buckets) => {
                writer.u32(2);
                writer.u64(buckets.count());
                buckets.save(writer);
            }
        }
    }

    /// Reads what [`Group::save`] wrote.
    pub(super) fn load(
        reader: &mut SectionReader<'_>,
        exact: usize,
    ) -> Result<Self, SnapshotError> {
        const DAMAGED: SnapshotError =
            SnapshotError::Damaged("the values of a percentile are wrong");
        let group = match reader.u32()? {
            0 => {
                let length = reader.length()?;
                let values: Vec<f64> = reader.f64s(length)?.collect();
                let fits = length <= exact && values.iter().all(|value| value.is_finite());
                Self::Values(if fits { values } else { return Err(DAMAGED) })
            }
            1 => {
                let length = reader.length()?;
                let values: Vec<f64> = reader.f64s(length)?.collect();
                let pairs: Vec<_> = values.into_iter().zip(reader.u64s(length)?).collect();
                let ascend = pairs.is_sorted_by(|(a, _), (b, _)| a < b);
                let finite = pairs.iter().all(|(value, _)| value.is_finite());
                if !ascend || !finite || length > MAX_DISTINCT {
                    return Err(DAMAGED);
                }
                Self::Pairs(pairs)
            }
            2 => {
                let count = reader.u64()?;
                Self::Buckets(Box::new(Buckets::load(count, reader)?))
            }
            _ => return Err(DAMAGED),
        };
        Ok(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(values: impl Iterator<Item = f64>) -> Group {
        let mut group = Group::EMPTY;
        values.for_each(|value| group.add(value, 512));
        group
    }

    /// Bytes on the heap, without what the allocator adds.
    fn bytes(group: &Group) -> usize {
        match group {
            Group::Values(values) => values.capacity() * size_of::<f64>(),
            Group::Pairs(pairs) => pairs.capacity() * size_of::<(f64, u64)>(),
            Group::Buckets(buckets) => buckets.bytes(),
        }
    }

    #[test]
    fn memory_stays_within_its_bounds() {
        let of = |count: u32| bytes(&group((0..count).map(|at| 100.0 + f64::from(at))));
        assert!((0..=100).all(|count| of(count) <= 1000));
        assert!((0..=512).all(|count| of(count) <= 4096));
        let few = group((0..10_000_u32).map(|at| f64::from(at % 256)));
        assert!(bytes(&few) <= 4096);
        // Four octaves, from 64 to 1023, and what stands beside them.
        assert_eq!(of(900) / 1024, 1);
        assert!(size_of::<Group>() <= 32);
    }

    #[test]
    fn the_form_is_a_function_of_the_values() {
        let up = group((0..600_u32).map(f64::from));
        let down = group((0..600_u32).rev().map(f64::from));
        assert!(matches!(up, Group::Buckets(_)));
        let ps = ["0", "3", "50", "77.7", "100"].map(|text| text.parse().unwrap());
        assert!(ps.iter().all(|p| up.percentile(*p) == down.percentile(*p)));
        assert!(matches!(group((0..600_u32).map(|at| f64::from(at % 256))), Group::Pairs(_)));
        assert!(matches!(group((0..512_u32).map(f64::from)), Group::Values(_)));
    }
}
