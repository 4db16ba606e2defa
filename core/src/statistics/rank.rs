//! Percentiles of sorted values: the linear interpolation of numpy, to the last bit.

use crate::spec::Percentile;

/// The position of a percentile between two neighbouring ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RankPosition {
    /// The lower rank, from 0.
    pub(crate) rank: u64,
    /// The distance from the lower rank, below 1.
    fraction: f64,
}

/// Minimum or maximum: the two values that sketches know exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extreme {
    Min,
    Max,
}

impl RankPosition {
    /// Returns the position of `percentile` among `count` values, at least one.
    pub(crate) fn of(percentile: Percentile, count: u64) -> Self {
        Self::of_percent(percentile.percent(), count)
    }

    /// Returns the position of `percent`, from 0 to 100, among `count` values, at least one: rank p
    /// / 100 · (n − 1).
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are out of reach")]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 0 and at most the greatest rank"
    )]
    pub(crate) fn of_percent(percent: f64, count: u64) -> Self {
        let last = count.saturating_sub(1);
        let position = last as f64 * (percent / 100.0);
        let rank = position.floor();
        if rank >= last as f64 {
            return Self { rank: last, fraction: 0.0 };
        }
        Self { rank: rank as u64, fraction: position - rank }
    }

    /// Returns the extreme of `count` values at this position, if it is one.
    pub(crate) fn extreme(self, count: u64) -> Option<Extreme> {
        match self {
            Self { fraction, .. } if fraction > 0.0 => None,
            Self { rank: 0, .. } => Some(Extreme::Min),
            Self { rank, .. } => (rank >= count.saturating_sub(1)).then_some(Extreme::Max),
        }
    }

    /// Returns true if the result also depends on the value at the next rank.
    pub(crate) fn is_fractional(self) -> bool {
        self.fraction > 0.0
    }

    /// Interpolates between `low`, the value at the lower rank, and `high`, the value at the next
    /// rank.
    pub(crate) fn interpolate(self, low: f64, high: f64) -> f64 {
        let (fraction, rest) = (self.fraction, 1.0 - self.fraction);
        let difference = high - low;
        if !difference.is_finite() {
            return low * rest + high * fraction;
        }
        // From the nearer value, to reduce rounding.
        if fraction >= 0.5 { high - difference * rest } else { low + difference * fraction }
    }
}

/// Partially sorts `values`, so that the ranks of `percentiles` are at their positions. Faster than
/// a full sort.
#[inline(never)]
pub(crate) fn select_ranks(values: &mut [f64], percentiles: &[Percentile]) {
    let count = values.len() as u64;
    let ranks = percentiles.iter().flat_map(|percentile| {
        let position = RankPosition::of(*percentile, count);
        let rank = usize::try_from(position.rank).unwrap_or(usize::MAX);
        [rank, rank.saturating_add(usize::from(position.is_fractional()))]
    });
    crate::util::select::floats(values, ranks);
}

/// Returns a percentile that `values` are partially sorted for; NaN without values.
pub(crate) fn percentile_of_selected(values: &[f64], percentile: Percentile) -> f64 {
    let position = RankPosition::of(percentile, values.len() as u64);
    let at = |rank: u64| usize::try_from(rank).ok().and_then(|rank| values.get(rank)).copied();
    let low = at(position.rank).unwrap_or(f64::NAN);
    if !position.is_fractional() {
        return low;
    }
    position.interpolate(low, at(position.rank + 1).unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(percentile: &str, count: u64) -> RankPosition {
        RankPosition::of(percentile.parse().unwrap(), count)
    }

    #[test]
    fn position_is_p_hundredths_of_the_last_rank() {
        assert_eq!(position("50", 4), RankPosition { rank: 1, fraction: 0.5 });
        assert_eq!(position("0", 4), RankPosition { rank: 0, fraction: 0.0 });
        assert_eq!(position("100", 4), RankPosition { rank: 3, fraction: 0.0 });
        assert_eq!(position("95", 21), RankPosition { rank: 19, fraction: 0.0 });
        assert_eq!(position("99.9", 1), RankPosition { rank: 0, fraction: 0.0 });
    }

    #[test]
    fn only_whole_ranks_are_extremes() {
        assert_eq!(position("0", 4).extreme(4), Some(Extreme::Min));
        assert_eq!(position("100", 4).extreme(4), Some(Extreme::Max));
        assert_eq!(position("50", 1).extreme(1), Some(Extreme::Min));
        assert!(["1", "50", "99"].iter().all(|percent| position(percent, 4).extreme(4).is_none()));
    }

    #[test]
    fn interpolation_does_not_overflow() {
        assert_eq!(position("50", 2).interpolate(1.0, 2.0), 1.5);
        assert_eq!(position("50", 2).interpolate(-1.7e308, 1.7e308), 0.0);
        assert_eq!(position("25", 2).interpolate(7.0, 7.0), 7.0);
    }
}
