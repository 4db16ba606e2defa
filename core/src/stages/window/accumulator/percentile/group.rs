//! The values of one window and key: all of them, each different one with its number, or buckets.

use super::buckets::Buckets;
use super::pairs::{self, MAX_DISTINCT, has_many_distinct, united};
use super::range::Range;
use super::{Values, push};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Percentile;
use crate::statistics::rank::{Place, arrange, arranged};

/// Which form it has is a function of the values alone, not of their order: all of them up to a number, beyond that
/// pairs up to [`MAX_DISTINCT`] different ones, and then buckets.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Group {
    /// All values, in any order.
    Values(Vec<f64>),
    /// The different values, ascending, each with how often it came.
    Pairs(Vec<(f64, u64)>),
    Buckets(Box<Buckets>),
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Values(values) if values.is_empty())
    }

    #[cold]
    fn add_slowly(&mut self, value: f64, exact: usize) {
        match self {
            Self::Values(values) if values.len() < exact => {
                push(values, value, exact);
            }
            Self::Values(values) => {
                let mut values = core::mem::take(values);
                values.push(value);
                *self = Self::of_many(values);
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
                        let mut buckets = Buckets::of_pairs(pairs);
                        buckets.add(value, 1);
                        *self = Self::Buckets(Box::new(buckets));
                    }
                }
            }
            Self::Buckets(buckets) => buckets.add(value, 1),
        }
    }

    fn add_values(&mut self, more: &[f64], exact: usize) {
        match self {
            Self::Values(values) if values.len() + more.len() <= exact => {
                values.reserve_exact(more.len());
                values.extend_from_slice(more);
            }
            _ => more.iter().for_each(|value| self.add(*value, exact)),
        }
    }

    /// The form of more values than are kept one by one.
    fn of_many(mut values: Vec<f64>) -> Self {
        if has_many_distinct(&values) {
            let mut buckets = Buckets::new();
            values.iter().for_each(|value| buckets.add(*value, 1));
            return Self::Buckets(Box::new(buckets));
        }
        crate::util::sort::floats(&mut values);
        let pair = |run: &[f64]| run.first().map(|value| (*value, run.len() as u64));
        Self::Pairs(values.chunk_by(|a, b| a == b).filter_map(pair).collect())
    }

    fn count(&self) -> u64 {
        match self {
            Self::Values(values) => values.len() as u64,
            Self::Pairs(pairs) => pairs::count(pairs),
            Self::Buckets(buckets) => buckets.count(),
        }
    }

    /// The value at `rank`, and how many from there on are the same.
    fn at(&self, rank: u64) -> (f64, u64) {
        match self {
            Self::Values(values) => {
                let value = usize::try_from(rank).ok().and_then(|rank| values.get(rank));
                (value.copied().unwrap_or(f64::NAN), 1)
            }
            Self::Pairs(pairs) => pairs::at(pairs, rank),
            Self::Buckets(buckets) => buckets.at(rank),
        }
    }
}

impl Values for Group {
    const EMPTY: Self = Self::Values(Vec::new());

    #[inline]
    fn add(&mut self, value: f64, exact: usize) {
        match self {
            Self::Buckets(buckets) => buckets.add(value, 1),
            Self::Values(values) if values.len() < values.capacity().min(exact) => {
                values.push(value)
            }
            _ => self.add_slowly(value, exact),
        }
    }

    /// Adds what `later` holds. What comes out is a function of all the values, whichever side they are on.
    fn merge(&mut self, later: &Self, exact: usize) {
        match (&mut *self, later) {
            (_, Self::Values(more)) => self.add_values(more, exact),
            (Self::Values(values), _) => {
                let values = core::mem::take(values);
                *self = later.clone();
                self.add_values(&values, exact);
            }
            (Self::Pairs(pairs), Self::Pairs(more)) => {
                let merged = united(pairs, more);
                *self = if merged.len() > MAX_DISTINCT {
                    Self::Buckets(Box::new(Buckets::of_pairs(&merged)))
                } else {
                    Self::Pairs(merged)
                };
            }
            (Self::Buckets(buckets), Self::Pairs(more)) => buckets.add_pairs(more),
            (Self::Pairs(pairs), Self::Buckets(more)) => {
                let mut buckets = more.clone();
                buckets.add_pairs(pairs);
                *self = Self::Buckets(buckets);
            }
            (Self::Buckets(buckets), Self::Buckets(more)) => buckets.merge(more),
        }
    }

    fn is_approximate(&self) -> bool {
        matches!(self, Self::Buckets(_))
    }

    fn seal(&mut self, percentiles: &[Percentile], stats: &mut StageStats) {
        match self {
            Self::Values(values) => arrange(values, percentiles),
            Self::Pairs(_) => {}
            Self::Buckets(buckets) => stats.folded_values += buckets.folded(),
        }
    }

