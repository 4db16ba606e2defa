//! Event times: microseconds since the epoch, parsed from text and formatted as text.

mod in_place;
mod rfc3339;

pub use in_place::from_ms_in_place;
pub use rfc3339::{TimeText, parse_rfc3339, write_rfc3339};
pub(crate) use rfc3339::{date_of, days_of};

use crate::number::{Decimal, ScannedNumber, scan_json_number};

/// Marks a missing time in a column of times.
pub const NULL_TIME: i64 = i64::MIN;

/// The earliest event time in microseconds since the epoch: the minimum of a JavaScript Date.
pub const MIN_TIME: i64 = -MAX_TIME;

/// The latest event time in microseconds since the epoch: the maximum of a JavaScript Date.
pub const MAX_TIME: i64 = 8_640_000_000_000_000_000;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The unit of a numeric time.
/// ```
/// use stream_processor_core::time::{TimeUnit, parse_decimal_time};
/// assert_eq!(parse_decimal_time(b"1.5", TimeUnit::S), Ok(1_500_000));
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    #[default]
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    /// Returns the power of ten that converts this unit to microseconds.
    fn exponent(self) -> i32 {
        match self {
            Self::S => 6,
            Self::Ms => 3,
            Self::Us => 0,
            Self::Ns => -3,
        }
    }
}

/// Error: a value is not an event time.
/// ```
/// use stream_processor_core::time::{TimeError, TimeUnit, parse_decimal_time};
/// assert_eq!(parse_decimal_time(b"1e30", TimeUnit::S), Err(TimeError::OutOfRange));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is not a time.
    #[error("not a time")]
    Invalid,
    /// The time is before [`MIN_TIME`] or after [`MAX_TIME`].
    #[error("a time outside the years -271821 to 275760")]
    OutOfRange,
}

/// Parses a decimal number of `unit` since the epoch exactly, and returns microseconds, rounded
/// down.
///
/// The text is a JSON number in any spelling.
///
/// ```
/// # use stream_processor_core::time::{TimeUnit, parse_decimal_time};
/// assert_eq!(parse_decimal_time(b"1700000000.1234567", TimeUnit::S), Ok(1_700_000_000_123_456));
/// ```
///
/// # Errors
///
/// [`TimeError::Invalid`] if the text is not a decimal number, [`TimeError::OutOfRange`] for times
/// beyond [`MIN_TIME`] and [`MAX_TIME`].
#[inline]
pub fn parse_decimal_time(text: &[u8], unit: TimeUnit) -> Result<i64, TimeError> {
    let mut number = ScannedNumber::default();
    if scan_json_number(text, 0, &mut number) == Ok(text.len()) {
        scanned_time(&number, text, unit)
    } else {
        exact_time(text, unit)
    }
}

/// Parses a time from text: a date with a time of day as [`parse_rfc3339`] does, or a decimal number
/// of `unit` since the epoch.
///
/// Eight digits that are a date of the years 1900 to 2199 are that date, `YYYYMMDD`.
///
/// ```
/// # use stream_processor_core::time::{TimeUnit, parse_time_text};
/// let day = parse_time_text(b"20240131", TimeUnit::S)?;
/// assert_eq!(day.micros, parse_time_text(b"1706659200", TimeUnit::S)?.micros);
/// # Ok::<(), stream_processor_core::time::TimeError>(())
/// ```
///
/// # Errors
///
/// As [`parse_rfc3339`].
#[inline]
pub fn parse_time_text(text: &[u8], unit: TimeUnit) -> Result<TimeText, TimeError> {
    if let Some(date) = text.first_chunk::<8>()
        && text.len() == 8
        && rfc3339::compact_days(*date).is_some()
    {
        return rfc3339::parse(text);
    }
    match parse_decimal_time(text, unit) {
        Err(TimeError::Invalid) => rfc3339::parse(text),
        time => time.map(|micros| TimeText { micros, is_local: false }),
    }
}

/// Returns the time of a scanned number, whose text is `text`.
#[inline]
pub(crate) fn scanned_time(
    number: &ScannedNumber,
    text: &[u8],
    unit: TimeUnit,
) -> Result<i64, TimeError> {
    let scaled = number.plain_integer().and_then(|integer| match unit {
        TimeUnit::S => integer.checked_mul(1_000_000),
        TimeUnit::Ms => integer.checked_mul(1_000),
        TimeUnit::Us => Some(integer),
        TimeUnit::Ns => Some(integer.div_euclid(1_000)),
    });
    match scaled {
        Some(time) => in_range(time),
        None => exact_time(text, unit),
    }
}

/// Parses a number of any spelling and length, digit by digit.
#[cold]
fn exact_time(text: &[u8], unit: TimeUnit) -> Result<i64, TimeError> {
    let number = Decimal::parse(text).ok_or(TimeError::Invalid)?;
    if number.is_zero() {
        return Ok(0);
    }
    // The microseconds are 0.DIGITS · 10^point.
    let point = number.point().saturating_add(unit.exponent());
    let whole_digits = match usize::try_from(point) {
        Ok(whole @ 0..=19) => whole,
        Ok(_) => return Err(TimeError::OutOfRange),
        Err(_) => 0,
    };
    let digits = number.digits().chain(core::iter::repeat(0));
    let magnitude =
        digits.take(whole_digits).fold(0_i128, |sum, digit| sum * 10 + i128::from(digit));
    let has_fraction = number.digit_count() > whole_digits;
    let time = if number.is_negative() { -magnitude - i128::from(has_fraction) } else { magnitude };
    i64::try_from(time).map_err(|_| TimeError::OutOfRange).and_then(in_range)
}

