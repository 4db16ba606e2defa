//! Event time in chrono's form and in microseconds.

use chrono::{DateTime, Utc};

/// Returns microseconds since the epoch, rounded down.
#[inline]
pub(crate) fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// Returns the time at `micros`; beyond the range of chrono, its first or last one.
pub(crate) fn date_time(micros: i64) -> DateTime<Utc> {
    let outermost = if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp_micros(micros).unwrap_or(outermost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_round_down() {
        let time = DateTime::from_timestamp(-1, 999_999_999).unwrap();
        assert_eq!(micros(time), -1);
        assert_eq!(date_time(-1), DateTime::from_timestamp(-1, 999_999_000).unwrap());
    }

    #[test]
    fn times_beyond_chrono_are_its_ends() {
        assert_eq!(date_time(i64::MIN), DateTime::<Utc>::MIN_UTC);
        assert_eq!(date_time(i64::MAX), DateTime::<Utc>::MAX_UTC);
    }
}
