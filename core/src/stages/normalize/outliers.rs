//! Outlier detection: values too many standard deviations from the mean of the preceding values.

use std::collections::VecDeque;

use crate::spec::{OutlierAction, Outliers};

/// Minimum number of preceding values.
const MIN_VALUES: usize = 2;

/// The last values of one field of one key, including outliers, so that a level shift becomes
/// normal.
#[derive(Debug, Default)]
pub(super) struct RecentValues {
    pub(super) values: VecDeque<f64>,
}

impl RecentValues {
    /// Judges `value` by the preceding values and then records it. Returns the value that counts,
    /// and true if it is an outlier.
    pub(super) fn judge(&mut self, rule: Outliers, value: f64) -> (Option<f64>, bool) {
        let bounds = self.bounds(rule.zscore);
        if self.values.len() >= rule.window as usize {
            self.values.pop_front();
        }
        self.values.push_back(value);
        let Some((low, high)) = bounds.filter(|(low, high)| value < *low || value > *high) else {
            return (Some(value), false);
        };
        let result = match rule.action {
            OutlierAction::Drop => None,
            OutlierAction::Flag => Some(value),
            OutlierAction::Clip => Some(value.max(low).min(high)),
        };
        (result, true)
    }

    /// Returns the smallest and largest value that is no outlier. Returns `None` if there are too
    /// few values or the bounds overflow.
    fn bounds(&self, zscore: f64) -> Option<(f64, f64)> {
        if self.values.len() < MIN_VALUES {
            return None;
        }
        let count = f64::from(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        let mean = self.mean(count);
        let squares: f64 = self.values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let reach = zscore * (squares / (count - 1.0)).sqrt();
        let bounds = (mean - reach, mean + reach);
        (bounds.0.is_finite() && bounds.1.is_finite()).then_some(bounds)
    }

    /// Returns the mean of the `count` values: exactly their value if all are equal.
    ///
    /// The rounded sum may be off by some units in the last place. That exceeds the deviation of
    /// nearly equal values. The mean distance of the values from this first result is added; such
    /// distances are exact.
    fn mean(&self, count: f64) -> f64 {
        let near = self.values.iter().sum::<f64>() / count;
        near + self.values.iter().map(|value| value - near).sum::<f64>() / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(action: OutlierAction, values: &[f64]) -> Vec<(Option<f64>, bool)> {
        let mut recent = RecentValues::default();
        let rule = Outliers { zscore: 3.0, window: 4, action };
        values.iter().map(|value| recent.judge(rule, *value)).collect()
    }

    #[test]
    fn values_far_from_preceding_mean_are_outliers() {
        let values = [1.0, 3.0, 1.0, 3.0, 50.0, 2.0];
        let last = |action| judged(action, &values)[4];
        assert_eq!(last(OutlierAction::Drop), (None, true));
        assert_eq!(last(OutlierAction::Flag), (Some(50.0), true));
        assert_eq!(last(OutlierAction::Clip), (Some(2.0 + 3.0 * (4.0_f64 / 3.0).sqrt()), true));
        let others = judged(OutlierAction::Drop, &values);
        assert!(others.iter().enumerate().all(|(at, (_, outlier))| *outlier == (at == 4)));
    }

    #[test]
    fn first_two_values_are_never_outliers_and_zero_deviation_flags_any_change() {
        assert!(judged(OutlierAction::Drop, &[1.0, 1e9]).iter().all(|(_, outlier)| !outlier));
        let constant = judged(OutlierAction::Flag, &[5.0, 5.0, 5.0, 6.0, 6.0, 6.0]);
        let outliers: Vec<bool> = constant.iter().map(|(_, outlier)| *outlier).collect();
        assert_eq!(outliers, [false, false, false, true, false, false]);
    }

    #[test]
    fn equal_values_are_never_outliers() {
        for value in [0.1, -0.1, 1.0 / 3.0, 1e-300, 123_456.789, 1e300, 5e-324] {
            for window in [2, 7, 100, 1000] {
                let mut recent = RecentValues::default();
                let rule = Outliers { zscore: 1e-9, window, action: OutlierAction::Clip };
                let all = [value; 2100].map(|value| recent.judge(rule, value));
                assert_eq!(all, [(Some(value), false); 2100], "{value}, window {window}");
            }
        }
    }

    #[test]
    fn value_near_mean_of_nearly_equal_values_is_no_outlier() {
        let mut recent = RecentValues::default();
        let rule = Outliers { zscore: 0.5, window: 100, action: OutlierAction::Flag };
        let next = 0.1_f64.next_up();
        recent.judge(rule, next);
        // 0.1 is a tenth of a deviation from the mean of 99 values 0.1 and its neighbour.
        let last = (0..99).map(|_| recent.judge(rule, 0.1)).last();
        assert_eq!(last, Some((Some(0.1), false)));
        assert!(recent.judge(rule, next).1, "it is ten deviations away");
    }

    #[test]
    fn values_whose_square_overflows_are_no_outliers() {
        assert!(judged(OutlierAction::Drop, &[1e300, -1e300, 1e308]).iter().all(|(_, out)| !out));
    }
}
