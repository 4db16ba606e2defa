//! What comes out: rows, column by column.

/// A chunk of output rows, borrowed from the engine (or from the bytes of [`crate::wire`]).
///
/// [`crate::OutputSchema`] names the columns. Rows stand in their defined order, in which those of several shards are
/// merged too: by `firing`, `ranks`, the times that [`crate::OutputSchema::order`] names, and the bytes of the key.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The watermark that each row waited for, microseconds; 0 where it waited for none.
    pub firing: &'a [i64],
    /// What orders rows that waited for the same: 0 for rows that came when they were due, larger for revisions. Rows that
    /// are events of the source have their place in the stream here.
    pub ranks: &'a [u64],
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
    /// 0 is false, all else is true.
    Bool(&'a [u8]),
}

impl RowColumn<'_> {
    /// Bytes of its values.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Time(times) => size_of_val(*times),
            Self::Number(numbers) => size_of_val(*numbers),
            Self::Bool(bools) => size_of_val(*bools),
        }
    }
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
