//! A scanned field value, and its conversion to what the pipeline needs.

use super::unescape::unescape;
use crate::RejectReason;
use crate::key::{
    fingerprint, is_key_number, is_small_key_number, push_bool, push_number_text, push_plain_str,
    push_scaled, push_str,
};
use crate::number::{Decimal, ScannedNumber, parse_f64};
use crate::time::{TimeError, TimeUnit, parse_rfc3339, parse_time_text, scanned_time};

/// Reads event times in forms that the reader does not know, such as those of a host's format.
/// ```
/// use stream_processor_core::{InputSchema, time::{TimeError, parse_decimal_time, TimeUnit}};
/// use stream_processor_core::text::{EventBuffer, ReadTime, Reader, ReaderOptions};
///
/// /// Reads the days since the epoch.
/// struct Days;
///
/// impl ReadTime for Days {
///     fn read_text(&self, text: &[u8]) -> Result<i64, TimeError> {
///         self.read_number(text.strip_prefix(b"day ").ok_or(TimeError::Invalid)?)
///     }
///
///     fn read_number(&self, text: &[u8]) -> Result<i64, TimeError> {
///         parse_decimal_time(text, TimeUnit::S).map(|seconds| seconds * 86_400)
///     }
/// }
///
/// let schema = InputSchema { timestamp: "ts".into(), ..InputSchema::default() };
/// let mut reader = Reader::new(&schema, ReaderOptions::default());
/// reader.read_times_by(Box::new(Days));
/// let mut events = EventBuffer::new();
/// reader.read(b"{\"ts\":\"day 2\"}\n", true, 1, &mut events)?;
/// assert_eq!(events.timestamps(), [172_800_000_000]);
/// # Ok::<(), stream_processor_core::text::HeaderError>(())
/// ```
pub trait ReadTime: Send {
    /// Returns the time of a text in microseconds since the epoch.
    ///
    /// # Errors
    /// [`TimeError::Invalid`] for another text, [`TimeError::OutOfRange`] for a time out of range.
    fn read_text(&self, text: &[u8]) -> Result<i64, TimeError>;

    /// Returns the time of a JSON number in microseconds since the epoch.
    ///
    /// # Errors
    /// As [`ReadTime::read_text`].
    fn read_number(&self, text: &[u8]) -> Result<i64, TimeError>;
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::text) enum Kind {
    /// The field is absent.
    Missing,
    Null,
    False,
    True,
    Number,
    /// A JSON string without escapes.
    String,
    EscapedString,
    Array,
    Object,
    /// A field of CSV.
    Text,
}

/// A value: its kind, and the position of its text in the bytes of the record (of a string without
/// its quotes).
#[derive(Debug, Clone, Copy)]
pub(in crate::text) struct Value {
    pub(in crate::text) kind: Kind,
    pub(in crate::text) start: usize,
    pub(in crate::text) end: usize,
    /// Valid for [`Kind::Number`] only.
    pub(in crate::text) number: ScannedNumber,
}

impl Value {
    pub(in crate::text) const MISSING: Self = Self {
        kind: Kind::Missing,
        start: 0,
        end: 0,
        number: ScannedNumber { negative: false, exact: false, mantissa: 0, exponent: 0 },
    };

    /// Sets the value to one of a kind other than [`Kind::Number`].
    #[inline]
    pub(in crate::text) fn set(&mut self, kind: Kind, start: usize, end: usize) {
        self.kind = kind;
        self.start = start;
        self.end = end;
    }

