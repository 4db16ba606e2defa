//! Values that come and go, counted in logarithmic buckets, and what tells that there are many different ones.

use super::buckets::Buckets;
use super::octaves::Octaves;
use super::pairs::MAX_DISTINCT;
use super::range::Range;

/// How many values fall into each bucket.
#[derive(Clone, Default)]
pub(super) struct Counted {
    zeros: u64,
    negative: Octaves,
    positive: Octaves,
    /// Parts that are in buckets themselves: each alone has too many different values to be exact.
    coarse: u64,
    /// So many values may leave before there can be as few different ones as are exact.
    credit: u64,
    seen: Option<Box<Seen>>,
}

impl Counted {
    /// Of different values, each with how often it came.
    pub(super) fn of(values: &[f64], times: &[u64]) -> Self {
        let mut counted = Self::default();
        let pairs = || values.iter().zip(times);
        pairs().for_each(|(value, times)| counted.add(*value, *times));
        if values.len() > MAX_DISTINCT && !counted.fills_many() {
            let mut seen = Box::new(Seen { cells: [0; CELLS], used: 0 });
            pairs().for_each(|(value, times)| seen.add(*value, *times));
            counted.seen = Some(seen);
        }
        counted.credit = values.len().saturating_sub(MAX_DISTINCT + 1) as u64;
        counted
    }

    pub(super) fn add(&mut self, value: f64, times: u64) {
        if value > 0.0 {
            self.positive.add(value.to_bits(), times);
        } else if value < 0.0 {
            self.negative.add((-value).to_bits(), times);
        } else {
            self.zeros = self.zeros.wrapping_add(times);
        }
        if let Some(seen) = &mut self.seen {
            seen.add(value, times);
        }
    }

    pub(super) fn remove(&mut self, value: f64, times: u64) {
        if value > 0.0 {
            self.positive.remove(value.to_bits(), times);
        } else if value < 0.0 {
            self.negative.remove((-value).to_bits(), times);
        } else {
            self.zeros = self.zeros.wrapping_sub(times);
        }
        if let Some(seen) = &mut self.seen {
            seen.remove(value, times);
        }
        self.credit = self.credit.saturating_sub(1);
    }

    pub(super) fn add_buckets(&mut self, buckets: &Buckets) {
        self.coarse += 1;
        self.zeros = self.zeros.wrapping_add(buckets.zeros());
        let (negative, positive) = buckets.sides();
        if let Some(negative) = negative {
            self.negative.add_side(negative);
        }
        self.positive.add_side(positive);
    }

    pub(super) fn remove_buckets(&mut self, buckets: &Buckets) {
        self.coarse = self.coarse.saturating_sub(1);
        self.zeros = self.zeros.wrapping_sub(buckets.zeros());
        let (negative, positive) = buckets.sides();
        if let Some(negative) = negative {
            self.negative.remove_side(negative);
        }
        self.positive.remove_side(positive);
        // Nobody has counted how many different values were there.
        self.credit = 0;
    }

    /// Whether a part is in buckets itself.
    pub(super) fn has_coarse(&self) -> bool {
        self.coarse > 0
    }

    /// Whether there are more than [`MAX_DISTINCT`] different values for sure.
    pub(super) fn has_many_distinct(&self) -> bool {
        self.credit > 0
            || self.fills_many()
            || self.seen.as_ref().is_some_and(|seen| seen.used > MAX_DISTINCT)
    }

    fn fills_many(&self) -> bool {
        self.negative.filled() + self.positive.filled() > MAX_DISTINCT
    }

    pub(super) fn folded(&self) -> u64 {
        self.negative.folded().wrapping_add(self.positive.folded())
    }

    /// What stands for the values around `rank`, and how many from that rank on it stands for.
    pub(super) fn at(&self, mut rank: u64) -> Option<(f64, u64)> {
        let below = self.negative.kept_total();
        if rank < below {
            let (magnitude, left) = self.negative.at_from_above(rank)?;
            return Some((-magnitude, left));
        }
        rank -= below;
        let near_zero = self.folded().wrapping_add(self.zeros);
        if rank < near_zero {
            return Some((0.0, near_zero - rank));
        }
        self.positive.at_from_below(rank - near_zero)
    }

    /// The same counts as they are kept where values only come: `count` in all, within `range`.
    pub(super) fn to_buckets(&self, count: u64, range: Range) -> Buckets {
        Buckets::of_sides(
            (count, self.zeros),
            range,
            self.negative.to_side(),
            self.positive.to_side(),
        )
    }
}

const CELLS: usize = 1024;

/// How many values fall into each of some cells, by the hash of the value: there are at least as many different values as
/// cells in use.
#[derive(Clone)]
struct Seen {
    cells: [u32; CELLS],
    used: usize,
}

impl Seen {
    fn add(&mut self, value: f64, times: u64) {
        self.change(value, |count| count.wrapping_add(low_bits(times)));
    }

    fn remove(&mut self, value: f64, times: u64) {
        self.change(value, |count| count.wrapping_sub(low_bits(times)));
    }

    fn change(&mut self, value: f64, to: impl Fn(u32) -> u32) {
        let spread = value.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let place = usize::try_from(spread).unwrap_or(0) % CELLS;
        let Some(count) = self.cells.get_mut(place) else { return };
        let before = *count > 0;
        *count = to(*count);
        self.used = (self.used + usize::from(*count > 0)).saturating_sub(usize::from(before));
    }
}

/// What counts modulo 2^32 take of `times`.
pub(super) fn low_bits(times: u64) -> u32 {
    u32::try_from(times & u64::from(u32::MAX)).unwrap_or(0)
}
