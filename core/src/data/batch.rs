//! Batches of events: the input of the engine, column by column.

/// A batch of events, borrowed from the caller. Each column has one entry per event.
///
/// All columns have the length of `timestamps`; [`crate::Engine::push`] returns an error if one
/// differs. [`crate::BatchBuilder`] makes batches event by event. A caller whose data is in columns
/// already lends them:
/// ```
/// use stream_processor_core::{Batch, Column, Engine, KeyColumn, Options, PipelineSpec};
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let batch = Batch {
///     timestamps: &[100_000, 900_000, 1_500_000],
///     keys: KeyColumn::Text { offsets: &[0, 3, 6, 9], bytes: b"apiapiweb" },
///     columns: &[Column::F64(&[1.0, 2.0, 5.0])],
///     ..Batch::default()
/// };
/// assert_eq!(engine.push(&batch)?.consumed, 3);
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
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
    /// The ordinal of each event in the whole stream. If absent, the engine counts on from the last
    /// event.
    pub ordinals: Option<&'a [u64]>,
    /// The stream's watermark as each event arrives, as computed by a splitter. If absent, the
    /// engine computes it.
    pub watermarks: Option<&'a [i64]>,
    /// The partition of each event, if the pipeline names a field for it: ids defined by the caller
    /// with [`crate::Engine::define_partitions`].
    pub partitions: Option<&'a [u32]>,
}

/// The keys of the events of a batch.
/// ```
/// use stream_processor_core::KeyColumn;
/// // The keys "api", "web" and "api" of a pipeline with one key field.
/// let keys = KeyColumn::Text { offsets: &[0, 3, 6, 9], bytes: b"apiwebapi" };
/// # assert!(matches!(keys, KeyColumn::Text { .. }));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub enum KeyColumn<'a> {
    /// The pipeline has no key fields: one stream.
    #[default]
    Unkeyed,
    /// Ids defined by the caller with [`crate::Engine::define_keys`].
    Ids(&'a [u32]),
    /// Encoded keys ([`crate::key`]) in Arrow's layout of strings: `offsets` has one entry more
    /// than there are events.
    Encoded {
        /// The offset in `bytes` where each key starts, then the end of the last one.
        offsets: &'a [u32],
        /// The encoded keys, concatenated.
        bytes: &'a [u8],
    },
    /// Strings in Arrow's layout, for pipelines with one key field: `offsets` has one entry more
    /// than there are events.
    Text {
        /// The offset in `bytes` where each string starts, then the end of the last one.
        offsets: &'a [u32],
        /// The strings in UTF-8, concatenated.
        bytes: &'a [u8],
    },
}

/// The identity of an event, for deduplication: 128 bits, the low half first.
pub type Identity = [u64; 2];

/// The identity of an event without one.
pub const NO_IDENTITY: Identity = [0; 2];

/// Stands in a batch for the identity of an event that the host has found to be new, such as by a
/// store that several processes share. The `dedup` stage passes the event and remembers nothing.
pub const FOUND_NEW: Identity = [0, 1];

/// Stands in a batch for the identity of an event that the host has found to be a duplicate. The
/// `dedup` stage drops and counts the event.
pub const FOUND_DUPLICATE: Identity = [0, 2];

/// One column of a batch.
/// ```
/// use stream_processor_core::Column;
/// let column = Column::F64(&[31.0, f64::NAN, 45.0]);
/// assert_eq!(column.len(), 3);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Column<'a> {
    /// Numbers; NaN means missing.
    F64(&'a [f64]),
}

impl Column<'_> {
    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
        }
    }

    /// Returns whether the column has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
