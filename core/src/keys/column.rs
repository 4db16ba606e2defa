//! Interning of whole columns of keys.

use super::{Keys, NONE, TOO_LONG};
use crate::key;
use crate::util::byte_table::ByteTable;
use crate::util::short_bytes::head_at;

/// Says if all keys of a column fit `limits.max_key_bytes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum KeyLengths {
    #[default]
    AllFit,
    /// The events with the id [`TOO_LONG`] are rejected.
    SomeTooLong,
}

impl Keys {
    /// Stores the ids of the keys that `offsets` cut out of `bytes`; [`TOO_LONG`] for keys that are
    /// too long. Unknown keys are added if `valid` accepts them.
    ///
    /// # Errors
    /// The index of the first key that is neither known nor valid.
    pub(crate) fn intern_column(
        &mut self,
        offsets: &[u32],
        bytes: &[u8],
        valid: impl Fn(&[u8]) -> bool,
        ids: &mut Vec<u32>,
    ) -> Result<KeyLengths, usize> {
        self.intern_each(offsets, bytes, ids, find_keys, |keys, bytes| {
            // Known keys were validated when they were added.
            valid(bytes).then(|| keys.intern_given(bytes))
        })
    }

    /// Does the same for keys of one string field, given as plain strings instead of encoded keys.
    ///
    /// # Errors
    /// The index of the first string that is not UTF-8.
    pub(crate) fn intern_texts(
        &mut self,
        offsets: &[u32],
        bytes: &[u8],
        ids: &mut Vec<u32>,
    ) -> Result<KeyLengths, usize> {
        let find = if key::needs_escape(bytes) { find_nothing } else { find_texts };
        let mut key = Vec::new();
        self.intern_each(offsets, bytes, ids, find, |keys, text| {
            key.clear();
            key::push_str(&mut key, core::str::from_utf8(text).ok()?);
            Some(keys.intern_given(&key))
        })
    }

    /// Stores the ids that `find` finds; where it finds none, the id that `add` returns.
    fn intern_each(
        &mut self,
        offsets: &[u32],
        bytes: &[u8],
        ids: &mut Vec<u32>,
        find: fn(&ByteTable, &[u32], &[u8], &mut [u32]) -> usize,
        mut add: impl FnMut(&mut Self, &[u8]) -> Option<u32>,
    ) -> Result<KeyLengths, usize> {
        let mut lengths = KeyLengths::AllFit;
        // Entries of the previous batch are overwritten.
        ids.resize(offsets.len().saturating_sub(1), NONE);
        let (mut at, mut offsets, mut ids) = (0, offsets, ids.as_mut_slice());
        loop {
            let found = find(&self.table, offsets, bytes, ids);
            let (Some([start, end]), Some(id)) =
                (offsets.get(found..).and_then(<[u32]>::first_chunk), ids.get_mut(found))
            else {
                return Ok(lengths);
            };
            let key = bytes.get(*start as usize..*end as usize).unwrap_or_default();
            *id = add(self, key).ok_or(at + found)?;
            if *id == TOO_LONG {
                lengths = KeyLengths::SomeTooLong;
            }
            at += found + 1;
            offsets = offsets.get(found + 1..).unwrap_or_default();
            ids = ids.get_mut(found + 1..).unwrap_or_default();
        }
    }
}

/// Stores the ids of the keys that `offsets` cut out of `bytes`, up to the first unknown key.
/// Returns their number.
// A separate function: wasmtime's compiler keeps a loop's variables in registers only in small
// functions.
#[inline(never)]
fn find_keys(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    find_run(offsets, ids, |start, len| match head_at(bytes, start, len) {
        Some(head) => table.find_short(head, len),
        None => table.find_long(bytes.get(start..start + len).unwrap_or_default()),
    })
}

/// Does the same for strings without escapes.
fn find_texts(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    let mut found = 0;
    loop {
        let (offsets, ids) = (offsets.get(found..), ids.get_mut(found..));
        let (Some(offsets), Some(ids)) = (offsets, ids) else { return found };
        let first = find_texts_fast(table, offsets, bytes, ids);
        let offsets = offsets.get(first..).unwrap_or_default();
        let rest = ids.get_mut(first..).unwrap_or_default();
        let more = find_texts_slow(table, offsets, bytes, rest);
        found += first + more;
        if more < KEYS_PER_ITERATION {
            return found;
        }
    }
}

/// The number of strings that one loop iteration looks up. In each iteration, wasmtime checks the
/// deadline, and stores and reloads all loop variables held in registers.
const KEYS_PER_ITERATION: usize = 4;

/// The hot loop, without calls: continues while short strings are in their first two table slots.
#[inline(never)]
fn find_texts_fast(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    let find = |start: u32, end: u32| {
        key::find_text_first(table, bytes, start as usize, end.wrapping_sub(start) as usize)
    };
    let ends = offsets.get(1..).unwrap_or_default();
    let (starts, ends) =
        (offsets.as_chunks::<KEYS_PER_ITERATION>().0, ends.as_chunks::<KEYS_PER_ITERATION>().0);
    let mut found = 0;
    for ((starts, ends), ids) in
        starts.iter().zip(ends).zip(ids.as_chunks_mut::<KEYS_PER_ITERATION>().0)
    {
        let ([a, b, c, d], [e, f, g, h]) = (*starts, *ends);
        *ids = [find(a, e), find(b, f), find(c, g), find(d, h)];
        if ids.iter().fold(0, |all, id| all | id).cast_signed() < 0 {
            break;
        }
        found += KEYS_PER_ITERATION;
    }
    found
}

/// Looks up the next strings, at most one iteration's number, with the general look-up.
#[inline(never)]
fn find_texts_slow(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    let count = ids.len().min(KEYS_PER_ITERATION);
    let ids = ids.get_mut(..count).unwrap_or_default();
    find_run(offsets, ids, |start, len| key::find_text(table, bytes, start, len))
}

/// Finds nothing: for columns with escapes, where each string has to be encoded first.
fn find_nothing(_: &ByteTable, _: &[u32], _: &[u8], _: &mut [u32]) -> usize {
    0
}

#[inline(always)]
fn find_run(offsets: &[u32], ids: &mut [u32], find: impl Fn(usize, usize) -> u32) -> usize {
    let ends = offsets.get(1..).unwrap_or_default();
    let mut found = 0;
    for ((start, end), id) in offsets.iter().zip(ends).zip(ids) {
        *id = find(*start as usize, end.wrapping_sub(*start) as usize);
        if *id == NONE {
            break;
        }
        found += 1;
    }
    found
}
