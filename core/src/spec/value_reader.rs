//! A deserializer for parsed JSON whose errors have the path of their field.
//!
//! Code that depends on the type that is read is compiled once for each of some hundred types. So
//! it only checks the kind of the value; everything else is done by functions without parameters.

use core::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Value, map};

/// Reads a `T` from `value`.
#[inline]
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, ReadError> {
    T::deserialize(ValueReader(value))
}

/// An error of serde, with the path of the field it is about.
#[derive(Debug)]
pub(super) struct ReadError {
    /// The path from the value that was read, as in `fields[0].name`.
    pub(super) path: String,
    /// The message of serde, as [`super::explain`] expects it.
    pub(super) message: String,
}

impl ReadError {
    #[cold]
    fn in_member(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }

    #[cold]
    fn in_item(mut self, index: usize) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{separator}{}", self.path);
        self
    }

    #[cold]
    fn new(message: fmt::Arguments<'_>) -> Self {
        Self { path: String::new(), message: message.to_string() }
    }
}

impl Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for ReadError {}

impl Error for ReadError {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self::new(format_args!("{message}"))
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unit => Self::new(format_args!("invalid type: null, expected {expected}")),
            Unexpected::Float(number) => Self::new(format_args!(
                "invalid type: floating point `{}`, expected {expected}",
                Value::from(number)
            )),
            found => Self::new(format_args!("invalid type: {found}, expected {expected}")),
        }
    }
}

/// A value that is read.
#[derive(Clone, Copy)]
struct ValueReader<'a>(&'a Value);

impl ValueReader<'_> {
    /// Returns the error that the value is not what the visitor expects.
    #[cold]
    fn mismatch(self, expected: &dyn Expected) -> ReadError {
        let found = match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (None, Some(number)) => Unexpected::Signed(number),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        ReadError::invalid_type(found, expected)
    }
}

/// Implements methods for integers: a value that is no integer is refused here.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match (self.0.as_u64(), self.0.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => Err(self.mismatch(&visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for ValueReader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::String(text) => visitor.visit_str(text),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Value::Array(items) = self.0 else { return Err(self.mismatch(&visitor)) };
        let mut reader = Items { items, next: 0 };
        let read = visitor.visit_seq(&mut reader)?;
        if reader.next < items.len() {
            return Err(ReadError::invalid_length(items.len(), &"fewer elements in array"));
        }
        Ok(read)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Object(members) => {
                visitor.visit_map(Members { rest: members.iter(), last: None })
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    /// Reads a name: no variant of an enum has a value.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Name(name)),
            _ => Err(self.mismatch(&"string or map")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

/// The items of a list.
struct Items<'a> {
    items: &'a [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let index = self.next;
        let Some(item) = self.items.get(index) else { return Ok(None) };
        self.next += 1;
        match seed.deserialize(ValueReader(item)) {
            Ok(read) => Ok(Some(read)),
            Err(error) => Err(error.in_item(index)),
        }
    }
}

/// The members of a table.
struct Members<'a> {
    rest: map::Iter<'a>,
    /// The member whose name was read last.
    last: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.last = Some((name, value));
        match seed.deserialize(StrDeserializer::<ReadError>::new(name)) {
            Ok(read) => Ok(Some(read)),
            Err(error) => Err(error.in_member(name)),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (name, value) = self.last.unwrap_or(("", &Value::Null));
        match seed.deserialize(ValueReader(value)) {
            Ok(read) => Ok(read),
            Err(error) => Err(error.in_member(name)),
        }
    }
}

/// The name of a variant.
struct Name<'a>(&'a str);

impl<'de> EnumAccess<'de> for Name<'_> {
    type Error = ReadError;
    type Variant = NoValue;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, NoValue), ReadError> {
        match seed.deserialize(StrDeserializer::<ReadError>::new(self.0)) {
            Ok(read) => Ok((read, NoValue)),
            Err(error) => Err(error),
        }
    }
}

/// The value of a variant: there is none.
struct NoValue;

impl<'de> VariantAccess<'de> for NoValue {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ReadError> {
        Err(ReadError::custom("a variant has no value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ReadError> {
        Err(ReadError::custom("a variant has no value"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ReadError> {
        Err(ReadError::custom("a variant has no value"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        count: u32,
        pairs: Vec<(i64, f64)>,
        #[serde(default)]
        inner: Option<Box<Table>>,
        #[serde(default)]
        kind: Kind,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[default]
        Plain,
    }

    #[test]
    fn values_are_read_as_serde_json_reads_them() {
        let value = json!({"count": 3, "pairs": [[-1, 2], [5, 0.5]], "kind": "plain",
            "inner": {"count": 0, "pairs": [], "inner": null}});
        let expected: Table = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(read::<Table>(&value).unwrap(), expected);
    }

    #[test]
    fn errors_name_the_path_and_speak_as_serde_json_does() {
        for (value, path) in [
            (json!({"count": -1, "pairs": []}), "count"),
            (json!({"count": 1.5, "pairs": []}), "count"),
            (json!({"count": 1e300, "pairs": []}), "count"),
            (json!({"count": null, "pairs": []}), "count"),
            (json!({"count": 1_u64 << 32, "pairs": []}), "count"),
            (json!({"count": 1, "pairs": "x"}), "pairs"),
            (json!({"count": 1, "pairs": [[1, 2], [1]]}), "pairs[1]"),
            (json!({"count": 1, "pairs": [[1, 2, 3]]}), "pairs[0]"),
            (json!({"count": 1, "pairs": [[1, true]]}), "pairs[0][1]"),
            (json!({"count": 1, "pairs": [], "kind": "x"}), "kind"),
            (json!({"count": 1, "pairs": [], "kind": 1}), "kind"),
            (json!({"count": 1, "pairs": [], "size": 1}), "size"),
            (json!({"count": 1}), ""),
            (
                json!({"count": 1, "pairs": [], "inner": {"pairs": [5], "count": 1}}),
                "inner.pairs[0]",
            ),
            (json!({"count": 1, "pairs": [], "inner": {"pairs": {}}}), "inner.pairs"),
            (json!("x"), ""),
        ] {
            let error = read::<Table>(&value).unwrap_err();
            assert_eq!(error.path, path, "{value}");
            let expected = serde_json::from_value::<Table>(value).unwrap_err();
            assert_eq!(error.message, expected.to_string());
        }
    }
}
