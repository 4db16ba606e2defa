//! Single values: fields of keys and events going in, fields of rows coming out.

use std::borrow::Cow;

use crate::key::{self, KeyField};

/// One value of an event, a key or a row.
///
/// Made by `from` out of numbers, texts, booleans, and `Option`s of these.
/// ```
/// use stream_processor_core::Value;
///
/// assert_eq!(Value::from(1.5), Value::Number(1.5));
/// assert_eq!(Value::from("eu"), Value::Text("eu".into()));
/// assert_eq!(Value::from(None::<f64>), Value::Null);
/// assert_eq!(Value::from(7).as_f64(), Some(7.0));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer, exact beyond ±2^53. Only values of events and keys have this form.
    Integer(i64),
    /// A number; NaN counts as no value.
    Number(f64),
    /// A time, microseconds since the epoch. Only values of rows have this form.
    Time(i64),
    /// A text.
    Text(Cow<'a, str>),
}

impl Value<'_> {
    /// Returns the number; `None` if the value is not a number. An integer beyond ±2^53 is rounded
    /// to the nearest double.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "rounds as documented")]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number).filter(|number| !number.is_nan()),
            Self::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// Returns the time, microseconds since the epoch; `None` if the value is not a time.
    #[must_use]
    pub fn as_time(&self) -> Option<i64> {
        match self {
            Self::Time(time) => Some(*time),
            _ => None,
        }
    }

    /// Returns the text; `None` if the value is not a text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Number(number) => number.is_nan(),
            _ => false,
        }
    }

    /// Appends the encoding of the value as a key field. Returns `false`, and appends nothing, if
    /// keys cannot contain the value.
    pub(crate) fn push_key_field(&self, key: &mut Vec<u8>) -> bool {
        match self {
            Self::Bool(value) => key::push_bool(key, *value),
            Self::Integer(number) => {
                return key::push_number_text(key, number.to_string().as_bytes());
            }
            Self::Number(number) => return key::push_f64(key, *number),
            Self::Text(text) => key::push_str(key, text),
            Self::Null | Self::Time(_) => return false,
        }
        true
    }
}

impl<'a> From<KeyField<'a>> for Value<'a> {
    /// Converts a key field: integers that a double cannot hold stay exact if they fit in 64 bits.
    fn from(field: KeyField<'a>) -> Self {
        match field {
            KeyField::Bool(value) => Self::Bool(value),
            KeyField::String(text) => Self::Text(text),
            KeyField::Null => Self::Null,
            KeyField::Number(number) => {
                let mut digits = Vec::new();
                let is_big = number.write_big_integer(&mut digits);
                let text = core::str::from_utf8(&digits).unwrap_or_default();
                match text.parse() {
                    Ok(integer) if is_big => Self::Integer(integer),
                    _ => Self::Number(number.to_f64()),
                }
            }
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for Value<'_> {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
