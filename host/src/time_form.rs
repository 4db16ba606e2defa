//! Event times in the form that `source.timestamp_format` and `source.timestamp_zone` describe.
//!
//! The engine reads neither option: the host reads such times, and the module gets their columns.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};
use stream_processor_core::spec::Source;
use stream_processor_core::text::ReadTime;
use stream_processor_core::time::{
    MAX_TIME, MIN_TIME, TimeError, TimeUnit, parse_decimal_time, parse_time_text,
};
use stream_processor_core::{Escaped, SpecError};

use crate::time_zones;

/// The microseconds of a second.
const MICROS: i64 = 1_000_000;

/// The time by which formats are checked.
const SAMPLE: Timestamp = Timestamp::UNIX_EPOCH;

/// The form of event times.
#[derive(Debug, Clone)]
pub(crate) struct TimeForm {
    /// The format of texts and numbers, as of strftime; `None`: the forms that the engine reads.
    format: Option<String>,
    /// The zone of times that name neither a zone nor an offset.
    zone: TimeZone,
    /// The name of the zone as the pipeline has it.
    zone_name: Option<String>,
    unit: TimeUnit,
}

impl fmt::Display for TimeForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.format {
            Some(format) => write!(f, "as {format:?}")?,
            None => f.write_str("RFC 3339, or a number")?,
        }
        match &self.zone_name {
            Some(zone) => write!(f, ", local times of {}", Escaped(zone)),
            None => Ok(()),
        }
    }
}

impl TimeForm {
    /// Takes the options of event times out of `source`. Returns `None` if it has none.
    ///
    /// # Errors
    /// The zone is unknown, the format has an unknown directive, or lacks the date.
    pub(crate) fn take(source: &mut Source) -> Result<Option<Self>, SpecError> {
        let (format, zone_name) = (source.timestamp_format.take(), source.timestamp_zone.take());
        if format.is_none() && zone_name.is_none() {
            return Ok(None);
        }
        let zone = zone_name.as_deref().map_or(Ok(TimeZone::UTC), zone_of)?;
        let form = Self { format, zone, zone_name, unit: source.timestamp_unit };
        if let Some(format) = &form.format {
            form.check(format)?;
        }
        Ok(Some(form))
    }

    /// Returns whether a format describes all event times.
    pub(crate) fn has_format(&self) -> bool {
        self.format.is_some()
    }

    /// Checks that a time in `format` can be read back.
    fn check(&self, format: &str) -> Result<(), SpecError> {
        let sample = SAMPLE.to_zoned_datetime(self.zone.clone());
        let parsed = strtime::format(format, &sample)
            .and_then(|text| BrokenDownTime::parse(format, text))
            .and_then(|time| {
                if has_instant(&time) {
                    time.to_timestamp().map(drop)
                } else {
                    time.to_datetime().map(drop)
                }
            });
        parsed.map_err(|error| {
            let message = format!(
                "{format:?} cannot be read: {error}; expected a format of strftime, such as \
                 \"%d/%m/%Y %H:%M:%S\""
            );
            SpecError::new("source.timestamp_format", message)
        })
    }

    fn in_format(&self, format: &str, text: &[u8]) -> Result<i64, TimeError> {
        let time = BrokenDownTime::parse(format, text).map_err(|_| TimeError::Invalid)?;
        let read = if has_instant(&time) {
            time.to_timestamp().map(micros).map_err(|_| TimeError::Invalid)?
        } else {
            self.instant(time.to_datetime().map_err(|_| TimeError::Invalid)?)?
        };
        // The parser reads a leap second as second 59.
        let is_leap_second = time.second() == Some(59) && has_second_60(format, text);
        Ok(if is_leap_second { (read.div_euclid(MICROS) + 1) * MICROS } else { read })
    }

    /// Returns the instant of a local time. A time in a gap moves forward by the length of the gap,
    /// and of two instants the earlier one counts.
    fn instant(&self, local: DateTime) -> Result<i64, TimeError> {
        let instant = self.zone.to_ambiguous_timestamp(local).compatible();
        instant.map(micros).map_err(|_| TimeError::OutOfRange)
    }
}

impl ReadTime for TimeForm {
    fn read_text(&self, text: &[u8]) -> Result<i64, TimeError> {
        if let Some(format) = &self.format {
            return self.in_format(format, text);
        }
        let time = parse_time_text(text, self.unit)?;
        if !time.is_local {
            return Ok(time.micros);
        }
        let local = Timestamp::from_microsecond(time.micros).map_err(|_| TimeError::OutOfRange)?;
        self.instant(Offset::UTC.to_datetime(local))
    }

    fn read_number(&self, text: &[u8]) -> Result<i64, TimeError> {
        match &self.format {
            Some(format) => self.in_format(format, text),
            None => parse_decimal_time(text, self.unit),
        }
    }
}

/// Returns true if the seconds of `text` are 60: another number in their place is read as such.
#[cold]
fn has_second_60(format: &str, text: &[u8]) -> bool {
    let mut places = text.windows(2).enumerate().filter(|(_, digits)| *digits == b"60");
    places.any(|(place, _)| {
        let mut other = text.to_vec();
        other.splice(place..place + 2, *b"58");
        BrokenDownTime::parse(format, other).is_ok_and(|time| time.second() == Some(58))
    })
}

/// Returns whether the text has an offset, or counts from the epoch.
fn has_instant(time: &BrokenDownTime) -> bool {
    time.offset().is_some() || time.timestamp().is_some()
}

