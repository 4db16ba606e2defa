//! RFC 3339: times of the proleptic Gregorian calendar as text.

use super::{MICROS_PER_SECOND, TimeError, in_range};

const SECONDS_PER_DAY: i64 = 86_400;

/// The number of a leap second in its minute.
const LEAP_SECOND: i64 = 60;

/// A time that was read from text.
/// ```
/// use stream_processor_core::time::{TimeUnit, parse_time_text};
/// assert!(parse_time_text(b"2024-05-01 12:00:00", TimeUnit::Ms)?.is_local);
/// assert!(!parse_time_text(b"2024-05-01 12:00:00Z", TimeUnit::Ms)?.is_local);
/// # Ok::<(), stream_processor_core::time::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeText {
    /// Microseconds since the epoch; a local time is taken as UTC.
    pub micros: i64,
    /// True if the text has a date, but neither an offset nor a zone.
    pub is_local: bool,
}

/// Parses an RFC 3339 time to microseconds since the epoch. Further digits are cut off, which
/// rounds down.
///
/// It accepts more than RFC 3339:
/// - a space or a lower-case `t` before the time of day, no seconds, and a decimal comma;
/// - no offset (UTC is assumed), `z`, ` UTC`, ` GMT`, the offsets `+00` and `+0200`, and a space
///   before an offset;
/// - the leap second 23:59:60 of UTC, which is the first instant of the next minute;
/// - a date alone (midnight), also as `YYYYMMDD` in the years 1900 to 2199;
/// - years beyond 9999 or before 0 as `±YYYYYY`.
///
/// ```
/// # use stream_processor_core::time::{TimeError, parse_rfc3339};
/// assert_eq!(parse_rfc3339(b"1970-01-01T01:00:00.25+01:00"), Ok(250_000));
/// assert_eq!(parse_rfc3339(b"yesterday"), Err(TimeError::Invalid));
/// ```
///
/// # Errors
///
/// [`TimeError::Invalid`] for text of another form and for dates and times of day that do not
/// exist, [`TimeError::OutOfRange`] for times beyond [`MIN_TIME`](crate::time::MIN_TIME) and
/// [`MAX_TIME`](crate::time::MAX_TIME).
#[inline]
pub fn parse_rfc3339(text: &[u8]) -> Result<i64, TimeError> {
    parse(text).map(|time| time.micros)
}

/// Parses a time as [`parse_rfc3339`] does, and tells local times.
#[inline]
pub(super) fn parse(text: &[u8]) -> Result<TimeText, TimeError> {
    if let Some((date, rest)) = text.split_first_chunk::<10>()
        && let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *date
        && let Some((high, low)) = two_digits(y0, y1).zip(two_digits(y2, y3))
    {
        let days = days_of(high * 100 + low, two_digits(m0, m1), two_digits(d0, d1))?;
        return in_day(days, rest);
    }
    parse_unusual_date(text)
}

/// Parses a time whose date is `YYYYMMDD`, or whose year has a sign and six digits.
#[cold]
fn parse_unusual_date(text: &[u8]) -> Result<TimeText, TimeError> {
    if let Some((date, rest)) = text.split_first_chunk::<8>()
        && let Some(days) = compact_days(*date)
    {
        return in_day(days, rest);
    }
    let (date, rest) = text.split_first_chunk::<13>().ok_or(TimeError::Invalid)?;
    let [sign, y0, y1, y2, y3, y4, y5, b'-', m0, m1, b'-', d0, d1] = *date else {
        return Err(TimeError::Invalid);
    };
    let pairs = [two_digits(y0, y1), two_digits(y2, y3), two_digits(y4, y5)];
    let [Some(high), Some(middle), Some(low)] = pairs else { return Err(TimeError::Invalid) };
    let magnitude = (high * 100 + middle) * 100 + low;
    let year = match sign {
        b'+' => magnitude,
        // As in ECMAScript, there is no year -0.
        b'-' if magnitude != 0 => -magnitude,
        _ => return Err(TimeError::Invalid),
    };
    in_day(days_of(year, two_digits(m0, m1), two_digits(d0, d1))?, rest)
}

/// Returns the days from the epoch to a date of the form `YYYYMMDD`. `None` unless it is a date of
/// the years 1900 to 2199: any other eight digits are a number.
pub(super) fn compact_days(date: [u8; 8]) -> Option<i64> {
    let [y0, y1, y2, y3, m0, m1, d0, d1] = date;
    let year = two_digits(y0, y1)? * 100 + two_digits(y2, y3)?;
    let days = days_of(year, two_digits(m0, m1), two_digits(d0, d1)).ok()?;
    (1900..=2199).contains(&year).then_some(days)
}

