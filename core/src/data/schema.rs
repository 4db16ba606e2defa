//! The columns that a pipeline reads and those that it writes, derived from its description.

use crate::spec::Strategy;

/// The columns that a batch for a pipeline must contain. Created by [`crate::Plan::new`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputSchema {
    /// The field that holds the event time.
    pub timestamp: String,
    /// The key fields, in order; empty for one stream. Fields added by `key_by` follow those of the
    /// source.
    pub key: Vec<String>,
    /// The field that names the partition of the source; `None` if the source has no partitions.
    pub partition: Option<String>,
    /// The other fields, in the order of [`crate::Batch::columns`].
    pub columns: Vec<InputColumn>,
    /// The identity columns, each with its strategies, in the order of
    /// [`crate::Batch::identities`].
    pub identities: Vec<Vec<Strategy>>,
}

/// One field that events carry into the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputColumn {
    /// The field's name in the events.
    pub name: String,
    /// The kind of its column.
    pub kind: InputKind,
    /// True if an event without it, or with null, is rejected (the configured `value`). Otherwise
    /// the value is missing.
    pub required: bool,
}

/// The kind of an input column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputKind {
    /// Numbers.
    F64,
    /// Numbers too, but the text reader takes true for 1 and false for 0.
    Flag,
    /// Strings, numbers, true and false, each as its [`crate::key::fingerprint`].
    Text,
}

/// The columns of a pipeline's rows. Created by [`crate::Plan::new`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputSchema {
    /// The key fields, printed first.
    pub key: Vec<String>,
    /// The other columns of a row, in the order of printing and of [`crate::Rows::columns`].
    pub columns: Vec<OutputColumn>,
    /// The indexes of the time columns that order rows, the most significant first.
    pub order: Vec<usize>,
    /// True if rows are events of the source, passed with all their fields. If set,
    /// [`crate::Rows::ranks`] has the ordinal of each event, and there are no columns.
    pub passes_events: bool,
}

/// One column of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// The name that it is printed under.
    pub name: String,
    /// The kind of its values.
    pub kind: OutputKind,
}

/// The kind of an output column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputKind {
    /// Microseconds since the epoch, printed as RFC 3339; [`crate::time::NULL_TIME`] is null.
    Time,
    /// A number; NaN is null.
    Number,
    /// True or false.
    Bool,
}