fn micros(time: Timestamp) -> i64 {
    let micros = time.as_nanosecond().div_euclid(1_000);
    i64::try_from(micros).unwrap_or(MAX_TIME).clamp(MIN_TIME, MAX_TIME)
}

fn zone_of(name: &str) -> Result<TimeZone, SpecError> {
    let offset = || {
        let time = format!("1970-01-01T00:00:00{name}");
        let ahead = parse_time_text(time.as_bytes(), TimeUnit::S).ok()?.micros / -1_000_000;
        let offset = Offset::from_seconds(i32::try_from(ahead).ok()?).ok()?;
        Some(TimeZone::fixed(offset))
    };
    let zone = match name {
        "UTC" => Some(TimeZone::UTC),
        name if name.starts_with(['+', '-']) => offset(),
        name => time_zones::named(name),
    };
    zone.ok_or_else(|| time_zones::unknown("source.timestamp_zone", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(format: Option<&str>, zone: Option<&str>) -> Result<Option<TimeForm>, SpecError> {
        let mut source = Source {
            timestamp_format: format.map(Into::into),
            timestamp_zone: zone.map(Into::into),
            ..Source::default()
        };
        let form = TimeForm::take(&mut source);
        assert_eq!((source.timestamp_format, source.timestamp_zone), (None, None));
        form
    }

    #[test]
    fn form_is_described() {
        let described = |format, zone| form(format, zone).unwrap().unwrap().to_string();
        assert_eq!(described(Some("%Y%m%d"), None), "as \"%Y%m%d\"");
        assert_eq!(
            described(None, Some("Asia/Tokyo")),
            "RFC 3339, or a number, local times of Asia/Tokyo"
        );
    }

    fn read(format: Option<&str>, zone: Option<&str>, text: &str) -> Result<i64, TimeError> {
        let form = form(format, zone).unwrap().unwrap();
        form.read_text(text.as_bytes()).map(|micros| micros / 1_000_000)
    }

    #[test]
    fn format_reads_dates_offsets_and_epochs() {
        for (format, text, seconds) in [
            ("%d/%m/%Y %H:%M:%S", "14/11/2023 22:13:20", 1_700_000_000),
            ("%Y%m%d", "20231114", 1_699_920_000),
            ("%d/%b/%Y:%H:%M:%S %z", "15/Nov/2023:00:13:20 +0200", 1_700_000_000),
            ("%s", "1700000000", 1_700_000_000),
            ("%m/%d/%y %I:%M %p", "11/14/23 10:13 PM", 1_699_999_980),
            // A leap second is the first instant of the next minute, at whatever place it stands.
            ("%Y-%m-%d %H:%M:%S", "2016-12-31 23:59:60", 1_483_228_800),
            ("%S:%M:%H %d.%m.%Y", "60:59:23 31.12.2016", 1_483_228_800),
            ("%Y-%m-%dT%H:%M:%S%.f%z", "2017-01-01T00:59:60.5+0100", 1_483_228_800),
            ("id60 %Y-%m-%d %H:%M:%S", "id60 2016-12-31 23:59:59", 1_483_228_799),
        ] {
            assert_eq!(read(Some(format), None, text), Ok(seconds), "{format}");
        }
        assert_eq!(read(Some("%Y-%m-%d"), None, "14/11/2023"), Err(TimeError::Invalid));
        assert_eq!(read(Some("%Y-%m-%d"), None, "2023-02-29"), Err(TimeError::Invalid));
    }

    #[test]
    fn local_times_are_of_the_zone_and_other_times_are_not() {
        let berlin = Some("Europe/Berlin");
        for (format, text, seconds) in [
            (None, "2023-11-14T23:13:20", 1_700_000_000),
            (None, "2023-11-14T22:13:20Z", 1_700_000_000),
            (None, "1700000000000", 1_700_000_000),
            (None, "2024-07-01", 1_719_784_800),
            (Some("%Y-%m-%d %H:%M:%S"), "2023-11-14 23:13:20", 1_700_000_000),
            // 02:30 does not exist on 2024-03-31, and is twice on 2024-10-27.
            (None, "2024-03-31T02:30:00", 1_711_848_600),
            (None, "2024-10-27T02:30:00", 1_729_989_000),
        ] {
            assert_eq!(read(format, berlin, text), Ok(seconds), "{text}");
        }
        assert_eq!(read(None, Some("+05:30"), "1970-01-01T05:30"), Ok(0));
    }

    #[test]
    fn json_numbers_count_in_the_unit_unless_there_is_a_format() {
        let zone = form(None, Some("Europe/Berlin")).unwrap().unwrap();
        assert_eq!(zone.read_number(b"20231114"), Ok(20_231_114_000));
        let format = form(Some("%Y%m%d"), None).unwrap().unwrap();
        assert_eq!(format.read_number(b"20231114"), Ok(1_699_920_000_000_000));
    }

    #[test]
    fn unusable_formats_and_unknown_zones_are_errors() {
        for format in ["", "%H:%M", "%Y-%m", "%E", "%Y-%m-%d %"] {
            let error = form(Some(format), None).unwrap_err();
            assert_eq!(error.path(), "source.timestamp_format", "{format}");
        }
        for zone in ["Mars", "+5", "", "+25:00"] {
            assert_eq!(form(None, Some(zone)).unwrap_err().path(), "source.timestamp_zone");
        }
    }
}
