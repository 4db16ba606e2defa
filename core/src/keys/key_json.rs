//! Keys as JSON text, the form in which JavaScript gives and receives them.

use crate::data::rows::Rows;
use crate::engine::KeyDefinitions;
use crate::error::Error;
use crate::key::{self, KeyField};
use crate::keys::interner::Interner;
use crate::text::{read_fingerprints, read_keys};

/// The number of keys, or of their bytes, at which [`RowKeys`] starts ids over.
const MAX_KEYS: usize = 65_536;
const MAX_KEY_BYTES: usize = 1 << 22;

/// Key definitions that own their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedKeyDefinitions {
    ids: Vec<u32>,
    offsets: Vec<u32>,
    bytes: Vec<u8>,
}

impl OwnedKeyDefinitions {
    /// Reads a JSON array of keys and assigns `ids` to them in turn. A key is a string, a number,
    /// a boolean or null, or an array of these if the pipeline has several key fields. Numbers keep
    /// all their digits.
    /// ```
    /// use stream_processor_core::key_json::OwnedKeyDefinitions;
    /// assert!(OwnedKeyDefinitions::from_json(r#"[["eu", 7], ["us", 7]]"#, 0.., 2).is_ok());
    /// assert!(OwnedKeyDefinitions::from_json(r#"["eu", {}]"#, 0.., 1).is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidKey`] for a key of another form, [`Error::MalformedBlock`] for text that is
    /// not an array of keys.
    pub fn from_json(
        text: &str,
        ids: impl IntoIterator<Item = u32>,
        fields: usize,
    ) -> Result<Self, Error> {
        let mut definitions = Self { offsets: vec![0], ..Self::default() };
        let Self { ids: own, offsets, bytes } = &mut definitions;
        read_keys(text, fields, bytes, offsets)?;
        own.extend(ids.into_iter().take(offsets.len() - 1));
        if own.len() + 1 == offsets.len() {
            Ok(definitions)
        } else {
            Err(Error::MalformedBlock("there are fewer ids than keys"))
        }
    }

    /// Returns the definitions for [`crate::Engine::define_keys`].
    #[must_use]
    pub fn as_definitions(&self, reset: bool) -> KeyDefinitions<'_> {
        KeyDefinitions { reset, ids: &self.ids, offsets: &self.offsets, bytes: &self.bytes }
    }
}

/// Returns the [`key::fingerprint`] of each value of a JSON array of strings, numbers and booleans.
///
/// # Errors
/// As for [`OwnedKeyDefinitions::from_json`].
pub fn fingerprints_from_json(text: &str) -> Result<Vec<f64>, Error> {
    read_fingerprints(text)
}

/// Ids for the keys of rows, for a receiver that caches the keys: each key is sent as text only
/// once.
///
/// These ids are independent of the engine's ids, so they stay valid when the engine removes or
/// restores keys.
#[derive(Debug, Clone)]
pub struct RowKeys {
    interner: Interner,
    fields: usize,
}

impl RowKeys {
    /// Creates ids for keys of `fields` fields; `seed` is the seed of the table, as in
    /// [`Interner::new`].
    #[must_use]
    pub fn new(fields: usize, seed: u64) -> Self {
        Self { interner: Interner::new(seed), fields }
    }

    /// Appends the id of each row's key to `ids`. Appends the keys that the receiver has not seen
    /// to `new`, as a JSON array; each key is itself an array if there are several fields.
    /// `JSON.parse` would round integers beyond ±2^53: these are written as
    /// `{"int":"9007199254740993"}`. Returns the id of the first new key: the receiver must discard
    /// that id and all above. Appends nothing if the pipeline has no key, and nothing to `new` if
    /// no key is new.
    pub fn write(&mut self, rows: &Rows<'_>, ids: &mut Vec<u32>, new: &mut Vec<u8>) -> u32 {
        if self.fields == 0 {
            return 0;
        }
        if self.interner.len() >= MAX_KEYS || self.interner.total_bytes() >= MAX_KEY_BYTES {
            self.interner.clear();
        }
        let first_new = u32::try_from(self.interner.len()).unwrap_or(u32::MAX);
        ids.extend((0..rows.len()).map(|row| self.interner.intern(rows.key(row))));
        for (id, key) in self.interner.entries_from(first_new) {
            new.push(if id == first_new { b'[' } else { b',' });
            write_key(key, self.fields, new);
        }
        if !new.is_empty() {
            new.push(b']');
        }
        first_new
    }
}

fn write_key(key: &[u8], fields: usize, out: &mut Vec<u8>) {
    if fields > 1 {
        out.push(b'[');
    }
    for (index, field) in key::fields(key).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_field(&field, out);
    }
    if fields > 1 {
        out.push(b']');
    }
}

