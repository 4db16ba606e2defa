//! The last N values, and what is asked of them.

use super::anomaly::Reference;
use super::order::Ordered;
use super::parts::{Extremes, Part, Sum};
use super::two_blocks::TwoBlocks;
use super::{OnlineVariance, number};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::statistics::rank::Place;

/// What is kept of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) sums: bool,
    pub(crate) moments: bool,
    pub(crate) extremes: bool,
    pub(crate) order: bool,
}

impl Kept {
    pub(crate) const MOMENTS: Self =
        Self { sums: false, moments: true, extremes: false, order: false };
    pub(crate) const ORDER: Self =
        Self { sums: false, moments: false, extremes: false, order: true };
}

/// The last N values, in a ring: once it is full the newest one takes the place of the oldest.
#[derive(Debug, Clone)]
pub(crate) struct LastValues {
    size: usize,
    values: Vec<f64>,
    /// Where the next value goes. It begins a new block where that is behind the end.
    next: usize,
    sums: Option<TwoBlocks<Sum>>,
    moments: Option<TwoBlocks<OnlineVariance>>,
    extremes: Option<TwoBlocks<Extremes>>,
    ordered: Option<Ordered>,
}

impl LastValues {
    /// The last `size`, at least 1.
    pub(crate) fn new(size: usize, kept: Kept) -> Self {
        Self {
            size,
            values: Vec::new(),
            next: 0,
            sums: kept.sums.then(TwoBlocks::new),
            moments: kept.moments.then(TwoBlocks::new),
            extremes: kept.extremes.then(TwoBlocks::new),
            ordered: kept.order.then(Ordered::default),
        }
    }

