//! The columns that a pipeline reads and those that it writes, derived from its description.

use crate::spec::{OnNullKey, Strategy};

/// The columns that a batch for a pipeline must contain. Created by [`crate::Plan::new`].
/// ```
/// use stream_processor_core::{PipelineSpec, Plan};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let plan = Plan::new(&spec)?;
/// assert_eq!(plan.input.key, ["service"]);
/// assert_eq!(plan.input.columns[0].name, "latency");
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputSchema {
    /// The field that holds the event time.
    pub timestamp: String,
    /// True if events may lack the event time, since no stage uses it. They have the time 0.
    pub time_is_optional: bool,
    /// The key fields, in order; empty for one stream. Fields added by `key_by` follow those of the
    /// source.
    pub key: Vec<String>,
    /// The treatment of events that lack a field of their key.
    pub on_null_key: OnNullKey,
    /// The field that names the partition of the source; `None` if the source has no partitions.
    pub partition: Option<String>,
    /// The other fields, in the order of [`crate::Batch::columns`].
    pub columns: Vec<InputColumn>,
    /// The number of leading columns of which an event must have at least one; 0 if it need not.
    pub require_any_of: usize,
    /// The identity columns, each with its strategies, in the order of
    /// [`crate::Batch::identities`].
    pub identities: Vec<Vec<Strategy>>,
}

/// One field that events carry into the pipeline.
/// ```
/// use stream_processor_core::{PipelineSpec, Plan, InputKind};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let plan = Plan::new(&spec)?;
/// let column = &plan.input.columns[0];
/// assert_eq!((column.kind, column.required), (InputKind::F64, true));
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
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
/// ```
/// use stream_processor_core::{InputKind, PipelineSpec, Plan};
/// let spec = PipelineSpec::from_json(r#"{"stages":
///     [{"type": "filter", "where": [{"field": "method", "op": "==", "value": "GET"}]}]}"#)?;
/// assert_eq!(Plan::new(&spec)?.input.columns[0].kind, InputKind::Text);
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
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
/// ```
/// use stream_processor_core::{PipelineSpec, Plan};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let plan = Plan::new(&spec)?;
/// let names: Vec<&str> = plan.output.columns.iter().map(|column| column.name.as_str()).collect();
/// assert_eq!(names, ["window_start", "window_end", "count", "avg"]);
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
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

impl OutputSchema {
    /// Returns the position of the first column with `role`.
    #[must_use]
    pub fn position(&self, role: ColumnRole) -> Option<usize> {
        self.columns.iter().position(|column| column.role == role)
    }
}

/// One column of the output.
/// ```
/// use stream_processor_core::{ColumnRole, OutputColumn, OutputKind};
/// let column = OutputColumn::new("avg", ColumnRole::Aggregation(0));
/// assert_eq!(column.kind, OutputKind::Number);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// The name that it is printed under.
    pub name: String,
    /// The kind of its values.
    pub kind: OutputKind,
    /// The meaning of its values.
    pub role: ColumnRole,
}

impl OutputColumn {
    /// Creates a column; its kind follows from its role.
    #[must_use]
    pub fn new(name: impl Into<String>, role: ColumnRole) -> Self {
        Self { name: name.into(), kind: role.kind(), role }
    }
}

/// The meaning of the values of an output column. No two columns of a row have one role, except
/// [`ColumnRole::Value`] and [`ColumnRole::Anomaly`].
/// ```
/// use stream_processor_core::{ColumnRole, OutputKind};
/// assert_eq!(ColumnRole::WindowStart.kind(), OutputKind::Time);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnRole {
    /// The event time of a row that is an event, or a value at a time.
    EventTime,
    /// A field of an event, or a number computed from its fields.
    Value,
    /// True if a value of an event is an anomaly.
    Anomaly,
    /// The start of the window.
    WindowStart,
    /// The end of the window, which is not part of it.
    WindowEnd,
    /// The result of the window's aggregation with this index.
    Aggregation(usize),
    /// The number of the row among those of its key and window, from 0.
    Revision,
    /// True if the window has not ended yet.
    Early,
    /// True if the row revokes an earlier one.
    Retracted,
    /// The value of the normalized field with this index.
    Field(usize),
    /// True if the value of the normalized field with this index is computed from others.
    Filled(usize),
    /// True if the value of the normalized field with this index is an outlier.
    Outlier(usize),
}

impl ColumnRole {
    /// Returns the kind of the values.
    #[must_use]
    pub fn kind(self) -> OutputKind {
        match self {
            Self::EventTime | Self::WindowStart | Self::WindowEnd => OutputKind::Time,
            Self::Value | Self::Aggregation(_) | Self::Revision | Self::Field(_) => {
                OutputKind::Number
            }
            Self::Anomaly | Self::Early | Self::Retracted | Self::Filled(_) | Self::Outlier(_) => {
                OutputKind::Bool
            }
        }
    }

    /// Returns the name of a column that has the same name in all rows.
    pub(crate) fn fixed_name(self) -> &'static str {
        match self {
            Self::WindowStart => "window_start",
            Self::WindowEnd => "window_end",
            Self::Revision => "revision",
            Self::Early => "early",
            Self::Retracted => "retracted",
            _ => "",
        }
    }
}

/// The kind of an output column.
/// ```
/// use stream_processor_core::{PipelineSpec, Plan, OutputKind};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let plan = Plan::new(&spec)?;
/// assert_eq!(plan.output.columns[0].kind, OutputKind::Time);
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
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
