//! Durations in text form: `500ms`, `1m`, `1h30m`.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest duration in a pipeline: 10,000 years of 365 days, in microseconds.
///
/// Event times reach ±8.64e18 µs, so the ends of windows of this size still fit an `i64`.
pub const MAX_DURATION_US: i64 = 10_000 * 365 * 86_400_000_000;

const UNITS: [(&str, i64); 7] = [
    ("w", 604_800_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A duration in whole microseconds, at most [`MAX_DURATION_US`] in either direction.
///
/// ```
/// use stream_processor_core::spec::Duration;
/// assert_eq!("1h30m".parse::<Duration>()?.as_micros(), 5_400_000_000);
/// assert_eq!("1.5s".parse::<Duration>()?.to_string(), "1s500ms");
/// assert!("10".parse::<Duration>().is_err()); // no unit
/// # Ok::<(), stream_processor_core::spec::DurationError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(i64);

impl Duration {
    /// Creates a duration of `micros` microseconds; `None` beyond [`MAX_DURATION_US`] in either
    /// direction.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        (-MAX_DURATION_US..=MAX_DURATION_US).contains(&micros).then_some(Self(micros))
    }

    /// Returns the duration in microseconds.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

/// Error: the text is not a duration.
/// ```
/// use stream_processor_core::spec::Duration;
/// assert!("10".parse::<Duration>().is_err()); // without a unit
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a duration: write a number and its unit, such as \"500ms\", \"10s\", \"1m\" or \"1h30m\" (units: us, ms, s, m, h, d, w; at most 10000 years)"
)]
pub struct DurationError(String);

impl FromStr for Duration {
    type Err = DurationError;

    #[inline]
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let error = || DurationError(text.to_owned());
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut total: i64 = 0;
        loop {
            let (micros, tail) = component(rest).ok_or_else(error)?;
            total = total.checked_add(micros).ok_or_else(error)?;
            if tail.is_empty() {
                break;
            }
            rest = tail;
        }
        Self::from_micros(if negative { -total } else { total }).ok_or_else(error)
    }
}

/// Reads a component such as `12.5ms` from the front of `text`. Returns its exact microseconds and
/// the rest of the text.
fn component(text: &str) -> Option<(i64, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, tail) = rest.split_at(unit_end);
    let unit = if unit == "µs" { "us" } else { unit };
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let mut micros = whole.parse::<i64>().ok()?.checked_mul(*scale)?;
    let mut place = *scale;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() || (place % 10 != 0 && digit != b'0') {
            return None;
        }
        place /= 10;
        micros = micros.checked_add(i64::from(digit - b'0').checked_mul(place)?)?;
    }
    Some((micros, tail))
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (name, scale) in UNITS {
            let scale = scale.unsigned_abs();
            if rest >= scale {
                write!(f, "{}{name}", rest / scale)?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl serde::de::Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"10s\" or \"1m\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A number and its unit, one after another: 500ms, 10s, 1h30m (us, ms, s, m, h, d, w).",
            "pattern": "^-?([0-9]+(\\.[0-9]+)?(us|µs|ms|s|m|h|d|w))+$",
        })
    }
}

/// Maximum distance behind the greatest event time at which an event is still on time.
/// ```
/// use stream_processor_core::spec::OutOfOrderness;
/// assert_eq!("5s".parse(), Ok(OutOfOrderness::Bounded("5s".parse()?)));
/// # Ok::<(), stream_processor_core::spec::DurationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfOrderness {
    /// At most this long.
    Bounded(Duration),
    /// Any time: all windows fire at the end of input.
    Unbounded,
}

impl Default for OutOfOrderness {
    fn default() -> Self {
        Self::Bounded(Duration::default())
    }
}

impl FromStr for OutOfOrderness {
    type Err = DurationError;

    #[inline]
    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text == "unbounded" {
            return Ok(Self::Unbounded);
        }
        match text.parse::<Duration>()? {
            bound if bound.as_micros() < 0 => Err(DurationError(text.to_owned())),
            bound => Ok(Self::Bounded(bound)),
        }
    }
}

impl fmt::Display for OutOfOrderness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounded(bound) => bound.fmt(f),
            Self::Unbounded => f.write_str("unbounded"),
        }
    }
}

impl Serialize for OutOfOrderness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OutOfOrderness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = OutOfOrderness;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration of 0s or more, such as \"2s\", or \"unbounded\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OutOfOrderness, E> {
                text.parse().map_err(|_| {
                    E::custom(format_args!(
                        "{text:?} is neither a duration of 0s or more, such as \"2s\", nor \"unbounded\""
                    ))
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for OutOfOrderness {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OutOfOrderness".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let duration = generator.subschema_for::<Duration>();
        schemars::json_schema!({ "anyOf": [duration, { "const": "unbounded" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_spellings_parse() {
        for (text, micros) in [
            ("0s", 0),
            ("250us", 250),
            ("250µs", 250),
            ("1.5ms", 1_500),
            ("0.000001s", 1),
            ("2m", 120_000_000),
            ("1h30m", 5_400_000_000),
            ("-5h", -18_000_000_000),
            ("1w", 604_800_000_000),
        ] {
            assert_eq!(text.parse::<Duration>().map(Duration::as_micros), Ok(micros), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_rejected() {
        for text in
            ["", "5", "s", "1x", "1.s", ".5s", "1s ", "1 s", "1.5us", "1e3s", "--1s", "9999999w"]
        {
            assert!(text.parse::<Duration>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn displayed_duration_parses_back() {
        for micros in [0, 1, -1, 999, 61_000_000, 90_061_001_001, MAX_DURATION_US, -MAX_DURATION_US]
        {
            let duration = Duration::from_micros(micros).unwrap();
            assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