/// Parses the time of day and the offset after a date, which is `days` after the epoch.
#[inline]
fn in_day(days: i64, text: &[u8]) -> Result<TimeText, TimeError> {
    let (second, micros, offset) = match *text {
        [] => (0, 0, None),
        [b'T' | b't' | b' ', h0, h1, b':', m0, m1, ref rest @ ..] => {
            let minute = minute_of(two_digits(h0, h1), two_digits(m0, m1))?;
            let (second, micros, rest) = seconds(rest)?;
            let offset = offset_seconds(rest)?;
            let is_leap = second == LEAP_SECOND;
            if is_leap && (minute * 60 + second - offset.unwrap_or(0)) % SECONDS_PER_DAY != 0 {
                return Err(TimeError::Invalid);
            }
            (minute * 60 + second, micros, offset)
        }
        _ => return Err(TimeError::Invalid),
    };
    let seconds = days * SECONDS_PER_DAY + second - offset.unwrap_or(0);
    // Years have six digits at most, so only the conversion to microseconds can overflow.
    let time = seconds.checked_mul(MICROS_PER_SECOND).and_then(|time| time.checked_add(micros));
    let micros = time.ok_or(TimeError::OutOfRange).and_then(in_range)?;
    Ok(TimeText { micros, is_local: offset.is_none() })
}

/// Parses an optional `:ss` with a fraction. Returns seconds, microseconds, and the rest of the
/// text.
#[inline]
fn seconds(text: &[u8]) -> Result<(i64, i64, &[u8]), TimeError> {
    let [b':', s0, s1, rest @ ..] = text else { return Ok((0, 0, text)) };
    let second = two_digits(*s0, *s1).filter(|&second| second <= LEAP_SECOND);
    let second = second.ok_or(TimeError::Invalid)?;
    let [b'.' | b',', fraction @ ..] = rest else { return Ok((second, 0, rest)) };
    let mut rest = fraction;
    let mut micros = 0;
    let mut scale = MICROS_PER_SECOND;
    let mut any = false;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        // After the sixth digit the scale is 0: further digits are cut off, which rounds down.
        scale /= 10;
        micros += i64::from(digit - b'0') * scale;
        any = true;
        rest = after;
    }
    if any { Ok((second, micros, rest)) } else { Err(TimeError::Invalid) }
}

/// Parses an offset up to the end of the text, and returns seconds east of UTC; `None` if there is
/// no text.
#[inline]
fn offset_seconds(text: &[u8]) -> Result<Option<i64>, TimeError> {
    match *text {
        [] => Ok(None),
        [b'Z' | b'z'] => Ok(Some(0)),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => signed_offset(sign, [h0, h1, m0, m1]),
        _ => unusual_offset(text),
    }
}

/// Parses the offsets that RFC 3339 does not have: `+02`, `+0200`, ` UTC`, ` GMT` and those after a
/// space.
#[cold]
fn unusual_offset(text: &[u8]) -> Result<Option<i64>, TimeError> {
    match *text.strip_prefix(b" ").unwrap_or(text) {
        [b'U', b'T', b'C'] | [b'G', b'M', b'T'] if text.len() == 4 => Ok(Some(0)),
        [sign @ (b'+' | b'-'), h0, h1] => signed_offset(sign, [h0, h1, b'0', b'0']),
        [sign @ (b'+' | b'-'), h0, h1, m0, m1] | [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            signed_offset(sign, [h0, h1, m0, m1])
        }
        _ => Err(TimeError::Invalid),
    }
}

#[inline]
fn signed_offset(sign: u8, [h0, h1, m0, m1]: [u8; 4]) -> Result<Option<i64>, TimeError> {
    let minutes = minute_of(two_digits(h0, h1), two_digits(m0, m1))?;
    Ok(Some(if sign == b'-' { -minutes * 60 } else { minutes * 60 }))
}

#[inline]
fn minute_of(hour: Option<i64>, minute: Option<i64>) -> Result<i64, TimeError> {
    match (hour, minute) {
        (Some(hour @ 0..=23), Some(minute @ 0..=59)) => Ok(hour * 60 + minute),
        _ => Err(TimeError::Invalid),
    }
}

#[inline]
fn two_digits(high: u8, low: u8) -> Option<i64> {
    let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
    (high <= 9 && low <= 9).then(|| i64::from(high * 10 + low))
}

/// Returns the days from the epoch to a date of the proleptic Gregorian calendar.
///
/// After Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, eras have
/// 400 years.
#[inline]
pub(crate) fn days_of(year: i64, month: Option<i64>, day: Option<i64>) -> Result<i64, TimeError> {
    let (Some(month @ 1..=12), Some(day)) = (month, day) else { return Err(TimeError::Invalid) };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=last).contains(&day) {
        return Err(TimeError::Invalid);
    }
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    Ok(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
        - 719_468)
}

