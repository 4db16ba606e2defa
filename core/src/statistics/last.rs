//! The last N values, with sum, moments, extremes and order as far as they are needed.

use super::aggregate::{Aggregate, Extremes};
use super::anomaly::Baseline;
use super::ordered_multiset::OrderedMultiset;
use super::sum::Sum;
use super::two_block_aggregate::TwoBlockAggregate;
use super::{OnlineVariance, number};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::statistics::rank::RankPosition;

/// The statistics that [`LastValues`] maintains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TrackedStatistics {
    pub(crate) sums: bool,
    pub(crate) moments: bool,
    pub(crate) extremes: bool,
    pub(crate) order: bool,
}

impl TrackedStatistics {
    pub(crate) const NONE: Self =
        Self { sums: false, moments: false, extremes: false, order: false };
    pub(crate) const SUMS: Self = Self { sums: true, ..Self::NONE };
    pub(crate) const MOMENTS: Self = Self { moments: true, ..Self::NONE };
    pub(crate) const EXTREMES: Self = Self { extremes: true, ..Self::NONE };
    pub(crate) const ORDER: Self = Self { order: true, ..Self::NONE };

    /// Returns the statistics of either.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            sums: self.sums || other.sums,
            moments: self.moments || other.moments,
            extremes: self.extremes || other.extremes,
            order: self.order || other.order,
        }
    }
}

/// The last N values in a ring buffer, and the statistics maintained over them.
#[derive(Debug, Clone)]
pub(crate) struct LastValues {
    size: usize,
    values: Vec<f64>,
    /// Index of the next value; at the end of the ring the next value starts a new block.
    next: usize,
    sums: Option<TwoBlockAggregate<Sum>>,
    moments: Option<TwoBlockAggregate<OnlineVariance>>,
    extremes: Option<TwoBlockAggregate<Extremes>>,
    ordered: Option<OrderedMultiset>,
}

impl LastValues {
    /// Creates a window of the last `size` values, at least 1.
    pub(crate) fn new(size: usize, tracked: TrackedStatistics) -> Self {
        Self {
            size,
            values: Vec::new(),
            next: 0,
            sums: tracked.sums.then(TwoBlockAggregate::new),
            moments: tracked.moments.then(TwoBlockAggregate::new),
            extremes: tracked.extremes.then(TwoBlockAggregate::new),
            ordered: tracked.order.then(OrderedMultiset::default),
        }
    }

