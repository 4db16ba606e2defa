//! Rows: the output of the engine, column by column.

/// A chunk of output rows, borrowed from the engine (or from the bytes of [`crate::wire`]).
///
/// [`crate::OutputSchema`] names the columns. Rows are sorted by `firing`, `ranks`, the time
/// columns in [`crate::OutputSchema::order`], and the bytes of the key. Rows of several shards are
/// merged in this order too.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The watermark that each row waited for, microseconds; 0 if it waited for none.
    pub firing: &'a [i64],
    /// Orders rows with the same `firing`: 0 for on-time rows, greater for revisions. Rows that are
    /// events of the source have their ordinal here.
    pub ranks: &'a [u64],
    /// The offset in `key_bytes` where the encoded key of each row starts, then the end of the last
    /// one.
    pub key_offsets: &'a [u32],
    /// The encoded keys ([`crate::key`]), concatenated; all empty if the pipeline has no key.
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
    /// Numbers; NaN is null. No value is infinite.
    Number(&'a [f64]),
    /// 0 is false, all other values are true.
    Bool(&'a [u8]),
}

impl RowColumn<'_> {
    /// Returns the size of the values in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Time(times) => size_of_val(*times),
            Self::Number(numbers) => size_of_val(*numbers),
            Self::Bool(bools) => size_of_val(*bools),
        }
    }
}

impl<'a> Rows<'a> {
    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.firing.len()
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.firing.is_empty()
    }

    /// Returns the encoded key of row `row`; empty beyond the end.
    #[must_use]
    pub fn key(&self, row: usize) -> &'a [u8] {
        let bounds = (self.key_offsets.get(row), self.key_offsets.get(row + 1));
        let (Some(&start), Some(&end)) = bounds else { return &[] };
        self.key_bytes.get(start as usize..end as usize).unwrap_or(&[])
    }
}
