//! Keys as people write them, and the column that they are collected in.

use crate::data::batch::KeyColumn;
use crate::data::value::Value;
use crate::error::Error;
use crate::key;

/// A key of an event, for [`crate::BatchBuilder::push`].
///
/// A text, a number or a boolean is a key of one field. An array or slice of these, or of
/// [`Value`]s, is a key of several fields, as is a tuple. `()` is the key of pipelines without key.
/// ```
/// use stream_processor_core::{BatchBuilder, PipelineSpec, Plan, Value};
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": ["zone", "shelf"], "value": "kg"},
///     "stages": [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["sum"]}]}"#)?;
/// let mut events = BatchBuilder::new(&Plan::new(&spec)?);
/// events.push(1_000_000, ("eu", 7), &[2.5])?;
/// events.push(2_000_000, ["eu", "top"], &[1.0])?;
/// events.push(3_000_000, [Value::from("eu"), Value::from(true)], &[1.0])?;
/// assert_eq!(events.push(4_000_000, "eu", &[1.0]).unwrap_err().code(), "keys_mismatch");
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
pub trait EventKey: Encode {}

impl<K: Encode> EventKey for K {}

mod private {
    /// Appends a key field; returns `false`, and appends nothing, if keys cannot contain it.
    pub trait EncodeField {
        fn encode_field(&self, key: &mut Vec<u8>) -> bool;
        /// Returns the field if it is a text.
        fn as_text(&self) -> Option<&str> {
            None
        }
    }

    pub trait Encode {
        /// The number of fields.
        fn fields(&self) -> usize;
        /// Appends all fields; returns `false` if keys cannot contain one.
        fn encode(&self, key: &mut Vec<u8>) -> bool;
        /// Returns the key if it is one field with a text.
        fn as_text(&self) -> Option<&str> {
            None
        }
    }
}

use private::{Encode, EncodeField};

impl EncodeField for Value<'_> {
    fn encode_field(&self, key: &mut Vec<u8>) -> bool {
        self.push_key_field(key)
    }

    fn as_text(&self) -> Option<&str> {
        self.as_str()
    }
}

impl EncodeField for str {
    fn encode_field(&self, key: &mut Vec<u8>) -> bool {
        key::push_str(key, self);
        true
    }

    #[inline]
    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl EncodeField for String {
    fn encode_field(&self, key: &mut Vec<u8>) -> bool {
        self.as_str().encode_field(key)
    }

    #[inline]
    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl<F: EncodeField + ?Sized> EncodeField for &F {
    fn encode_field(&self, key: &mut Vec<u8>) -> bool {
        (**self).encode_field(key)
    }

    #[inline]
    fn as_text(&self) -> Option<&str> {
        (**self).as_text()
    }
}

macro_rules! encode_field {
    ($($type:ty),*) => {$(
        impl EncodeField for $type {
            fn encode_field(&self, key: &mut Vec<u8>) -> bool {
                Value::from(*self).push_key_field(key)
            }
        }
        impl Encode for $type {
            fn fields(&self) -> usize {
                1
            }
            fn encode(&self, key: &mut Vec<u8>) -> bool {
                self.encode_field(key)
            }
        }
    )*};
}

encode_field!(f64, i64, i32, u32, bool);

macro_rules! encode_text {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn fields(&self) -> usize {
                1
            }
            fn encode(&self, key: &mut Vec<u8>) -> bool {
                self.encode_field(key)
            }
            #[inline]
            fn as_text(&self) -> Option<&str> {
                EncodeField::as_text(self)
            }
        }
    )*};
}

encode_text!(&str, &&str, String, &String, Value<'_>, &Value<'_>);

impl Encode for () {
    fn fields(&self) -> usize {
        0
    }

    fn encode(&self, _: &mut Vec<u8>) -> bool {
        true
    }
}

impl<F: EncodeField> Encode for &[F] {
    fn fields(&self) -> usize {
        self.len()
    }

    fn encode(&self, key: &mut Vec<u8>) -> bool {
        self.iter().all(|field| field.encode_field(key))
    }
}

impl<F: EncodeField, const N: usize> Encode for [F; N] {
    fn fields(&self) -> usize {
        N
    }

    fn encode(&self, key: &mut Vec<u8>) -> bool {
        self.as_slice().encode(key)
    }
}

impl<F: EncodeField, const N: usize> Encode for &[F; N] {
    fn fields(&self) -> usize {
        N
    }

