//! Keys as JSON text: how JavaScript names them and gets them back.

use serde_json::Value;

use crate::engine::KeyDefinitions;
use crate::error::Error;
use crate::key;
use crate::rows::Rows;

/// Key definitions that own their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedKeyDefinitions {
    ids: Vec<u32>,
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl OwnedKeyDefinitions {
    /// Reads a JSON array of keys and gives them `ids` in turn. A key is a string, a number or a boolean, or an array of
    /// such where the pipeline has several key fields.
    /// ```
    /// use stream_processor_core::key_json::OwnedKeyDefinitions;
    /// assert!(OwnedKeyDefinitions::from_json(r#"[["eu", 7], ["us", 7]]"#, 0.., 2).is_ok());
    /// assert!(OwnedKeyDefinitions::from_json(r#"["eu", null]"#, 0.., 1).is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidKey`] for a key of another form, [`Error::MalformedBlock`] for text that is no array of keys.
    pub fn from_json(
        text: &str,
        ids: impl IntoIterator<Item = u32>,
        fields: usize,
    ) -> Result<Self, Error> {
        const TOO_LONG: Error = Error::MalformedBlock("the keys are too many or too long");
        let keys: Vec<Value> = serde_json::from_str(text)
            .map_err(|_| Error::MalformedBlock("the keys are no JSON array"))?;
        let mut ids = ids.into_iter();
        let mut definitions = Self { offsets: vec![0], ..Self::default() };
        for (index, key) in keys.iter().enumerate() {
            let values = match key {
                Value::Array(values) if fields != 1 => values.as_slice(),
                value => core::slice::from_ref(value),
            };
            let valid = values.len() == fields
                && values.iter().all(|value| push_value(&mut definitions.bytes, value));
            if !valid {
                return Err(Error::InvalidKey { index, fields });
            }
            definitions.ids.push(ids.next().ok_or(TOO_LONG)?);
            let end = u32::try_from(definitions.bytes.len()).map_err(|_| TOO_LONG)?;
            definitions.offsets.push(end);
        }
        Ok(definitions)
    }

    /// The definitions for [`crate::Engine::define_keys`].
    #[must_use]
    pub fn as_definitions(&self, reset: bool) -> KeyDefinitions<'_> {
        KeyDefinitions { reset, ids: &self.ids, offsets: &self.offsets, bytes: &self.bytes }
    }
}

/// The [`key::fingerprint`] of each value of a JSON array, of strings, numbers and booleans.
///
/// # Errors
/// As [`OwnedKeyDefinitions::from_json`].
pub fn fingerprints_from_json(text: &str) -> Result<Vec<f64>, Error> {
    let values = OwnedKeyDefinitions::from_json(text, 0.., 1)?;
    let bytes = |bounds: &[u32]| match *bounds {
        [start, end] => values.bytes.get(start as usize..end as usize).unwrap_or_default(),
        _ => &[],
    };
    Ok(values.offsets.windows(2).map(|bounds| key::fingerprint(bytes(bounds))).collect())
}

/// Appends a key field; false if the value cannot be one.
fn push_value(bytes: &mut Vec<u8>, value: &Value) -> bool {
    match value {
        Value::Bool(value) => key::push_bool(bytes, *value),
        Value::Number(value) => return key::push_number_text(bytes, value.to_string().as_bytes()),
        Value::String(value) => key::push_str(bytes, value),
        Value::Null | Value::Array(_) | Value::Object(_) => return false,
    }
    true
}

/// Appends the keys of `rows` as a JSON array, each an array itself where there are several `fields`; nothing at all
/// where the pipeline has no key.
pub fn write_keys(rows: &Rows<'_>, fields: usize, out: &mut Vec<u8>) {
    if fields == 0 {
        return;
    }
    out.push(b'[');
    for row in 0..rows.len() {
        if row > 0 {
            out.push(b',');
        }
        if fields > 1 {
            out.push(b'[');
        }
        for (place, field) in key::fields(rows.key(row)).enumerate() {
            if place > 0 {
                out.push(b',');
            }
            field.write_json(out);
        }
        if fields > 1 {
            out.push(b']');
        }
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(text: &str, fields: usize) -> String {
        let OwnedKeyDefinitions { ids, offsets, bytes } =
            OwnedKeyDefinitions::from_json(text, 5.., fields).unwrap();
        assert!(ids.iter().zip(5..).all(|(id, expected)| *id == expected));
        let (firing, ranks) = (vec![0; ids.len()], vec![0; ids.len()]);
        let rows = Rows {
            firing: &firing,
            ranks: &ranks,
            key_offsets: &offsets,
            key_bytes: &bytes,
            columns: vec![],
        };
        let mut out = Vec::new();
        write_keys(&rows, fields, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_come_back_as_they_went_in() {
        for text in [r#"["a","","é\n",7,-0.5,1e+21,true,false]"#, "[]"] {
            assert_eq!(there_and_back(text, 1), text);
        }
        assert_eq!(there_and_back(r#"[["a",1],["a","1"]]"#, 2), r#"[["a",1],["a","1"]]"#);
    }

    #[test]
    fn keys_of_another_form_are_refused() {
        for (text, fields) in
            [("[null]", 1), ("[[1]]", 1), ("[1]", 2), ("[[1,2,3]]", 2), ("[1]", 0)]
        {
            let error = OwnedKeyDefinitions::from_json(text, 0.., fields).unwrap_err();
            assert_eq!(error, Error::InvalidKey { index: 0, fields }, "{text}");
        }
        assert_eq!(
            OwnedKeyDefinitions::from_json("{}", 0.., 1).unwrap_err().code(),
            "malformed_block"
        );
    }
}
