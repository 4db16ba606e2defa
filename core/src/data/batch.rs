//! What goes in: columnar batches of events.

/// A batch of events, borrowed from the caller, one entry of each column per event.
///
/// All columns have the length of `timestamps`; [`crate::Engine::push`] refuses a batch in which one differs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batch<'a> {
    /// Event times, microseconds since the epoch.
    pub timestamps: &'a [i64],
    /// The key of each event.
    pub keys: KeyColumn<'a>,
    /// The columns of [`crate::InputSchema::columns`], in that order.
    pub columns: &'a [Column<'a>],
    /// The identities of the events by each of [`crate::InputSchema::identities`], in that order.
    pub identities: &'a [&'a [Identity]],
    /// The place of each event in the whole stream; absent: the engine counts on from the last one.
    pub ordinals: Option<&'a [u64]>,
    /// The stream's watermark as each event arrives, where a splitter has judged it; absent: the engine judges.
    pub watermarks: Option<&'a [i64]>,
    /// The partition that each event came by, where the pipeline names a field for it: the caller's own ids, which it has
    /// defined by [`crate::Engine::define_partitions`].
    pub partitions: Option<&'a [u32]>,
}

/// How a batch names the key of each event.
#[derive(Debug, Clone, Copy, Default)]
pub enum KeyColumn<'a> {
    /// The pipeline names no key: one stream.
    #[default]
    Unkeyed,
    /// The caller's own ids, which it has defined by [`crate::Engine::define_keys`].
    Ids(&'a [u32]),
    /// Encoded keys ([`crate::key`]) as Arrow lays out text: `offsets` has one entry more than there are events.
    Encoded {
        /// Where each key starts in `bytes`, and the end of the last one.
        offsets: &'a [u32],
        /// The encoded keys, end to end.
        bytes: &'a [u8],
    },
    /// Strings as Arrow lays out text, for pipelines with one key field: `offsets` has one entry more than there are events.
    Text {
        /// Where each string starts in `bytes`, and the end of the last one.
        offsets: &'a [u32],
        /// The strings in UTF-8, end to end.
        bytes: &'a [u8],
    },
}

/// What makes an event the same event when it comes again: 128 bits, the low half first.
pub type Identity = [u64; 2];

/// The identity of an event that has none.
pub const NO_IDENTITY: Identity = [0; 2];

/// One column of a batch.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Column<'a> {
    /// Numbers; NaN means missing.
    F64(&'a [f64]),
}

impl Column<'_> {
    /// Entries in this column.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
        }
    }

    /// Whether the column has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
