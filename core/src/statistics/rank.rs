//! Where a percentile lies among sorted values, and what stands there: the linear rule of numpy, to the last bit.

use crate::spec::Percentile;

/// A place between two neighbouring ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// The lower rank, from 0.
    pub(crate) rank: u64,
    /// How far it is to the next one, below 1.
    fraction: f64,
}

/// One of the two values that are known exactly of however many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Least,
    Greatest,
}

impl Place {
    /// Of `percentile` among `count` values, of which there is at least one.
    pub(crate) fn of(percentile: Percentile, count: u64) -> Self {
        Self::of_percent(percentile.percent(), count)
    }

    /// Of `percent`, from 0 to 100, among `count` values, of which there is at least one: rank p / 100 · (n − 1).
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 0 and at most the greatest rank"
    )]
    pub(crate) fn of_percent(percent: f64, count: u64) -> Self {
        let last = count.saturating_sub(1);
        let place = last as f64 * (percent / 100.0);
        let rank = place.floor();
        if rank >= last as f64 {
            return Self { rank: last, fraction: 0.0 };
        }
        Self { rank: rank as u64, fraction: place - rank }
    }

    /// Returns which end of `count` values stands here, if one does.
    pub(crate) fn end(self, count: u64) -> Option<End> {
        match self {
            Self { fraction, .. } if fraction > 0.0 => None,
            Self { rank: 0, .. } => Some(End::Least),
            Self { rank, .. } => (rank >= count.saturating_sub(1)).then_some(End::Greatest),
        }
    }

    /// Whether the value of the next rank matters.
    pub(crate) fn is_between(self) -> bool {
        self.fraction > 0.0
    }

    /// The value here, if `low` stands at the lower rank and `high` at the next.
    pub(crate) fn between(self, low: f64, high: f64) -> f64 {
        let (fraction, rest) = (self.fraction, 1.0 - self.fraction);
        let difference = high - low;
        if !difference.is_finite() {
            return low * rest + high * fraction;
        }
        // From the nearer end.
        if fraction >= 0.5 { high - difference * rest } else { low + difference * fraction }
    }
}

/// Puts the values that `percentiles` need where they belong: less work than sorting all.
#[inline(never)]
pub(crate) fn arrange(values: &mut [f64], percentiles: &[Percentile]) {
    let count = values.len() as u64;
    let ranks = percentiles.iter().flat_map(|percentile| {
        let place = Place::of(*percentile, count);
        let rank = usize::try_from(place.rank).unwrap_or(usize::MAX);
        [rank, rank.saturating_add(usize::from(place.is_between()))]
    });
    crate::util::select::floats(values, ranks);
}

/// The value of a percentile that `values` are arranged for; NaN where there are none.
pub(crate) fn arranged(values: &[f64], percentile: Percentile) -> f64 {
    let place = Place::of(percentile, values.len() as u64);
    let at = |rank: u64| usize::try_from(rank).ok().and_then(|rank| values.get(rank)).copied();
    let low = at(place.rank).unwrap_or(f64::NAN);
    if !place.is_between() {
        return low;
    }
    place.between(low, at(place.rank + 1).unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(percentile: &str, count: u64) -> Place {
        Place::of(percentile.parse().unwrap(), count)
    }

    #[test]
    fn places_are_p_hundredths_of_the_way() {
        assert_eq!(place("50", 4), Place { rank: 1, fraction: 0.5 });
        assert_eq!(place("0", 4), Place { rank: 0, fraction: 0.0 });
        assert_eq!(place("100", 4), Place { rank: 3, fraction: 0.0 });
        assert_eq!(place("95", 21), Place { rank: 19, fraction: 0.0 });
        assert_eq!(place("99.9", 1), Place { rank: 0, fraction: 0.0 });
    }

    #[test]
    fn only_whole_ranks_are_ends() {
        assert_eq!(place("0", 4).end(4), Some(End::Least));
        assert_eq!(place("100", 4).end(4), Some(End::Greatest));
        assert_eq!(place("50", 1).end(1), Some(End::Least));
        assert!(["1", "50", "99"].iter().all(|percent| place(percent, 4).end(4).is_none()));
    }

    #[test]
    fn values_between_stay_between_however_far_apart() {
        assert_eq!(place("50", 2).between(1.0, 2.0), 1.5);
        assert_eq!(place("50", 2).between(-1.7e308, 1.7e308), 0.0);
        assert_eq!(place("25", 2).between(7.0, 7.0), 7.0);
    }
}
