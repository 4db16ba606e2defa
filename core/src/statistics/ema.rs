//! Exponential moving averages.

use core::f64::consts::LN_2;

use super::StatisticsError;

/// An exponential moving average: each value moves it by `alpha` of the distance. It starts at the
/// first value.
///
/// This is pandas' `ewm(..., adjust=False)`.
/// ```
/// use stream_processor_core::statistics::ExponentialMovingAverage;
///
/// let mut ema = ExponentialMovingAverage::with_span(3.0)?; // alpha = 0.5
/// assert_eq!(ema.value(), None);
/// for value in [10.0, 20.0, 30.0] {
///     ema.update(value);
/// }
/// assert_eq!(ema.value(), Some(22.5));
/// # Ok::<(), stream_processor_core::statistics::StatisticsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentialMovingAverage {
    alpha: f64,
    /// NaN before the first value.
    average: f64,
}

impl ExponentialMovingAverage {
    /// Creates an average with the weight `alpha` of each new value.
    ///
    /// # Errors
    /// [`StatisticsError::Alpha`] unless `alpha` is above 0 and at most 1.
    pub fn with_alpha(alpha: f64) -> Result<Self, StatisticsError> {
        if alpha > 0.0 && alpha <= 1.0 {
            return Ok(Self { alpha, average: f64::NAN });
        }
        Err(StatisticsError::Alpha(alpha))
    }

    /// Creates an average with `alpha = 2 / (span + 1)`: its values have the same mean age as those
    /// of a plain mean of the last `span`.
    ///
    /// # Errors
    /// [`StatisticsError::Span`] unless `span` is at least 1 and finite.
    pub fn with_span(span: f64) -> Result<Self, StatisticsError> {
        if span >= 1.0 && span.is_finite() {
            return Self::with_alpha(2.0 / (span + 1.0));
        }
        Err(StatisticsError::Span(span))
    }

    /// Creates an average with `alpha = 1 − 2^(−1 / values)`: a value has half its weight after so
    /// many more values.
    ///
    /// # Errors
    /// [`StatisticsError::HalfLife`] unless `values` is above 0 and finite.
    pub fn with_half_life(values: f64) -> Result<Self, StatisticsError> {
        if values > 0.0 && values.is_finite() {
            return Self::with_alpha(gain(1.0 / values));
        }
        Err(StatisticsError::HalfLife(values))
    }

    /// Takes the next value.
    #[inline]
    pub fn update(&mut self, value: f64) {
        if value.is_finite() {
            self.average = step(self.average, value, self.alpha);
        }
    }

    /// Returns the weight of a new value.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Returns the average; `None` without values.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        super::finite(self.average)
    }
}

/// An exponential moving average over time: a value loses half its weight in each half-life,
/// however many values arrive.
///
/// A value that is `step` after the latest timestamp moves the average by 1 − 2^(−step / half-life)
/// of the distance. A value at the same time, or an older one, has step 0 and does not move it.
/// This is pandas' `ewm(halflife=..., times=..., adjust=False)`, for times in order.
/// ```
/// use stream_processor_core::statistics::TimeAwareMovingAverage;
///
/// let mut ema = TimeAwareMovingAverage::with_half_life(10_000_000)?; // 10 s, in microseconds
/// ema.update(0, 10.0);
/// ema.update(10_000_000, 20.0);
/// assert_eq!(ema.value(), Some(15.0));
/// ema.update(4_000_000, 100.0); // out of order
/// assert_eq!(ema.value(), Some(15.0));
/// # Ok::<(), stream_processor_core::statistics::StatisticsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeAwareMovingAverage {
    half_life_us: f64,
    latest: i64,
    /// NaN before the first value.
    average: f64,
}

impl TimeAwareMovingAverage {
    /// Creates an average with a half-life in microseconds.
    ///
    /// # Errors
    /// [`StatisticsError::HalfLife`] unless `micros` is above 0.
    #[expect(clippy::cast_precision_loss, reason = "an ulp of a half-life is no matter")]
    pub fn with_half_life(micros: i64) -> Result<Self, StatisticsError> {
        let half_life_us = micros as f64;
        if micros > 0 {
            return Ok(Self { half_life_us, latest: i64::MIN, average: f64::NAN });
        }
        Err(StatisticsError::HalfLife(half_life_us))
    }

    pub(crate) fn half_life_us(&self) -> f64 {
        self.half_life_us
    }