fn write_field(field: &KeyField<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    if let KeyField::Number(number) = field {
        out.extend_from_slice(b"{\"int\":\"");
        if number.write_big_integer(out) {
            return out.extend_from_slice(b"\"}");
        }
        out.truncate(start);
    }
    field.write_json(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_keys(keys: &mut RowKeys, text: &str) -> (Vec<u32>, u32, String) {
        let OwnedKeyDefinitions { ids, offsets, bytes } =
            OwnedKeyDefinitions::from_json(text, 5.., keys.fields).unwrap();
        assert!(ids.iter().zip(5..).all(|(id, expected)| *id == expected));
        let (firing, ranks) = (vec![0; ids.len()], vec![0; ids.len()]);
        let rows = Rows {
            schema: None,
            firing: &firing,
            ranks: &ranks,
            key_offsets: &offsets,
            key_bytes: &bytes,
            columns: vec![],
        };
        let (mut ids, mut new) = (Vec::new(), Vec::new());
        let first_new = keys.write(&rows, &mut ids, &mut new);
        (ids, first_new, String::from_utf8(new).unwrap())
    }

    #[test]
    fn keys_round_trip() {
        let text = r#"["a","","é\n",7,-0.5,1e-7,true,false,null]"#;
        assert_eq!(written_keys(&mut RowKeys::new(1, 0), text).2, text);
        let text = r#"[["a",1],["a","1"]]"#;
        assert_eq!(written_keys(&mut RowKeys::new(2, 0), text).2, text);
        assert_eq!(written_keys(&mut RowKeys::new(0, 0), "[[],[]]"), (vec![], 0, String::new()));
    }

    #[test]
    fn integers_beyond_2_to_the_53_keep_all_digits() {
        let text = "[9007199254740992, 9007199254740993,-9007199254740994, 1e21,\n1.5e16,9007199254740991.5e1]";
        let expected = r#"[9007199254740992,{"int":"9007199254740993"},{"int":"-9007199254740994"},{"int":"1000000000000000000000"},{"int":"15000000000000000"},{"int":"90071992547409915"}]"#;
        assert_eq!(written_keys(&mut RowKeys::new(1, 0), text).2, expected);
        let text = "[[123456789012345678901234567890,0.1]]";
        let expected = r#"[[{"int":"123456789012345678901234567890"},0.1]]"#;
        assert_eq!(written_keys(&mut RowKeys::new(2, 0), text).2, expected);
    }

    #[test]
    fn doubles_keep_their_last_digit() {
        for value in
            [0.1 + 0.2, 1.0 / 3.0, 123.456_789_012_345_67, 5e-324, 2.225_073_858_507_201_4e-308]
        {
            let text = format!("[{}]", ryu_js::Buffer::new().format_finite(value));
            assert_eq!(written_keys(&mut RowKeys::new(1, 0), &text).2, text);
        }
    }

    #[test]
    fn each_key_is_written_as_text_once() {
        let mut keys = RowKeys::new(1, 3);
        assert_eq!(
            written_keys(&mut keys, r#"["b","a","b",1]"#),
            (vec![0, 1, 0, 2], 0, r#"["b","a",1]"#.into())
        );
        assert_eq!(
            written_keys(&mut keys, r#"[1,"1","a"]"#),
            (vec![2, 3, 1], 3, r#"["1"]"#.into())
        );
        assert_eq!(written_keys(&mut keys, r#"["1","b"]"#), (vec![3, 0], 4, String::new()));
        assert_eq!(written_keys(&mut keys, "[]"), (vec![], 4, String::new()));
    }

    #[test]
    fn ids_start_over_at_the_limits() {
        let mut keys = RowKeys::new(1, 3);
        let many = Vec::from_iter(0..MAX_KEYS);
        assert_eq!(written_keys(&mut keys, &format!("{many:?}")).0.len(), MAX_KEYS);
        assert_eq!(written_keys(&mut keys, "[7,8,7]"), (vec![0, 1, 0], 0, "[7,8]".into()));
        let long = format!("[\"{}\"]", "x".repeat(MAX_KEY_BYTES));
        assert_eq!(written_keys(&mut keys, &long), (vec![2], 2, long));
        assert_eq!(written_keys(&mut keys, "[8]"), (vec![0], 0, "[8]".into()));
    }

    #[test]
    fn malformed_keys_are_refused() {
        for (text, fields) in
            [("[{}]", 1), ("[[1]]", 1), ("[1]", 2), ("[[1,2,3]]", 2), ("[1]", 0), ("[1e400]", 1)]
        {
            let error = OwnedKeyDefinitions::from_json(text, 0.., fields).unwrap_err();
            assert_eq!(error, Error::InvalidKey { index: 0, fields }, "{text}");
        }
        for text in ["{}", "", "[", "[1", "[1,]", "[1] 2", "[1 2]", "[01]", "[nul]"] {
            let error = OwnedKeyDefinitions::from_json(text, 0.., 1).unwrap_err();
            assert_eq!(error.code(), "malformed_block", "{text}");
        }
    }
}