/// Appends a time in microseconds since the epoch as RFC 3339 in UTC, with as many fraction digits
/// as it needs.
///
/// Years outside 0 to 9999 are written as `±YYYYYY`. [`NULL_TIME`](crate::time::NULL_TIME) is not treated specially; the
/// caller must handle it.
pub fn write_rfc3339(time: i64, out: &mut Vec<u8>) {
    let (seconds, micros) =
        (time.div_euclid(MICROS_PER_SECOND), time.rem_euclid(MICROS_PER_SECOND));
    let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = date_of(days);
    if (0..=9999).contains(&year) {
        write_digits::<4>(year, out);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        write_digits::<6>(year.abs(), out);
    }
    out.push(b'-');
    write_digits::<2>(month, out);
    out.push(b'-');
    write_digits::<2>(day, out);
    out.push(b'T');
    write_digits::<2>(second / 3_600, out);
    out.push(b':');
    write_digits::<2>(second / 60 % 60, out);
    out.push(b':');
    write_digits::<2>(second % 60, out);
    if micros != 0 {
        out.push(b'.');
        write_digits::<6>(micros, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'Z');
}

/// Returns the date `days` after the epoch: year, month, day. The inverse of [`days_of`].
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Appends the last `N` digits of `value`, which is not negative.
fn write_digits<const N: usize>(mut value: i64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{MAX_TIME, MIN_TIME};

    fn printed(time: i64) -> String {
        let mut out = Vec::new();
        write_rfc3339(time, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc_3339_is_read_to_the_microsecond() {
        const T: i64 = 1_700_000_000_000_000;
        for (text, time) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-11-14T22:13:20Z", T),
            ("2023-11-14t22:13:20z", T),
            ("2023-11-14 22:13:20", T),
            ("2023-11-14T22:13:20.5Z", T + 500_000),
            ("2023-11-14T22:13:20.123456Z", T + 123_456),
            ("2023-11-14T22:13:20.123456999999999Z", T + 123_456),
            ("2023-11-15T00:13:20+02:00", T),
            ("2023-11-14T16:43:20-05:30", T),
            ("2023-11-14T22:13Z", T - 20_000_000),
            ("2023-11-14", 1_699_920_000_000_000),
            ("20231114", 1_699_920_000_000_000),
            ("20231114T22:13:20Z", T),
            ("2023-11-14T22:13:20,5Z", T + 500_000),
            ("2023-11-14 22:13:20 UTC", T),
            ("2023-11-14 22:13:20.5 GMT", T + 500_000),
            ("2023-11-14 22:13:20+00", T),
            ("2023-11-15 00:13:20+02", T),
            ("2023-11-15T00:13:20+0200", T),
            ("2023-11-15 00:13:20 +0200", T),
            ("2023-11-15 00:13:20 +02:00", T),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
            ("2016-12-31T23:59:60", 1_483_228_800_000_000),
            ("2016-12-31T23:59:60.25Z", 1_483_228_800_250_000),
            ("2017-01-01T01:59:60+02:00", 1_483_228_800_000_000),
            ("2016-12-31T15:59:60-0800", 1_483_228_800_000_000),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("1969-12-31T23:59:59Z", -1_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
            ("+002023-11-14T22:13:20Z", T),
            ("-000001-12-31T00:00:00Z", -62_167_305_600_000_000),
            ("+275760-09-13T00:00:00Z", MAX_TIME),
            ("-271821-04-20T00:00:00Z", MIN_TIME),
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), Ok(time), "{text}");
        }
    }

    #[test]
    fn invalid_times_are_rejected() {
        for text in [
            "",
            "2023",
            "2023-11-1",
            "2023-13-01",
            "2023-00-01",
            "2023-11-31",
            "2023-11-00",
            "1900-02-29",
            "2023-02-29T00:00:00Z",
            "2023-11-14T",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:60:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:2Z",
            "2023-11-14T22:13:20+2:00",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20Zx",
            "2023-11-14T22Z",
            "2023/11/14",
            "2023-11-14T22:59:60Z",
            "2016-12-31T23:59:60+01:00",
            "2016-12-31T23:59:61Z",
            "2023-11-14T22:13:20UTC",
            "2023-11-14T22:13:20  UTC",
            "2023-11-14T22:13:20 CET",
            "2023-11-14T22:13:20 Z",
            "2023-11-14T22:13:20+020",
            "2023-11-14T22:13:20+2400",
            "20231301",
            "18991231",
            "22000101",
            "202311140",
            "-000000-01-01",
            "+02023-11-14",
            "２０２３-11-14",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), Err(TimeError::Invalid), "{text}");
        }
        for text in ["+275760-09-13T00:00:00.000001Z", "-271821-04-19T23:59:59Z", "+999999-01-01"] {
            assert_eq!(parse_rfc3339(text.as_bytes()), Err(TimeError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn times_print_with_the_digits_they_need() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000_123_000, "2023-11-14T22:13:20.123Z"),
            (1_700_000_000_000_001, "2023-11-14T22:13:20.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (MAX_TIME, "+275760-09-13T00:00:00Z"),
            (MIN_TIME, "-271821-04-20T00:00:00Z"),
            (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
        ] {
            assert_eq!(printed(time), text);
        }
    }
}