    fn percentile(&self, percentile: Percentile, _asked: &[Percentile]) -> f64 {
        if let Self::Values(values) = self {
            return arranged(values, percentile);
        }
        let count = self.count();
        if count == 0 {
            return f64::NAN;
        }
        let place = Place::of(percentile, count);
        if let Some(end) = place.end(count) {
            return Range::of_group(self).at(end);
        }
        let (low, left) = self.at(place.rank);
        if !place.is_between() || left > 1 {
            return low;
        }
        let (high, _) = self.at(place.rank + 1);
        place.between(low, high)
    }

    fn variable_bytes(&self) -> u64 {
        match self {
            Self::Values(values) => 8 * values.len() as u64,
            Self::Pairs(pairs) => 16 * pairs.len() as u64,
            Self::Buckets(buckets) => buckets.counted_bytes(),
        }
    }

    /// Writes its form, its count and its values, the same for the same values in any order.
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
            Self::Buckets(buckets) => {
                writer.u32(2);
                writer.u64(buckets.count());
                buckets.save(writer);
            }
        }
    }

    /// Reads what [`Group::save`] wrote.
    fn load(reader: &mut SectionReader<'_>, exact: usize) -> Result<Self, SnapshotError> {
        const DAMAGED: SnapshotError =
            SnapshotError::Damaged("the values of a percentile are wrong");
        let group = match reader.u32()? {
            0 => {
                let length = reader.length()?;
                let values: Vec<f64> = reader.f64s(length)?.collect();
                let fits = length <= exact && values.iter().all(|value| value.is_finite());
                Self::Values(if fits { values } else { return Err(DAMAGED) })
            }
            1 => Self::Pairs(pairs::load(reader)?.ok_or(DAMAGED)?),
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
    use crate::snapshot::{HEADER_BYTES, Kind, write_section};

    fn group(values: impl Iterator<Item = f64>) -> Group {
        let mut group = Group::EMPTY;
        values.for_each(|value| group.add(value, 512));
        group
    }

    fn seal(group: &mut Group, percentiles: &[Percentile]) {
        group.seal(percentiles, &mut StageStats::default());
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
        let ps: [Percentile; 5] = ["0", "3", "50", "77.7", "100"].map(|text| text.parse().unwrap());
        assert!(ps.iter().all(|p| up.percentile(*p, &[]) == down.percentile(*p, &[])));
        assert!(matches!(group((0..600_u32).map(|at| f64::from(at % 256))), Group::Pairs(_)));
        assert!(matches!(group((0..512_u32).map(f64::from)), Group::Values(_)));
    }

    fn bytes_of(group: &Group) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_section(&mut bytes, Kind::Stage, |writer| group.save(writer));
        bytes
    }

    #[test]
    fn arranged_values_stand_at_every_rank_that_is_asked_for() {
        let all: Vec<Percentile> =
            (0..=100).map(|percent: u32| percent.to_string().parse().unwrap()).collect();
        for count in [1_u32, 2, 3, 10, 101, 500] {
            let values = || (0..count).map(|at| f64::from(at * 7 % count / 2));
            let mut sorted: Vec<f64> = values().collect();
            sorted.sort_by(f64::total_cmp);
            let sorted = Group::Values(sorted);
            for step in [1, 2, 7, 33, 50, 100] {
                let some: Vec<Percentile> = all.iter().copied().step_by(step).collect();
                let mut group = group(values());
                seal(&mut group, &some);
                assert!(
                    some.iter().all(|p| group.percentile(*p, &[]) == sorted.percentile(*p, &[]))
                );
            }
        }
    }

    #[test]
    fn saved_groups_load_and_changed_bytes_do_no_harm() {
        let many = |step: f64| (0..900_u32).map(move |at| (f64::from(at) - 300.0) * step);
        let groups = [
            group([].into_iter()),
            group(many(1.5).take(500)),
            group(many(1.0).map(|value| (value / 9.0).floor())),
            group(many(1e-3)),
        ];
        let percentiles = ["0", "50", "99.9"].map(|text| text.parse().unwrap());
        for saved in groups {
            let mut bytes = bytes_of(&saved);
            let payload = &mut bytes[HEADER_BYTES..];
            let loaded = Group::load(&mut SectionReader::new(payload), 512).unwrap();
            assert!((0..saved.count()).all(|rank| loaded.at(rank) == sorted(&saved).at(rank)));
            for at in (0..payload.len()).step_by(3) {
                let before = payload[at];
                for changed in [before ^ 1, before ^ 0x80, 0, 0xff] {
                    payload[at] = changed;
                    let Ok(mut group) = Group::load(&mut SectionReader::new(payload), 512) else {
                        continue;
                    };
                    group.add(7.0, 512);
                    seal(&mut group, &percentiles);
                    assert!(percentiles.iter().all(|p| !group.percentile(*p, &[]).is_infinite()));
                }
                payload[at] = before;
            }
        }
    }

    fn sorted(group: &Group) -> Group {
        let mut group = group.clone();
        if let Group::Values(values) = &mut group {
            values.sort_by(f64::total_cmp);
        }
        group
    }
}