    #[inline]
    pub(in crate::text) fn text<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..self.end).unwrap_or(&[])
    }

    /// Returns the value as an event time in microseconds.
    #[inline]
    pub(in crate::text) fn timestamp(
        &self,
        bytes: &[u8],
        unit: TimeUnit,
    ) -> Result<i64, RejectReason> {
        let text = self.text(bytes);
        let time = match self.kind {
            Kind::Number => scanned_time(&self.number, text, unit),
            Kind::String => match parse_rfc3339(text) {
                Err(TimeError::Invalid) => number_in_quotes(text, unit),
                time => time,
            },
            Kind::Text => match trim(text) {
                [] => return Err(RejectReason::MissingField),
                text => parse_time_text(text, unit).map(|time| time.micros),
            },
            _ => return self.unusual_timestamp(text, unit),
        };
        time.map_err(timestamp_reason)
    }

    fn unusual_timestamp(&self, text: &[u8], unit: TimeUnit) -> Result<i64, RejectReason> {
        let time = match self.kind {
            Kind::Missing | Kind::Null => return Err(RejectReason::MissingField),
            Kind::EscapedString => {
                let mut unescaped = Vec::with_capacity(text.len());
                unescape(text, &mut unescaped);
                parse_time_text(&unescaped, unit).map(|time| time.micros)
            }
            _ => return Err(RejectReason::WrongType),
        };
        time.map_err(timestamp_reason)
    }

    /// Returns the value as an event time that `times` reads.
    #[cold]
    pub(in crate::text) fn timestamp_by(
        &self,
        bytes: &[u8],
        times: &dyn ReadTime,
    ) -> Result<i64, RejectReason> {
        let text = self.text(bytes);
        let time = match self.kind {
            Kind::Number => times.read_number(text),
            Kind::String => times.read_text(text),
            Kind::Text => match trim(text) {
                [] => return Err(RejectReason::MissingField),
                text => times.read_text(text),
            },
            Kind::EscapedString => {
                let mut unescaped = Vec::with_capacity(text.len());
                unescape(text, &mut unescaped);
                times.read_text(&unescaped)
            }
            Kind::Missing | Kind::Null => return Err(RejectReason::MissingField),
            _ => return Err(RejectReason::WrongType),
        };
        time.map_err(timestamp_reason)
    }

    /// Returns the value as a number of a column; NaN if it is missing.
    #[inline]
    pub(in crate::text) fn number(
        &self,
        bytes: &[u8],
        required: bool,
    ) -> Result<f64, RejectReason> {
        let text = self.text(bytes);
        match self.kind {
            Kind::Number => self.number.nearest_f64(text).ok_or(RejectReason::NonFinite),
            Kind::Text if !trim(text).is_empty() => csv_number(trim(text)),
            Kind::Missing | Kind::Null | Kind::Text if required => Err(RejectReason::MissingField),
            Kind::Missing | Kind::Null | Kind::Text => Ok(f64::NAN),
            _ => Err(RejectReason::WrongType),
        }
    }

    /// Returns the value as a number of a column where true is 1 and false is 0; in CSV, these are
    /// words.
    pub(in crate::text) fn flag(&self, bytes: &[u8], required: bool) -> Result<f64, RejectReason> {
        let word = trim(self.text(bytes));
        match self.kind {
            Kind::True => Ok(1.0),
            Kind::False => Ok(0.0),
            Kind::Text if word == b"true" => Ok(1.0),
            Kind::Text if word == b"false" => Ok(0.0),
            _ => self.number(bytes, required),
        }
    }

    /// Returns a number that identifies the value, computed in `scratch`; NaN if it is missing.
    pub(in crate::text) fn fingerprint(
        &self,
        bytes: &[u8],
        required: bool,
        scratch: &mut Vec<u8>,
    ) -> Result<f64, RejectReason> {
        scratch.clear();
        match self.push_scalar(bytes, scratch) {
            Ok(()) => Ok(fingerprint(scratch)),
            Err(RejectReason::MissingField) if !required => Ok(f64::NAN),
            Err(reason) => Err(reason),
        }
    }

    /// Appends the value as a field of a key.
    #[inline]
    pub(in crate::text) fn push_key(
        &self,
        bytes: &[u8],
        key: &mut Vec<u8>,
    ) -> Result<(), RejectReason> {
        if self.kind == Kind::Number && !self.is_key_number(bytes) {
            return Err(RejectReason::InvalidKeyNumber);
        }
        self.push_scalar(bytes, key)
    }

    #[inline]
    fn is_key_number(&self, bytes: &[u8]) -> bool {
        let ScannedNumber { exact, mantissa, exponent, .. } = self.number;
        exact && is_small_key_number(mantissa, exponent) || self.is_large_key_number(bytes)
    }

    #[inline(never)]
    fn is_large_key_number(&self, bytes: &[u8]) -> bool {
        let text = self.text(bytes);
        let number = Decimal::parse(text);
        number.is_some_and(|number| is_key_number(&number, || self.number.nearest_f64(text)))
    }

    /// Appends the key encoding of a string, boolean or any number.
    #[inline]
    fn push_scalar(&self, bytes: &[u8], key: &mut Vec<u8>) -> Result<(), RejectReason> {
        let text = self.text(bytes);
        match self.kind {
            Kind::String => push_plain_str(key, bytes, self.start, self.end),
            Kind::Number => self.push_number(text, key),
            Kind::True | Kind::False => push_bool(key, self.kind == Kind::True),
            Kind::EscapedString => {
                let mut unescaped = Vec::with_capacity(text.len());
                unescape(text, &mut unescaped);
                push_text(&unescaped, key)?;
            }
            Kind::Text if !text.is_empty() => push_text(text, key)?,
            Kind::Missing | Kind::Null | Kind::Text => return Err(RejectReason::MissingField),
            Kind::Array | Kind::Object => return Err(RejectReason::WrongType),
        }
        Ok(())
    }

    #[inline]
    fn push_number(&self, text: &[u8], key: &mut Vec<u8>) {
        let ScannedNumber { negative, exact, mantissa, exponent } = self.number;
        if exact && (-1000..=1000).contains(&exponent) {
            push_scaled(key, negative, mantissa, exponent);
        } else {
            push_number_text(key, text);
        }
    }
}

/// Parses a string that is no date as a number.
#[cold]
fn number_in_quotes(text: &[u8], unit: TimeUnit) -> Result<i64, TimeError> {
    parse_time_text(text, unit).map(|time| time.micros)
}

fn push_text(text: &[u8], key: &mut Vec<u8>) -> Result<(), RejectReason> {
    let text = core::str::from_utf8(text).map_err(|_| RejectReason::InvalidUtf8)?;
    push_str(key, text);
    Ok(())
}

