//! The encoded keys of the rows that were polled last.

use crate::data::frame::common_key;
use crate::keys::Keys;

/// Encoded keys in the layout of [`crate::Rows`].
#[derive(Default)]
pub(super) struct PolledKeys {
    pub(super) offsets: Vec<u32>,
    pub(super) bytes: Vec<u8>,
}

impl PolledKeys {
    pub(super) fn clear(&mut self) {
        self.offsets.clear();
        self.bytes.clear();
    }

    /// Replaces the list by the keys of `rows`.
    pub(super) fn set(&mut self, rows: &[u32], keys: &Keys) {
        self.clear();
        self.offsets.push(0);
        if common_key(rows).is_some_and(|key| keys.bytes(key).is_empty()) {
            self.offsets.resize(1 + rows.len(), 0);
            return;
        }
        for key in rows {
            self.bytes.extend_from_slice(keys.bytes(*key));
            self.offsets.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        }
    }
}