/// Converts JavaScript milliseconds to the nearest microsecond; halves are rounded up, as by
/// `Math.round`.
///
/// ```
/// # use stream_processor_core::time::{TimeError, from_ms_f64};
/// assert_eq!(from_ms_f64(1.5), Ok(1_500));
/// assert_eq!(from_ms_f64(f64::NAN), Err(TimeError::Invalid));
/// ```
///
/// # Errors
///
/// [`TimeError::Invalid`] for NaN, [`TimeError::OutOfRange`] for the infinities and for times
/// beyond [`MIN_TIME`] and [`MAX_TIME`].
#[inline]
pub fn from_ms_f64(milliseconds: f64) -> Result<i64, TimeError> {
    if milliseconds.is_nan() {
        return Err(TimeError::Invalid);
    }
    if milliseconds.abs() > 8.64e15 {
        return Err(TimeError::OutOfRange);
    }
    // Whole milliseconds are exact in both types; only the fraction is rounded.
    let whole = milliseconds.floor();
    let micros = (milliseconds - whole) * 1_000.0;
    let floor = micros.floor();
    let up = i64::from(micros - floor >= 0.5);
    in_range(in_i64(whole) * 1_000 + in_i64(floor) + up)
}

/// Converts a time to JavaScript milliseconds, the nearest Number.
///
/// ```
/// # use stream_processor_core::time::to_ms_f64;
/// assert_eq!(to_ms_f64(-1_500), -1.5);
/// ```
#[inline]
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "whole milliseconds of an i64 are below 2^54; what is lost is beyond f64"
)]
pub fn to_ms_f64(time: i64) -> f64 {
    // Divided first: beyond 2^53 microseconds, converting first would lose whole milliseconds.
    time.div_euclid(1_000) as f64 + time.rem_euclid(1_000) as f64 / 1_000.0
}

#[allow(clippy::cast_possible_truncation, reason = "the callers pass whole numbers below 2^53")]
fn in_i64(whole: f64) -> i64 {
    whole as i64
}

#[inline]
fn in_range(time: i64) -> Result<i64, TimeError> {
    if (MIN_TIME..=MAX_TIME).contains(&time) { Ok(time) } else { Err(TimeError::OutOfRange) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_and_floored() {
        use TimeUnit::{Ms, Ns, S, Us};
        for (text, unit, time) in [
            ("1700000000123", Ms, 1_700_000_000_123_000),
            ("1700000000", S, 1_700_000_000_000_000),
            ("1700000000.9999999", S, 1_700_000_000_999_999),
            ("1.7000000001234567e9", S, 1_700_000_000_123_456),
            ("1700000000123456789", Ns, 1_700_000_000_123_456),
            ("-1", Ns, -1),
            ("-1000", Ns, -1),
            ("-1001", Ns, -2),
            ("-0.0000001", S, -1),
            ("0.0000001", S, 0),
            ("-1.5", Us, -2),
            ("0.1", Ms, 100),
            ("0e99999999999", S, 0),
            ("17e11", Ms, 1_700_000_000_000_000),
            ("1e-99999999999", S, 0),
            ("-1e-99999999999", S, -1),
            ("8640000000000000", Ms, MAX_TIME),
            ("+5", Us, 5),
        ] {
            assert_eq!(parse_decimal_time(text.as_bytes(), unit), Ok(time), "{text}");
        }
        for (text, unit) in [
            ("8640000000000000.001", Ms),
            ("-8640000000000000.0001", Ms),
            ("9223372036854775807", Us),
            ("99999999999999999999999", Us),
            ("1e99999999999", S),
            ("18446744073709551615", S),
        ] {
            assert_eq!(parse_decimal_time(text.as_bytes(), unit), Err(TimeError::OutOfRange));
        }
        assert_eq!(parse_decimal_time(b"2023-11-14", Ms), Err(TimeError::Invalid));
        assert_eq!(parse_decimal_time(b"", Ms), Err(TimeError::Invalid));
    }

    #[test]
    fn javascript_numbers_are_rounded() {
        for (milliseconds, time) in [
            (0.0, 0),
            (1_700_000_000_123.0, 1_700_000_000_123_000),
            (1.5, 1_500),
            (0.0005, 1),
            (0.0004, 0),
            (-0.0005, 0),
            (-0.0006, -1),
            (-1.25, -1_250),
            (1_700_000_000_123.456, 1_700_000_000_123_456),
            (8.64e15, MAX_TIME),
            (-8.64e15, MIN_TIME),
        ] {
            assert_eq!(from_ms_f64(milliseconds), Ok(time), "{milliseconds}");
        }
        assert_eq!(from_ms_f64(f64::NAN), Err(TimeError::Invalid));
        for milliseconds in [f64::INFINITY, f64::NEG_INFINITY, 8.640_000_000_000_001e15, 1e300] {
            assert_eq!(from_ms_f64(milliseconds), Err(TimeError::OutOfRange));
        }
    }
}
