//! What comes out: rows, column by column.

/// A chunk of output rows, borrowed from the engine (or from the bytes of [`crate::wire`]).
///
/// [`crate::OutputSchema`] names the columns. Rows stand in their defined order; `firing`, and then the window's end,
/// start and key, is also the order in which rows of several shards are merged.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The watermark that each row waited for, microseconds.
    pub firing: &'a [i64],
    /// Where the encoded key of each row starts in `key_bytes`, and the end of the last one.
    pub key_offsets: &'a [u32],
    /// The encoded keys ([`crate::key`]), end to end; all empty where the pipeline names no key.
    pub key_bytes: &'a [u8],
    /// The columns, as [`crate::OutputSchema::columns`] lists them.
    pub columns: Vec<RowColumn<'a>>,
}

/// One column of output rows.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RowColumn<'a> {
    /// Microseconds since the epoch; [`crate::time::NULL_TIME`] is null.
    Time(&'a [i64]),
    /// Numbers; NaN is null, no other value is non-finite.
    Number(&'a [f64]),
}

impl<'a> Rows<'a> {
    /// Rows in this chunk.
    #[must_use]
    pub fn len(&self) -> usize {
        self.firing.len()
    }

    /// Whether the chunk has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.firing.is_empty()
    }

    /// The encoded key of row `row`; empty beyond the end.
    #[must_use]
    pub fn key(&self, row: usize) -> &'a [u8] {
        let bounds = (self.key_offsets.get(row), self.key_offsets.get(row + 1));
        let (Some(&start), Some(&end)) = bounds else { return &[] };
        self.key_bytes.get(start as usize..end as usize).unwrap_or(&[])
    }
}