    /// Takes the next value, which is finite, and drops the oldest one if the window is full.
    pub(crate) fn push(&mut self, value: f64) {
        if self.next >= self.size {
            self.next = 0;
            start_block(&mut self.sums, &self.values);
            start_block(&mut self.moments, &self.values);
            start_block(&mut self.extremes, &self.values);
        }
        add(&mut self.sums, value);
        add(&mut self.moments, value);
        add(&mut self.extremes, value);
        let oldest = self.values.get_mut(self.next);
        self.next += 1;
        let old = oldest.map(|oldest| core::mem::replace(oldest, value));
        if old.is_none() {
            self.values.push(value);
        }
        match (&mut self.ordered, old) {
            (Some(ordered), Some(old)) => ordered.replace(old, value),
            (Some(ordered), None) => ordered.insert(value),
            (None, _) => {}
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Fixed bytes for the memory budget, without the values.
    pub(crate) const BYTES: u64 = 400;

    /// Returns the bytes of the values for the memory budget, with those of the maintained
    /// statistics.
    pub(crate) fn counted_bytes(&self) -> u64 {
        let kinds = [
            (16, self.sums.is_some()),
            (24, self.moments.is_some()),
            (16, self.extremes.is_some()),
            (12, self.ordered.is_some()),
        ];
        let tracked =
            kinds.into_iter().filter(|(_, is_tracked)| *is_tracked).map(|(bytes, _)| bytes);
        self.len() as u64 * (8 + tracked.sum::<u64>())
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns the sum, which may be infinite. This and the following methods give NaN or nothing
    /// if the result is undefined or not maintained.
    pub(crate) fn sum(&self) -> f64 {
        match &self.sums {
            Some(sums) if !self.values.is_empty() => sums.get(self.next).total(),
            _ => f64::NAN,
        }
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum() / number(self.len() as u64)
    }

    pub(crate) fn moments(&self) -> OnlineVariance {
        self.moments.as_ref().map_or(OnlineVariance::EMPTY, |moments| moments.get(self.next))
    }

    pub(crate) fn extremes(&self) -> Extremes {
        self.extremes.as_ref().map_or(Extremes::EMPTY, |extremes| extremes.get(self.next))
    }

    /// Returns the value at rank percent / 100 · (n − 1), linear between its neighbours.
    pub(crate) fn percentile(&self, percent: f64) -> Option<f64> {
        let ordered = self.ordered.as_ref().filter(|_| !self.values.is_empty())?;
        let position = RankPosition::of_percent(percent, self.len() as u64);
        let rank = usize::try_from(position.rank).ok()?;
        let low = ordered.get(rank)?;
        Some(if position.is_fractional() {
            position.interpolate(low, ordered.get(rank + 1)?)
        } else {
            low
        })
    }

    /// Returns the median of the distances from `centre`, infinite if a distance overflows.
    pub(crate) fn median_distance(&self, centre: f64) -> Option<f64> {
        let ordered = self.ordered.as_ref().filter(|_| !self.values.is_empty())?;
        let position = RankPosition::of_percent(50.0, self.len() as u64);
        let below = ordered.rank(centre);
        let rank = usize::try_from(position.rank).ok()?;
        let low = distance(ordered, centre, below, rank)?;
        if !position.is_fractional() {
            return Some(low);
        }
        Some(position.interpolate(low, distance(ordered, centre, below, rank + 1)?))
    }

    #[inline]
    pub(crate) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.length(self.values.len());
        writer.length(self.next);
        writer.f64s(self.values.iter().copied());
    }

    /// Reads what [`LastValues::save`] wrote; the window must be empty.
    #[inline]
    pub(crate) fn load(&mut self, reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        let (length, next) = (reader.u64()?, reader.u64()?);
        let length = usize::try_from(length).ok().filter(|length| *length <= self.size);
        let next = usize::try_from(next).ok();
        let (Some(length), Some(next)) = (length, next) else { return Err(DAMAGED) };
        // A full ring may have `next` anywhere; before that, `next` is the length.
        if next > length || (length < self.size && next != length) {
            return Err(DAMAGED);
        }
        self.values = reader.f64s(length)?.collect();
        if self.values.iter().any(|value| !value.is_finite()) {
            return Err(DAMAGED);
        }
        self.next = next;
        restore(&mut self.sums, &self.values, next);
        restore(&mut self.moments, &self.values, next);
        restore(&mut self.extremes, &self.values, next);
        if let Some(ordered) = &mut self.ordered {
            self.values.iter().for_each(|value| ordered.insert(*value));
        }
        Ok(())
    }
}

const DAMAGED: SnapshotError =
    SnapshotError::Damaged("the last values of a series are inconsistent");

#[inline(always)]
fn add<P: Aggregate<Item = f64>>(aggregate: &mut Option<TwoBlockAggregate<P>>, value: f64) {
    if let Some(aggregate) = aggregate {
        aggregate.add(value);
    }
}

fn start_block<P: Aggregate<Item = f64>>(
    aggregate: &mut Option<TwoBlockAggregate<P>>,
    values: &[f64],
) {
    if let Some(aggregate) = aggregate {
        aggregate.start_block(values);
    }
}

/// Rebuilds an aggregate from the ring buffer of a snapshot.
fn restore<P: Aggregate<Item = f64>>(
    aggregate: &mut Option<TwoBlockAggregate<P>>,
    values: &[f64],
    next: usize,
) {
    if let Some(aggregate) = aggregate {
        let (prefix, end) = values.split_at_checked(next).unwrap_or_default();
        if !end.is_empty() {
            aggregate.start_block(values);
        }
        prefix.iter().for_each(|value| aggregate.add(*value));
    }
}

/// Returns the distance from `centre` at `rank` in ascending order; `below` values are less than
/// `centre`.
///
/// Distances grow on both sides of the centre. A binary search finds how many of the smallest ones
/// belong to values below it.
fn distance(ordered: &OrderedMultiset, centre: f64, below: usize, rank: usize) -> Option<f64> {
    let left = |nth: usize| Some(centre - ordered.get(below.checked_sub(nth + 1)?)?);
    let right = |nth: usize| Some(ordered.get(below + nth)? - centre);
    let above = ordered.len() - below;
    let (mut low_count, mut high_count) = ((rank + 1).saturating_sub(above), below.min(rank + 1));
    while low_count < high_count {
        let mid = low_count.midpoint(high_count);
        if left(mid)? < right(rank - mid)? {
            low_count = mid + 1;
        } else {
            high_count = mid;
        }
    }
    let farthest_left = low_count.checked_sub(1).and_then(left).unwrap_or(0.0);
    let farthest_right = rank.checked_sub(low_count).and_then(right).unwrap_or(0.0);
    Some(farthest_left.max(farthest_right))
}

/// The mean and standard deviation of the last values.
#[derive(Debug, Clone)]
pub(crate) struct LastMoments(pub(crate) LastValues);

impl Baseline for LastMoments {
    fn count(&self) -> u64 {
        self.0.len() as u64
    }

    fn centre_and_scale(&self) -> (f64, f64) {
        self.0.moments().centre_and_scale()
    }

    fn learn(&mut self, value: f64) {
        self.0.push(value);
    }
}

/// The median of the last values, and the median of the distances from it.
#[derive(Debug, Clone)]
pub(crate) struct LastMedian(pub(crate) LastValues);

/// The median absolute deviation of a normal distribution in standard deviations: its third
/// quartile.
pub(crate) const NORMAL_QUARTILE: f64 = 0.674_489_750_196_081_7;

impl Baseline for LastMedian {
    fn count(&self) -> u64 {
        self.0.len() as u64
    }

    fn centre_and_scale(&self) -> (f64, f64) {
        let median = self.0.percentile(50.0).unwrap_or(f64::NAN);
        let distance = self.0.median_distance(median).unwrap_or(f64::NAN);
        (median, distance / NORMAL_QUARTILE)
    }

    fn learn(&mut self, value: f64) {
        self.0.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restored_window_continues_with_equal_results() {
        let tracked = TrackedStatistics { sums: true, moments: true, extremes: true, order: true };
        let all = |last: &LastValues| {
            let extremes = last.extremes();
            let moments = last.moments();
            [last.sum(), moments.mean, moments.m2, extremes.min, extremes.max].map(f64::to_bits)
        };
        let mut last = LastValues::new(7, tracked);
        for at in 0..40_i32 {
            let mut bytes = Vec::new();
            crate::snapshot::write_section(&mut bytes, crate::snapshot::Kind::Stage, |writer| {
                last.save(writer);
            });
            let mut restored = LastValues::new(7, tracked);
            let mut reader = SectionReader::new(&bytes[crate::snapshot::HEADER_BYTES..]);
            restored.load(&mut reader).unwrap();
            assert_eq!(all(&restored), all(&last), "{at}");
            assert_eq!(restored.percentile(30.0), last.percentile(30.0));
            let value = f64::from(at * at % 11) / 3.0;
            last.push(value);
            restored.push(value);
            assert_eq!(all(&restored), all(&last), "{at}");
        }
    }

    #[test]
    fn damaged_snapshots_are_errors() {
        for words in [[8, 0], [3, 2], [3, 4], [7, 8], [u64::MAX, 0], [7, u64::MAX], [7, 7]] {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut last = LastValues::new(7, TrackedStatistics::MOMENTS);
            assert!(last.load(&mut SectionReader::new(&bytes)).is_err(), "{words:?}");
        }
        let words = [1, 1, f64::INFINITY.to_bits()];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(
            LastValues::new(7, TrackedStatistics::ORDER)
                .load(&mut SectionReader::new(&bytes))
                .is_err()
        );
    }
}
