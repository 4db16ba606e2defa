//! The values of one key in a window that slides: those that enter are added, those that leave are taken away.
//!
//! Counts are whole numbers, so what is left is always what it would be if all values were added anew, in any order.

use super::buckets::Buckets;
use super::counted::Counted;
use super::group::Group;
use super::pairs::MAX_DISTINCT;
use super::range::Range;
use super::side::{bucketed, octave_of};
use super::{ALWAYS_EXACT, MAX_OCTAVES};
use crate::spec::Percentile;
use crate::statistics::rank::Place;

/// Different values up to which all are kept. More than decide whether percentiles are exact, so that values which come
/// and go seldom change the form.
const MAX_PAIRS: usize = 1024;
/// Numbers that are added up at once on the way to a rank.
const STEP: usize = 16;

/// The values of one key.
#[derive(Clone, Default)]
pub(super) struct Running {
    count: u64,
    /// All of them, unless there are `counted`.
    pairs: Pairs,
    counted: Option<Box<Counted>>,
}

/// The different values, ascending, and how often each is there.
#[derive(Clone, Default)]
struct Pairs {
    values: Vec<f64>,
    times: Vec<u64>,
}

impl Running {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds what `group` holds.
    pub(super) fn add(&mut self, group: &Group) {
        match group {
            Group::Values(values) => values.iter().for_each(|value| self.add_value(*value, 1)),
            Group::Pairs(pairs) => {
                pairs.iter().for_each(|(value, times)| self.add_value(*value, *times));
            }
            Group::Buckets(buckets) => {
                self.count = self.count.wrapping_add(buckets.count());
                self.counted().add_buckets(buckets);
            }
        }
    }

    /// Takes away what `group` holds, which has been added.
    pub(super) fn remove(&mut self, group: &Group) {
        match group {
            Group::Values(values) => values.iter().for_each(|value| self.remove_value(*value, 1)),
            Group::Pairs(pairs) => {
                pairs.iter().for_each(|(value, times)| self.remove_value(*value, *times));
            }
            Group::Buckets(buckets) => {
                self.count = self.count.wrapping_sub(buckets.count());
                self.counted().remove_buckets(buckets);
            }
        }
    }

    fn add_value(&mut self, value: f64, times: u64) {
        self.count = self.count.wrapping_add(times);
        match &mut self.counted {
            Some(counted) => counted.add(value, times),
            None => {
                self.pairs.add(value, times);
                if self.pairs.values.len() > MAX_PAIRS {
                    self.counted();
                }
            }
        }
    }

    fn remove_value(&mut self, value: f64, times: u64) {
        self.count = self.count.wrapping_sub(times);
        match &mut self.counted {
            Some(counted) => counted.remove(value, times),
            None => self.pairs.remove(value, times),
        }
    }

    /// What counts the values in buckets, from here on.
    fn counted(&mut self) -> &mut Counted {
        let pairs = &mut self.pairs;
        self.counted.get_or_insert_with(|| {
            let pairs = core::mem::take(pairs);
            Box::new(Counted::of(&pairs.values, &pairs.times))
        })
    }

    /// Whether it does not know any more that percentiles are not exact: then all values have to be added anew.
    pub(super) fn is_unsure(&self) -> bool {
        self.counted.as_ref().is_some_and(|counted| {
            let few = self.count <= ALWAYS_EXACT as u64;
            !counted.has_coarse() && (few || !counted.has_many_distinct())
        })
    }