fn timestamp_reason(error: TimeError) -> RejectReason {
    match error {
        TimeError::Invalid => RejectReason::InvalidTimestamp,
        TimeError::OutOfRange => RejectReason::TimestampOutOfRange,
    }
}

#[inline]
fn csv_number(text: &[u8]) -> Result<f64, RejectReason> {
    parse_f64(text).ok_or_else(|| no_number(text))
}

/// Returns the reason why `text` is not a finite number.
#[cold]
fn no_number(text: &[u8]) -> RejectReason {
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let words = [&b"nan"[..], b"inf", b"infinity"];
    if Decimal::parse(text).is_some()
        || words.iter().any(|word| unsigned.eq_ignore_ascii_case(word))
    {
        RejectReason::NonFinite
    } else {
        RejectReason::WrongType
    }
}

/// Returns `text` without leading and trailing spaces and tabs.
#[inline]
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Value {
        Value { kind: Kind::Text, end: text.len(), ..Value::MISSING }
    }

    #[test]
    fn csv_numbers_may_be_surrounded_by_spaces_and_errors_name_the_reason() {
        let number = |text: &str, required| csv(text).number(text.as_bytes(), required);
        assert_eq!(number(" 12.5\t", true), Ok(12.5));
        assert_eq!(number("+.5", true), Ok(0.5));
        assert!(number("  ", false).unwrap().is_nan());
        assert_eq!(number("", true), Err(RejectReason::MissingField));
        for text in ["NaN", "-inf", "Infinity", "1e999"] {
            assert_eq!(number(text, false), Err(RejectReason::NonFinite));
        }
        for text in ["abc", "1 2", "1,5", "0x10", "-"] {
            assert_eq!(number(text, false), Err(RejectReason::WrongType));
        }
    }

    #[test]
    fn strings_of_digits_are_numbers_or_dates() {
        let time = |text: &str| {
            let value = Value { kind: Kind::String, ..csv(text) };
            value.timestamp(text.as_bytes(), TimeUnit::S)
        };
        assert_eq!(time("1700000000.5"), Ok(1_700_000_000_500_000));
        assert_eq!(time("20231114"), Ok(1_699_920_000_000_000));
        assert_eq!(time("20231314"), Ok(20_231_314_000_000));
        assert_eq!(time(""), Err(RejectReason::InvalidTimestamp));
        assert_eq!(time("1e40"), Err(RejectReason::TimestampOutOfRange));
    }

    #[test]
    fn csv_timestamps_are_numbers_or_rfc_3339() {
        let time = |text: &str| csv(text).timestamp(text.as_bytes(), TimeUnit::S);
        assert_eq!(time("1.5"), Ok(1_500_000));
        assert_eq!(time(" 1970-01-01T00:00:01Z "), Ok(1_000_000));
        assert_eq!(time("20231114"), Ok(1_699_920_000_000_000));
        assert_eq!(time(""), Err(RejectReason::MissingField));
        assert_eq!(time("soon"), Err(RejectReason::InvalidTimestamp));
        assert_eq!(time("1e40"), Err(RejectReason::TimestampOutOfRange));
    }

    #[test]
    fn csv_keys_are_unchanged_strings() {
        let mut key = Vec::new();
        assert_eq!(csv(" 1 ").push_key(b" 1 ", &mut key), Ok(()));
        assert_eq!(key, b"\x04 1 \0");
        assert_eq!(csv("").push_key(b"", &mut key), Err(RejectReason::MissingField));
    }

    #[test]
    fn key_numbers_are_integers_in_double_range_or_shortest_decimals() {
        let key = |text: &str| {
            let mut value = Value { kind: Kind::Number, end: text.len(), ..Value::MISSING };
            assert_eq!(
                crate::number::scan_json_number(text.as_bytes(), 0, &mut value.number),
                Ok(text.len())
            );
            let mut key = Vec::new();
            value.push_key(text.as_bytes(), &mut key).map(|()| key)
        };
        for same in [["1", "1.0", "10e-1"], ["1e22", "10000000000000000000000", "10.0e21"]] {
            assert!(same.iter().all(|text| key(text).is_ok() && key(text) == key(same[0])));
        }
        for text in ["0e999", "9007199254740993", "123456789012345678901234567890", "0.1", "5e-324"]
        {
            assert!(key(text).is_ok(), "{text}");
        }
        for text in ["1e400", "0.1234567890123456789", "9007199254740993.5", "1e-400", "1e-999999"]
        {
            assert_eq!(key(text), Err(RejectReason::InvalidKeyNumber), "{text}");
        }
    }

    #[test]
    fn fingerprinted_values_may_be_any_number() {
        let text = b"1e400";
        let mut value = Value { kind: Kind::Number, end: text.len(), ..Value::MISSING };
        assert!(crate::number::scan_json_number(text, 0, &mut value.number).is_ok());
        assert!(value.fingerprint(text, true, &mut Vec::new()).unwrap().is_finite());
    }
}