    /// Takes the next value, a number.
    pub(crate) fn push(&mut self, value: f64) {
        if self.next >= self.size {
            self.next = 0;
            turn(&mut self.sums, &self.values);
            turn(&mut self.moments, &self.values);
            turn(&mut self.extremes, &self.values);
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

    /// What one counts for in the bytes of a stage, but for its values.
    pub(crate) const BYTES: u64 = 400;

    /// What its values count for there, with what is kept of each for sums, moments, extremes and order.
    pub(crate) fn counted_bytes(&self) -> u64 {
        let kinds = [
            (16, self.sums.is_some()),
            (24, self.moments.is_some()),
            (16, self.extremes.is_some()),
            (12, self.ordered.is_some()),
        ];
        let kept = kinds.into_iter().filter(|(_, is_kept)| *is_kept).map(|(bytes, _)| bytes);
        self.len() as u64 * (8 + kept.sum::<u64>())
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// NaN, as all that follows, where it is undefined or not kept. It may be infinite.
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

    /// The value at rank percent / 100 · (n − 1), linear between its neighbours.
    pub(crate) fn percentile(&self, percent: f64) -> Option<f64> {
        let ordered = self.ordered.as_ref().filter(|_| !self.values.is_empty())?;
        let place = Place::of_percent(percent, self.len() as u64);
        let rank = usize::try_from(place.rank).ok()?;
        let low = ordered.get(rank)?;
        Some(if place.is_between() { place.between(low, ordered.get(rank + 1)?) } else { low })
    }

    /// The median of the distances from `centre`, infinite where those are.
    pub(crate) fn median_distance(&self, centre: f64) -> Option<f64> {
        let ordered = self.ordered.as_ref().filter(|_| !self.values.is_empty())?;
        let place = Place::of_percent(50.0, self.len() as u64);
        let below = ordered.rank(centre);
        let rank = usize::try_from(place.rank).ok()?;
        let low = distance(ordered, centre, below, rank)?;
        if !place.is_between() {
            return Some(low);
        }
        Some(place.between(low, distance(ordered, centre, below, rank + 1)?))
    }

    pub(crate) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.length(self.values.len());
        writer.length(self.next);
        writer.f64s(self.values.iter().copied());
    }

    /// Puts in what [`LastValues::save`] wrote; this is empty before.
    pub(crate) fn load(&mut self, reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        let (length, next) = (reader.u64()?, reader.u64()?);
        let length = usize::try_from(length).ok().filter(|length| *length <= self.size);
        let next = usize::try_from(next).ok();
        let (Some(length), Some(next)) = (length, next) else { return Err(DAMAGED) };
        // All places are taken up to the end, or up to the next one.
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

const DAMAGED: SnapshotError = SnapshotError::Damaged("values that are no window");

#[inline(always)]
fn add<P: Part<Item = f64>>(part: &mut Option<TwoBlocks<P>>, value: f64) {
    if let Some(part) = part {
        part.add(value);
    }
}

fn turn<P: Part<Item = f64>>(part: &mut Option<TwoBlocks<P>>, values: &[f64]) {
    if let Some(part) = part {
        part.turn(values);
    }
}

fn restore<P: Part<Item = f64>>(part: &mut Option<TwoBlocks<P>>, values: &[f64], next: usize) {
    if let Some(part) = part {
        let (beginning, end) = values.split_at_checked(next).unwrap_or_default();
        if !end.is_empty() {
            part.turn(values);
        }
        beginning.iter().for_each(|value| part.add(*value));
    }
}

/// The distance from `centre` of which `rank` are smaller; `below` values lie below it.
///
/// Going away from the centre, distances grow on both sides: how many of the smallest are below is found by halving.
fn distance(ordered: &Ordered, centre: f64, below: usize, rank: usize) -> Option<f64> {
    let left = |nth: usize| Some(centre - ordered.get(below.checked_sub(nth + 1)?)?);
    let right = |nth: usize| Some(ordered.get(below + nth)? - centre);
    let above = ordered.len() - below;
    let (mut least, mut most) = ((rank + 1).saturating_sub(above), below.min(rank + 1));
    while least < most {
        let middle = least.midpoint(most);
        if left(middle)? < right(rank - middle)? {
            least = middle + 1;
        } else {
            most = middle;
        }
    }
    let farthest_left = least.checked_sub(1).and_then(left).unwrap_or(0.0);
    let farthest_right = rank.checked_sub(least).and_then(right).unwrap_or(0.0);
    Some(farthest_left.max(farthest_right))
}

/// The mean of the last values, and their standard deviation.
#[derive(Debug, Clone)]
pub(crate) struct LastMoments(pub(crate) LastValues);

impl Reference for LastMoments {
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
pub(crate) struct LastOrdered(pub(crate) LastValues);

/// The median distance of normally distributed values in standard deviations, the third quartile of the normal distribution.
pub(crate) const NORMAL_QUARTILE: f64 = 0.674_489_750_196_081_7;

impl Reference for LastOrdered {
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
    fn goes_on_from_what_was_saved_as_if_nothing_had_been() {
        let kept = Kept { sums: true, moments: true, extremes: true, order: true };
        let all = |last: &LastValues| {
            let extremes = last.extremes();
            let moments = last.moments();
            [last.sum(), moments.mean, moments.m2, extremes.min, extremes.max].map(f64::to_bits)
        };
        let mut last = LastValues::new(7, kept);
        for at in 0..40_i32 {
            let mut bytes = Vec::new();
            crate::snapshot::write_section(&mut bytes, crate::snapshot::Kind::Stage, |writer| {
                last.save(writer);
            });
            let mut restored = LastValues::new(7, kept);
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
    fn damaged_windows_are_errors() {
        for words in [[8, 0], [3, 2], [3, 4], [7, 8], [u64::MAX, 0], [7, u64::MAX], [7, 7]] {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut last = LastValues::new(7, Kept::MOMENTS);
            assert!(last.load(&mut SectionReader::new(&bytes)).is_err(), "{words:?}");
        }
        let words = [1, 1, f64::INFINITY.to_bits()];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(LastValues::new(7, Kept::ORDER).load(&mut SectionReader::new(&bytes)).is_err());
    }
}
