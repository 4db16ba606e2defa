//! A batch of entries that can be handed to another thread.

use crate::state::StateError;

/// Keys and values in one allocation.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// The end of each key, and the end of its value.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    pub(super) fn copy_of(entries: &[(&[u8], &[u8])]) -> Self {
        let size = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        let mut batch =
            Self { bytes: Vec::with_capacity(size), ends: Vec::with_capacity(entries.len()) };
        for (key, value) in entries {
            batch.bytes.extend_from_slice(key);
            let key_end = batch.bytes.len();
            batch.bytes.extend_from_slice(value);
            batch.ends.push((key_end, batch.bytes.len()));
        }
        batch
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(key_end, end)| {
            let key = self.bytes.get(start..*key_end).unwrap_or_default();
            start = *end;
            (key, self.bytes.get(*key_end..*end).unwrap_or_default())
        })
    }

    /// Looks up each key and puts those that are absent. Returns the values of the others.
    ///
    /// Goes by the order of keys, in which sorted stores find and insert them faster. Of entries
    /// with one key, the first is put.
    pub(super) fn put_if_absent(
        &self,
        get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StateError>,
        mut put: impl FnMut(Vec<u8>, &[u8]),
    ) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let mut entries: Vec<_> = self.entries().enumerate().collect();
        entries.sort_by_key(|(_, (key, _))| *key);
        let mut found = vec![None; self.len()];
        // The entry that was put last.
        let mut new = None;
        for (index, (key, value)) in entries {
            let stored = match new {
                Some((new_key, new_value)) if new_key == key => Some(<[u8]>::to_vec(new_value)),
                _ => get(key)?,
            };
            if stored.is_none() {
                put(key.to_vec(), value);
                new = Some((key, value));
            }
            if let Some(place) = found.get_mut(index) {
                *place = stored;
            }
        }
        Ok(found)
    }
}