    /// Takes the next value, with its `timestamp` in microseconds.
    pub fn update(&mut self, timestamp: i64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let alpha = time_gain(elapsed(self.latest, timestamp), self.half_life_us);
        self.average = step(self.average, value, alpha);
        self.latest = self.latest.max(timestamp);
    }

    /// Returns the average; `None` without values.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        super::finite(self.average)
    }
}

/// Returns the microseconds from `latest` to `timestamp`; 0 if `timestamp` is older.
#[inline(always)]
pub(crate) fn elapsed(latest: i64, timestamp: i64) -> u64 {
    if timestamp > latest { timestamp.abs_diff(latest) } else { 0 }
}

/// Returns the weight of a value that is `elapsed_us` after the latest one.
pub(crate) fn time_gain(elapsed_us: u64, half_life_us: f64) -> f64 {
    if elapsed_us == 0 { 0.0 } else { gain(super::number(elapsed_us) / half_life_us) }
}

/// Returns 1 − 2^(−half_lives), with full precision for small values.
fn gain(half_lives: f64) -> f64 {
    -libm::expm1(-half_lives * LN_2)
}

/// Returns `average` moved by `alpha` of the way to `value`; `value` if `average` is NaN.
#[inline(always)]
pub(crate) fn step(average: f64, value: f64, alpha: f64) -> f64 {
    let moved = average + alpha * (value - average);
    if moved.is_finite() { moved } else { step_apart(average, value, alpha) }
}

/// Handles the first value, and a distance that overflows.
#[cold]
fn step_apart(average: f64, value: f64, alpha: f64) -> f64 {
    if average.is_nan() { value } else { average * (1.0 - alpha) + value * alpha }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_from_alpha_span_or_half_life() {
        let alpha = |ema: Result<ExponentialMovingAverage, _>| ema.map(|ema| ema.alpha());
        assert_eq!(alpha(ExponentialMovingAverage::with_span(9.0)), Ok(0.2));
        assert_eq!(alpha(ExponentialMovingAverage::with_span(1.0)), Ok(1.0));
        assert_eq!(alpha(ExponentialMovingAverage::with_half_life(1.0)), Ok(0.5));
        let slow = alpha(ExponentialMovingAverage::with_half_life(1e9)).unwrap();
        assert!((slow / (LN_2 / 1e9) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn invalid_weights_are_errors() {
        for alpha in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(ExponentialMovingAverage::with_alpha(alpha).is_err());
        }
        for span in [0.9, f64::INFINITY, f64::NAN] {
            assert!(ExponentialMovingAverage::with_span(span).is_err());
            assert!(ExponentialMovingAverage::with_half_life(-span).is_err());
        }
        assert_eq!(
            TimeAwareMovingAverage::with_half_life(0).unwrap_err().to_string(),
            "the half-life is 0: it must be above 0"
        );
    }

    #[test]
    fn constant_series_keeps_its_average_and_values_that_are_not_finite_are_skipped() {
        let mut ema = ExponentialMovingAverage::with_span(7.0).unwrap();
        for value in [0.1, f64::NAN, 0.1, f64::INFINITY, 0.1, 0.1] {
            ema.update(value);
            assert_eq!(ema.value(), Some(0.1));
        }
    }

    #[test]
    fn extreme_values_have_a_finite_average() {
        let mut ema = ExponentialMovingAverage::with_alpha(0.5).unwrap();
        ema.update(f64::MAX);
        ema.update(-f64::MAX);
        assert_eq!(ema.value(), Some(0.0));
        let mut timed = TimeAwareMovingAverage::with_half_life(1).unwrap();
        timed.update(i64::MIN, f64::MAX);
        timed.update(i64::MAX, f64::MIN);
        assert_eq!(timed.value(), Some(f64::MIN));
    }

    #[test]
    fn regular_timestamps_equal_a_half_life_in_values() {
        let mut timed = TimeAwareMovingAverage::with_half_life(4_000).unwrap();
        let mut plain = ExponentialMovingAverage::with_half_life(4.0).unwrap();
        for at in 0..50_i32 {
            let value = f64::from(at * at % 13);
            timed.update(i64::from(at) * 1_000 - 9_000, value);
            plain.update(value);
            assert_eq!(timed.value(), plain.value());
        }
    }

    #[test]
    fn late_values_do_not_move_the_latest_timestamp_back() {
        let mut timed = TimeAwareMovingAverage::with_half_life(10).unwrap();
        timed.update(100, 0.0);
        timed.update(50, 8.0);
        timed.update(110, 8.0);
        assert_eq!(timed.value(), Some(4.0));
    }
}
