//! Z-scores: the distance of a value from the values before it, in deviations.

use super::last::{LastMedian, LastValues, TrackedStatistics};
use super::{OnlineVariance, StatisticsError, finite};

/// Minimum number of values before one gets a score.
pub(crate) const MIN_WARMUP: u64 = 2;

/// The statistics that a value is compared with.
pub(crate) trait Baseline {
    /// Returns the number of values learned.
    fn count(&self) -> u64;

    /// Returns the centre (mean or median) and the scale (a standard deviation, or its estimate by
    /// the MAD).
    fn centre_and_scale(&self) -> (f64, f64);

    /// Adds a value, which is finite.
    fn learn(&mut self, value: f64);
}

/// Z-scores: the distance of a value from the values before it, in deviations.
/// ```
/// use stream_processor_core::statistics::ZScoreAnomalyDetector;
/// let mut detector = ZScoreAnomalyDetector::new(3.0).with_warmup(2);
/// for value in [10.0, 11.0, 10.0, 11.0] {
///     detector.update(value);
/// }
/// let score = detector.score(99.0);
/// assert!(score.anomaly && score.zscore.is_some_and(|zscore| zscore > 3.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The distance in deviations, negative for values below the centre. `None` during the warm-up,
    /// and if the deviation is zero and the value differs.
    pub zscore: Option<f64>,
    /// True if the distance exceeds the threshold in either direction, or the deviation is zero and
    /// the value differs.
    pub anomaly: bool,
}

/// The rule for anomalies: threshold, warm-up, and what is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ZScoreRule {
    pub(crate) threshold: f64,
    /// Number of values before the first that gets a score.
    pub(crate) warmup: u64,
    pub(crate) learn_anomalies: bool,
}

impl ZScoreRule {
    /// Creates a rule with the minimum warm-up, which learns anomalies.
    pub(crate) fn new(threshold: f64) -> Self {
        Self { threshold, warmup: MIN_WARMUP, learn_anomalies: true }
    }

    /// Returns the score of `value`, or NaN if it has none, and whether it is an anomaly.
    #[inline(always)]
    pub(crate) fn judge(&self, baseline: &impl Baseline, value: f64) -> (f64, bool) {
        if baseline.count() < self.warmup.max(MIN_WARMUP) {
            return (f64::NAN, false);
        }
        let (centre, scale) = baseline.centre_and_scale();
        if scale > 0.0 && scale < f64::INFINITY {
            let score = (value - centre) / scale;
            let anomaly = score.abs() > self.threshold;
            return (if score.is_finite() { score } else { f64::NAN }, anomaly);
        }
        // Without a deviation every different value is an anomaly; a deviation that is not a number
        // gives no score.
        let same = value == centre;
        (if same && scale == 0.0 { 0.0 } else { f64::NAN }, !same && scale == 0.0)
    }

    /// Returns the same as [`ZScoreRule::judge`], and adds the value to `baseline`, unless it is an
    /// anomaly and anomalies are not learned.
    #[inline(always)]
    pub(crate) fn judge_and_learn(&self, baseline: &mut impl Baseline, value: f64) -> (f64, bool) {
        let (score, anomaly) = self.judge(baseline, value);
        if self.learn_anomalies || !anomaly {
            baseline.learn(value);
        }
        (score, anomaly)
    }

    fn score(&self, baseline: &impl Baseline, value: f64) -> Score {
        if !value.is_finite() {
            return Score { zscore: None, anomaly: false };
        }
        let (zscore, anomaly) = self.judge(baseline, value);
        Score { zscore: finite(zscore), anomaly }
    }

    fn update(&self, baseline: &mut impl Baseline, value: f64) -> Score {
        if !value.is_finite() {
            return Score { zscore: None, anomaly: false };
        }
        let (zscore, anomaly) = self.judge_and_learn(baseline, value);
        Score { zscore: finite(zscore), anomaly }
    }
}

impl Baseline for OnlineVariance {
    #[inline(always)]
    fn count(&self) -> u64 {
        self.count
    }

    #[inline(always)]
    fn centre_and_scale(&self) -> (f64, f64) {
        (self.mean, (self.m2 / super::number(self.count.saturating_sub(1))).sqrt())
    }

    #[inline(always)]
    fn learn(&mut self, value: f64) {
        self.add(value);
    }
}

/// Detects values that are far from the mean of the values before them, in sample standard
/// deviations.
///
/// A value is compared with the values before it, from the third one on, or later by
/// [`ZScoreAnomalyDetector::with_warmup`].
/// ```
/// use stream_processor_core::statistics::ZScoreAnomalyDetector;
///
/// let mut detector = ZScoreAnomalyDetector::new(3.0);
/// assert!([10.0, 12.0, 11.0, 9.0, 10.0].iter().all(|value| !detector.check(*value)));
/// assert!(detector.check(100.0));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ZScoreAnomalyDetector {
    rule: ZScoreRule,
    moments: OnlineVariance,
}

