//! The columns that a pipeline reads and the columns that it writes, both derived from its description.

use crate::spec::Strategy;

/// What a batch for a pipeline must contain. Made by [`crate::Plan::new`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputSchema {
    /// The field that holds the event time.
    pub timestamp: String,
    /// The fields that make the key, in order; empty: one stream. Behind those of the source are the fields that `key_by` adds.
    pub key: Vec<String>,
    /// The field that names the partition of the source that an event came by; none: there is one.
    pub partition: Option<String>,
    /// The other fields, in the order of [`crate::Batch::columns`].
    pub columns: Vec<InputColumn>,
    /// The ways to tell identities, each with its strategies, in the order of [`crate::Batch::identities`].
    pub identities: Vec<Vec<Strategy>>,
}

/// One field that events carry into the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputColumn {
    /// The field's name in the events.
    pub name: String,
    /// The kind of its column.
    pub kind: InputKind,
    /// Whether an event without it, or with null, is rejected (the configured `value`); otherwise it is missing there.
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
    /// Texts, numbers, true and false, each as its [`crate::key::fingerprint`].
    Text,
}

/// What the rows of a pipeline look like. Made by [`crate::Plan::new`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputSchema {
    /// The key fields, printed first.
    pub key: Vec<String>,
    /// The other columns of a row, in the order in which they are printed and in that of [`crate::Rows::columns`].
    pub columns: Vec<OutputColumn>,
    /// The columns of times that order rows, the first first.
    pub order: Vec<usize>,
    /// Whether rows are events of the source as they came, all their fields: then [`crate::Rows::ranks`] has the ordinal of
    /// each, and there are no columns.
    pub passes_events: bool,
}

/// One column of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// The name it is printed under.
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
