//! The ids of a whole column of keys.

use super::{Keys, NONE};
use crate::key;
use crate::util::byte_table::ByteTable;
use crate::util::short_bytes::head_at;

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
        self.intern_each(offsets, bytes, ids, find_keys, |keys, bytes| {
            // What is known was valid when it came.
            valid(bytes).then(|| keys.intern(bytes))
        })
    }

    /// The same for keys that are one string each, and come without the encoding of keys.
    ///
    /// # Errors
    /// The place of the first one that is not UTF-8.
    pub(crate) fn intern_texts(
        &mut self,
        offsets: &[u32],
        bytes: &[u8],
        ids: &mut Vec<u32>,
    ) -> Result<(), usize> {
        let find = if key::needs_escape(bytes) { find_nothing } else { find_texts };
        let mut key = Vec::new();
        self.intern_each(offsets, bytes, ids, find, |keys, text| {
            key.clear();
            key::push_str(&mut key, core::str::from_utf8(text).ok()?);
            Some(keys.intern(&key))
        })
    }

    /// Writes the ids that `find` finds, and between them those that `add` gives.
    fn intern_each(
        &mut self,
        offsets: &[u32],
        bytes: &[u8],
        ids: &mut Vec<u32>,
        find: fn(&ByteTable, &[u32], &[u8], &mut [u32]) -> usize,
        mut add: impl FnMut(&mut Self, &[u8]) -> Option<u32>,
    ) -> Result<(), usize> {
        // What is there from the batch before is written over.
        ids.resize(offsets.len().saturating_sub(1), NONE);
        let (mut at, mut offsets, mut ids) = (0, offsets, ids.as_mut_slice());
        loop {
            let found = find(&self.table, offsets, bytes, ids);
            let (Some([start, end]), Some(id)) =
                (offsets.get(found..).and_then(<[u32]>::first_chunk), ids.get_mut(found))
            else {
                return Ok(());
            };
            let key = bytes.get(*start as usize..*end as usize).unwrap_or_default();
            *id = add(self, key).ok_or(at + found)?;
            at += found + 1;
            offsets = offsets.get(found + 1..).unwrap_or_default();
            ids = ids.get_mut(found + 1..).unwrap_or_default();
        }
    }
}

/// Writes the ids of the keys that `offsets` cut out of `bytes`, as far as they are known; returns how many these are.
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn find_keys(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    find_run(offsets, ids, |start, len| match head_at(bytes, start, len) {
        Some(head) => table.find_short(head, len),
        None => table.find_long(bytes.get(start..start + len).unwrap_or_default()),
    })
}

/// The same for strings without an escape.
fn find_texts(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    let mut found = 0;
    loop {
        let (offsets, ids) = (offsets.get(found..), ids.get_mut(found..));
        let (Some(offsets), Some(ids)) = (offsets, ids) else { return found };
        let first = find_first_texts(table, offsets, bytes, ids);
        let offsets = offsets.get(first..).unwrap_or_default();
        let rest = ids.get_mut(first..).unwrap_or_default();
        let more = find_more_texts(table, offsets, bytes, rest);
        found += first + more;
        if more < TURN {
            return found;
        }
    }
}

/// As many strings as find their keys at once make one turn of the loop: at each, wasmtime looks at the deadline, and stores
/// and loads again all that the loop has in registers.
const TURN: usize = 4;

/// The hot loop, which calls nothing: goes on while short strings are where they are looked for first.
#[inline(never)]
fn find_first_texts(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    let find = |start: u32, end: u32| {
        key::find_text_first(table, bytes, start as usize, end.wrapping_sub(start) as usize)
    };
    let ends = offsets.get(1..).unwrap_or_default();
    let (starts, ends) = (offsets.as_chunks::<TURN>().0, ends.as_chunks::<TURN>().0);
    let mut found = 0;
    for ((starts, ends), ids) in starts.iter().zip(ends).zip(ids.as_chunks_mut::<TURN>().0) {
        let ([a, b, c, d], [e, f, g, h]) = (*starts, *ends);
        *ids = [find(a, e), find(b, f), find(c, g), find(d, h)];
        if ids.iter().fold(0, |all, id| all | id).cast_signed() < 0 {
            break;
        }
        found += TURN;
    }
    found
}

/// Goes on, at most a turn, with whatever strings there are.
#[inline(never)]
fn find_more_texts(table: &ByteTable, offsets: &[u32], bytes: &[u8], ids: &mut [u32]) -> usize {
    let turn = ids.len().min(TURN);
    let ids = ids.get_mut(..turn).unwrap_or_default();
    find_run(offsets, ids, |start, len| key::find_text(table, bytes, start, len))
}

/// The same for strings of which some have escapes: each has to be encoded.
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