impl ZScoreAnomalyDetector {
    /// Creates a detector: values more than `threshold` deviations away are anomalies.
    #[must_use]
    pub fn new(threshold: f64) -> Self {
        Self { rule: ZScoreRule::new(threshold), moments: OnlineVariance::new() }
    }

    /// Sets the number of values before the first that gets a score; at least 2.
    #[must_use]
    pub fn with_warmup(mut self, values: u64) -> Self {
        self.rule.warmup = values;
        self
    }

    /// Sets whether anomalies are learned; true by default. If they are not, a lasting change of
    /// level is an anomaly forever.
    #[must_use]
    pub fn learn_anomalies(mut self, learn: bool) -> Self {
        self.rule.learn_anomalies = learn;
        self
    }

    /// Takes the next value, and returns true if it is an anomaly.
    pub fn check(&mut self, value: f64) -> bool {
        self.update(value).anomaly
    }

    /// Takes the next value, and returns its score against the values before it.
    pub fn update(&mut self, value: f64) -> Score {
        self.rule.update(&mut self.moments, value)
    }

    /// Returns the score of `value` against the values so far, without taking it.
    #[must_use]
    pub fn score(&self, value: f64) -> Score {
        self.rule.score(&self.moments, value)
    }

    /// Returns the statistics of the values learned.
    #[must_use]
    pub fn moments(&self) -> &OnlineVariance {
        &self.moments
    }
}

/// Detects values that are far from the median of the last ones, in median absolute deviations
/// (MAD).
///
/// The deviations are scaled to equal standard deviations for normally distributed values. A few
/// outliers change neither median nor deviation.
/// ```
/// use stream_processor_core::statistics::RobustZScore;
///
/// let mut detector = RobustZScore::new(3.5, 100)?;
/// assert!([10.0, 12.0, 11.0, 9.0, 10.0].iter().all(|value| !detector.check(*value)));
/// assert!(detector.check(1e6));
/// assert!(detector.check(20.0)); // still
/// # Ok::<(), stream_processor_core::statistics::StatisticsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RobustZScore {
    rule: ZScoreRule,
    last: LastMedian,
}

impl RobustZScore {
    /// Creates a detector: values more than `threshold` deviations from the last `size` are
    /// anomalies.
    ///
    /// # Errors
    /// [`StatisticsError::EmptyWindow`] if `size` is 0.
    pub fn new(threshold: f64, size: usize) -> Result<Self, StatisticsError> {
        if size == 0 {
            return Err(StatisticsError::EmptyWindow);
        }
        let last = LastMedian(LastValues::new(size, TrackedStatistics::ORDER));
        Ok(Self { rule: ZScoreRule::new(threshold), last })
    }

    /// Sets the number of values before the first that gets a score; at least 2.
    #[must_use]
    pub fn with_warmup(mut self, values: u64) -> Self {
        self.rule.warmup = values;
        self
    }

    /// Sets whether anomalies are learned; true by default.
    #[must_use]
    pub fn learn_anomalies(mut self, learn: bool) -> Self {
        self.rule.learn_anomalies = learn;
        self
    }

    /// Takes the next value, and returns true if it is an anomaly.
    pub fn check(&mut self, value: f64) -> bool {
        self.update(value).anomaly
    }

    /// Takes the next value, and returns its score against the values before it.
    pub fn update(&mut self, value: f64) -> Score {
        self.rule.update(&mut self.last, value)
    }

    /// Returns the score of `value` against the values so far, without taking it.
    #[must_use]
    pub fn score(&self, value: f64) -> Score {
        self.rule.score(&self.last, value)
    }