    fn encode(&self, key: &mut Vec<u8>) -> bool {
        self.as_slice().encode(key)
    }
}

impl<A: EncodeField, B: EncodeField> Encode for (A, B) {
    fn fields(&self) -> usize {
        2
    }

    fn encode(&self, key: &mut Vec<u8>) -> bool {
        self.0.encode_field(key) && self.1.encode_field(key)
    }
}

impl<A: EncodeField, B: EncodeField, C: EncodeField> Encode for (A, B, C) {
    fn fields(&self) -> usize {
        3
    }

    fn encode(&self, key: &mut Vec<u8>) -> bool {
        self.0.encode_field(key) && self.1.encode_field(key) && self.2.encode_field(key)
    }
}

/// The keys of a batch, in the layout of [`KeyColumn`].
#[derive(Debug, Clone)]
pub(super) struct Keys {
    form: Form,
    fields: usize,
    /// The offset where each key starts, then the end of the last one.
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Unkeyed,
    /// Keys of one field that were all texts so far: they need no encoding.
    Text,
    Encoded,
}

const WRONG_FIELDS: &str = "the key needs one value for each key field of the pipeline";
const WRONG_VALUE: &str = "a key field is a text, a boolean or a finite number";
const TOO_LONG: &str = "the keys of one batch take more than 4 GiB: push it before it grows";

impl Keys {
    pub(super) fn new(fields: usize) -> Self {
        let form = match fields {
            0 => Form::Unkeyed,
            1 => Form::Text,
            _ => Form::Encoded,
        };
        Self { form, fields, offsets: vec![0], bytes: Vec::new() }
    }

    /// Appends `key`. On error nothing is appended.
    #[inline]
    pub(super) fn push(&mut self, key: &impl Encode) -> Result<(), Error> {
        match key.as_text() {
            Some(text) if self.form == Form::Text => {
                self.bytes.extend_from_slice(text.as_bytes());
                self.end_key()
            }
            _ => self.push_encoded(key),
        }
    }

    fn push_encoded(&mut self, key: &impl Encode) -> Result<(), Error> {
        if key.fields() != self.fields {
            return Err(Error::KeysMismatch(WRONG_FIELDS));
        }
        if self.form == Form::Unkeyed {
            return Ok(());
        }
        if self.form == Form::Text {
            self.encode_texts()?;
        }
        let before = self.bytes.len();
        if !key.encode(&mut self.bytes) {
            self.bytes.truncate(before);
            return Err(Error::KeysMismatch(WRONG_VALUE));
        }
        self.end_key()
    }

    #[inline]
    fn end_key(&mut self) -> Result<(), Error> {
        let Ok(end) = u32::try_from(self.bytes.len()) else {
            let start = self.offsets.last().copied().unwrap_or_default();
            self.bytes.truncate(start as usize);
            return Err(Error::KeysMismatch(TOO_LONG));
        };
        self.offsets.push(end);
        Ok(())
    }

    /// Encodes the texts so far, because a key is not a text.
    #[cold]
    fn encode_texts(&mut self) -> Result<(), Error> {
        let texts = core::mem::replace(self, Self { form: Form::Encoded, ..Self::new(1) });
        let encoded = texts.offsets.windows(2).try_for_each(|bounds| {
            let &[start, end] = bounds else { return Ok(()) };
            let text = texts.bytes.get(start as usize..end as usize).unwrap_or_default();
            key::push_str(&mut self.bytes, core::str::from_utf8(text).unwrap_or_default());
            self.end_key()
        });
        if encoded.is_err() {
            *self = texts;
        }
        encoded
    }

    /// Removes the first `count` keys.
    pub(super) fn discard(&mut self, count: usize) {
        let count = count.min(self.offsets.len() - 1);
        let removed = self.offsets.get(count).copied().unwrap_or_default();
        self.offsets.drain(..count);
        for offset in &mut self.offsets {
            *offset -= removed;
        }
        self.bytes.drain(..removed as usize);
    }

    pub(super) fn clear(&mut self) {
        self.offsets.truncate(1);
        self.bytes.clear();
    }

    pub(super) fn column(&self) -> KeyColumn<'_> {
        let (offsets, bytes) = (self.offsets.as_slice(), self.bytes.as_slice());
        match self.form {
            Form::Unkeyed => KeyColumn::Unkeyed,
            Form::Text => KeyColumn::Text { offsets, bytes },
            Form::Encoded => KeyColumn::Encoded { offsets, bytes },
        }
    }
}