    /// What `groups` hold together.
    pub(super) fn of<'a>(groups: impl Iterator<Item = &'a Group> + Clone) -> Self {
        let of_values = |group: &'a Group| match group {
            Group::Values(values) => values.as_slice(),
            _ => &[],
        };
        let mut values: Vec<f64> = groups.clone().flat_map(of_values).copied().collect();
        crate::util::sort::floats(&mut values);
        let mut running = Self { count: values.len() as u64, ..Self::default() };
        for run in values.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
            running.pairs.values.extend(run.first());
            running.pairs.times.push(run.len() as u64);
        }
        groups
            .filter(|group| !matches!(group, Group::Values(_)))
            .for_each(|group| running.add(group));
        if running.pairs.values.len() > MAX_PAIRS {
            running.counted();
        }
        running
    }

    /// Writes the value of each of `asked`, which ascend, to `results`; the values lie within `range`.
    pub(super) fn percentiles(&self, asked: &[Percentile], range: Range, results: &mut [f64]) {
        match &self.counted {
            Some(counted) => self.write(asked, range, results, |rank| match counted.at(rank) {
                Some((value, left)) => (range.clamp(value), left),
                None => (range.max(), 1),
            }),
            None if self.is_exact() => {
                let range = self.pairs.range();
                self.write(asked, range, results, |rank| self.pairs.at(rank, self.count));
            }
            None if self.pairs.may_fold() => {
                let buckets = self.pairs.buckets();
                self.write(asked, buckets.range(), results, |rank| buckets.at(rank));
            }
            None => {
                let range = self.pairs.range();
                self.write(asked, range, results, |rank| {
                    let (value, left) = self.pairs.at(rank, self.count);
                    (range.clamp(bucketed(value)), left)
                });
            }
        }
    }

    /// The same, if `at` tells the value at a rank, and how many from there on are the same.
    fn write(
        &self,
        asked: &[Percentile],
        range: Range,
        results: &mut [f64],
        at: impl Fn(u64) -> (f64, u64),
    ) {
        for (percentile, result) in asked.iter().zip(results) {
            let place = Place::of(*percentile, self.count);
            if let Some(end) = place.end(self.count) {
                *result = range.at(end);
                continue;
            }
            let (low, left) = at(place.rank);
            *result = if place.is_between() && left <= 1 {
                place.between(low, at(place.rank.saturating_add(1)).0)
            } else {
                low
            };
        }
    }

    fn is_exact(&self) -> bool {
        let few = self.count <= ALWAYS_EXACT as u64 || self.pairs.values.len() <= MAX_DISTINCT;
        self.counted.is_none() && few
    }

    /// Values below the octaves that percentiles are taken from.
    pub(super) fn folded(&self) -> u64 {
        match &self.counted {
            Some(counted) => counted.folded(),
            None if !self.is_exact() && self.pairs.may_fold() => self.pairs.buckets().folded(),
            None => 0,
        }
    }

    /// The same values as they are kept where they stay; they lie within `range`.
    pub(super) fn to_group(&self, range: Range) -> Group {
        if let Some(counted) = &self.counted {
            return Group::Buckets(Box::new(counted.to_buckets(self.count, range)));
        }
        let pairs = self.pairs.values.iter().copied().zip(self.pairs.times.iter().copied());
        if self.count <= ALWAYS_EXACT as u64 {
            let times = |times| usize::try_from(times).unwrap_or(0);
            let values = pairs.flat_map(|(value, n)| core::iter::repeat_n(value, times(n)));
            return Group::Values(values.take(ALWAYS_EXACT).collect());
        }
        if self.pairs.values.len() <= MAX_DISTINCT {
            return Group::Pairs(pairs.collect());
        }
        Group::Buckets(Box::new(self.pairs.buckets()))
    }
}

impl Pairs {
    fn place(&self, value: f64) -> Result<usize, usize> {
        self.values.binary_search_by(|known| known.total_cmp(&value))
    }

    fn add(&mut self, value: f64, more: u64) {
        match self.place(value) {
            Ok(place) => {
                if let Some(times) = self.times.get_mut(place) {
                    *times = times.wrapping_add(more);
                }
            }
            Err(place) => {
                self.values.insert(place, value);
                self.times.insert(place, more);
            }
        }
    }

    fn remove(&mut self, value: f64, less: u64) {
        let Ok(place) = self.place(value) else { return };
        let Some(times) = self.times.get_mut(place) else { return };
        *times = times.wrapping_sub(less);
        if *times == 0 {
            self.values.remove(place);
            self.times.remove(place);
        }
    }

    /// The value at `rank` of all `count`, and how many from there on are the same.
    fn at(&self, mut rank: u64, count: u64) -> (f64, u64) {
        if count == self.values.len() as u64 {
            let value = usize::try_from(rank).ok().and_then(|rank| self.values.get(rank));
            return (value.copied().unwrap_or(f64::NAN), 1);
        }
        for (values, times) in self.values.chunks(STEP).zip(self.times.chunks(STEP)) {
            let total = times.iter().fold(0_u64, |total, times| total.wrapping_add(*times));
            if rank >= total {
                rank -= total;
                continue;
            }
            for (value, times) in values.iter().zip(times) {
                if rank < *times {
                    return (*value, *times - rank);
                }
                rank -= times;
            }
        }
        (f64::NAN, 1)
    }

    fn range(&self) -> Range {
        self.values.first().zip(self.values.last()).map_or(Range::NONE, |(min, max)| {
            let (min, max) = (*min, *max);
            Range::of(min, max)
        })
    }

    /// Whether they may have more octaves of one sign than percentiles are taken from.
    fn may_fold(&self) -> bool {
        let zero = self.values.partition_point(|value| *value < 0.0);
        let (negative, others) = self.values.split_at(zero);
        let positive = others.partition_point(|value| *value <= 0.0);
        let positive = others.get(positive..).unwrap_or_default();
        let too_far = |low: Option<&f64>, high: Option<&f64>| {
            low.zip(high).is_some_and(|(low, high)| {
                octave_of(*high) - octave_of(*low) >= MAX_OCTAVES.try_into().unwrap_or(0)
            })
        };
        too_far(negative.last(), negative.first()) || too_far(positive.first(), positive.last())
    }

    fn buckets(&self) -> Buckets {
        let mut buckets = Buckets::new();
        for (value, times) in self.values.iter().zip(&self.times) {
            buckets.add(*value, *times);
        }
        buckets
    }
}
