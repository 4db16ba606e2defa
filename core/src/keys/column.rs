//! The ids of a whole column of keys.

use super::{Keys, NONE};
use crate::byte_table::head_at;

impl Keys {
    /// Writes the ids of the keys that `offsets` cut out of `bytes`, each found or, if it is `valid`, added.
    ///
    /// # Errors
    /// The place of the first key that is neither known nor valid.
    pub(crate) fn intern_column(
        &mut self,
        offsets: &[u32],
        bytes: &[u8],
        valid: impl Fn(&[u8]) -> bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), usize> {
        let count = offsets.len().saturating_sub(1);
        ids.clear();
        ids.resize(count, NONE);
        let mut at = 0;
        loop {
            let (offsets, ids) = (offsets.get(at..).unwrap_or_default(), ids.get_mut(at..));
            let Some(ids) = ids.filter(|ids| !ids.is_empty()) else { return Ok(()) };
            let found = self.find_run(offsets, bytes, ids);
            let [Some(start), Some(end)] = [found, found + 1].map(|place| offsets.get(place))
            else {
                return Ok(());
            };
            let key = bytes.get(*start as usize..*end as usize).unwrap_or_default();
            // What is known was valid when it came.
            if !valid(key) {
                return Err(at + found);
            }
            let id = self.intern(key);
            if let Some(entry) = ids.get_mut(found) {
                *entry = id;
            }
            at += found + 1;
        }
    }

    /// The same as far as keys are known; returns how many these are.
    // Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
    #[inline(never)]
    fn find_run(&self, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
        let ends = offsets.get(1..).unwrap_or_default();
        let mut found = 0;
        for ((start, end), id) in offsets.iter().zip(ends).zip(ids) {
            let (start, end) = (*start as usize, *end as usize);
            let len = end.saturating_sub(start);
            *id = match head_at(bytes, start, len) {
                Some(head) => self.table.find_short(head, len),
                None => self.table.find(bytes.get(start..end).unwrap_or_default()),
            };
            if *id == NONE {
                break;
            }
            found += 1;
        }
        found
    }
}