    /// Returns the median of the last values.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.last.0.percentile(50.0)
    }

    /// Returns the median of their distances from the median, not scaled.
    #[must_use]
    pub fn median_absolute_deviation(&self) -> Option<f64> {
        finite(self.last.0.median_distance(self.median()?)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::last::{LastMoments, LastValues, NORMAL_QUARTILE, TrackedStatistics};
    use super::*;

    const NOTHING: Score = Score { zscore: None, anomaly: false };

    #[test]
    fn third_value_is_the_first_with_a_score() {
        let mut detector = ZScoreAnomalyDetector::new(3.0);
        assert_eq!(detector.update(1.0), NOTHING);
        assert_eq!(detector.update(3.0), NOTHING);
        let score = Score { zscore: Some(5.0 / 2.0_f64.sqrt()), anomaly: true };
        assert_eq!((detector.score(7.0), detector.update(7.0)), (score, score));
        assert_eq!(detector.moments().count(), 3);
        let mut patient = ZScoreAnomalyDetector::new(3.0).with_warmup(4);
        assert!([1.0, 3.0, 7.0, 100.0].iter().all(|value| patient.update(*value) == NOTHING));
        assert!(patient.update(0.0).zscore.is_some());
    }

    #[test]
    fn without_deviation_only_the_equal_value_has_a_score() {
        let mut detector = ZScoreAnomalyDetector::new(3.0).learn_anomalies(false);
        let mut robust = RobustZScore::new(3.0, 10).unwrap().learn_anomalies(false);
        for detect in [&mut |value| detector.update(value), &mut |value| robust.update(value)]
            as [&mut dyn FnMut(f64) -> Score; 2]
        {
            detect(5.0);
            detect(5.0);
            assert_eq!(detect(5.0), Score { zscore: Some(0.0), anomaly: false });
            let other = Score { zscore: None, anomaly: true };
            assert_eq!((detect(5.5), detect(5.5)), (other, other), "it was not learned");
        }
    }

    #[test]
    fn equal_values_have_score_0() {
        for value in [0.1, -1.0 / 3.0, 1e-300, 123_456.789, 5e-324] {
            let mut all = ZScoreAnomalyDetector::new(0.0);
            let mut last = (
                ZScoreRule::new(0.0),
                LastMoments(LastValues::new(7, TrackedStatistics::MOMENTS)),
                RobustZScore::new(0.0, 7).unwrap(),
            );
            // Values that have left the window leave no rounding error in the mean of equal values.
            [1e16, -3.7].iter().for_each(|wild| {
                last.1.learn(*wild);
                last.2.update(*wild);
            });
            for at in 0..1000 {
                let same = Score { zscore: Some(0.0), anomaly: false };
                let found =
                    (all.update(value), last.0.update(&mut last.1, value), last.2.update(value));
                if at >= 7 {
                    assert_eq!(found, (same, same, same), "{value}, the {at}th");
                }
            }
        }
    }

    #[test]
    fn anomalies_are_learned_by_default() {
        let after = |learn| {
            let mut detector = ZScoreAnomalyDetector::new(3.0).learn_anomalies(learn);
            for value in [1.0, 2.0, 3.0, 1000.0] {
                detector.check(value);
            }
            detector.moments().count()
        };
        assert_eq!((after(true), after(false)), (4, 3));
    }

    #[test]
    fn values_that_are_not_finite_or_overflow_have_no_score() {
        let mut detector = ZScoreAnomalyDetector::new(1.0);
        let mut robust = RobustZScore::new(1.0, 3).unwrap();
        for value in [f64::NAN, f64::INFINITY, f64::MAX, -f64::MAX, f64::MAX, -f64::MAX, 0.0, 1.0] {
            assert_eq!(detector.update(value).zscore, None);
            assert!(robust.update(value).zscore.is_none_or(f64::is_finite));
        }
        assert!(RobustZScore::new(1.0, 0).is_err());
        assert!(!ZScoreAnomalyDetector::new(f64::NAN).check(1.0));
    }

    #[test]
    fn median_deviation_covers_only_the_last_values() {
        let mut detector = RobustZScore::new(3.5, 5).unwrap();
        for value in [1e9, 1.0, 1.0, 2.0, 2.0, 4.0] {
            detector.update(value);
        }
        assert_eq!(detector.median(), Some(2.0));
        assert_eq!(detector.median_absolute_deviation(), Some(1.0));
        assert_eq!(detector.score(5.0).zscore, Some(3.0 / (1.0 / NORMAL_QUARTILE)));
    }

    proptest! {
        #[test]
        fn median_distance_equals_that_of_a_sorted_list(
            size in 1_usize..30,
            values in prop::collection::vec(prop_oneof![-9..9_i32, -1000..1000_i32].prop_map(|n| f64::from(n) / 8.0), 1..60),
        ) {
            let mut detector = RobustZScore::new(3.0, size).unwrap();
            for end in 1..=values.len() {
                detector.update(values[end - 1]);
                let window = &values[end.saturating_sub(size)..end];
                let median = |mut values: Vec<f64>| {
                    values.sort_by(f64::total_cmp);
                    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
                };
                let centre = median(window.to_vec());
                let due = median(window.iter().map(|value| (value - centre).abs()).collect());
                prop_assert_eq!(detector.median(), Some(centre));
                prop_assert_eq!(detector.median_absolute_deviation(), Some(due));
            }
        }
    }
}
