//! A builder of batches: event by event, with values by field name and keys as text.
//!
//! [`BatchBuilder`] collects events in the columns of a [`Batch`]; `key.rs` has the kinds of keys
//! that it takes and their column.

mod key;

pub use key::EventKey;

use crate::data::batch::{Batch, Column};
use crate::data::schema::{InputColumn, InputKind};
use crate::data::value::Value;
use crate::engine::{Engine, Pushed};
use crate::error::Error;
use crate::key::fingerprint;
use crate::plan::Plan;
use key::Keys;

/// Collects events and hands them to an engine as a [`Batch`].
///
/// It keeps its memory when its events are pushed, so that a new event allocates nothing. Keys are
/// given as text; the engine stores each distinct key once.
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec};
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(1_000_000, "api", &[31.0])?;
/// events.push(2_000_000, "api", &[45.0])?;
/// events.push(12_000_000, "api", &[28.0])?;
/// while events.push_to(&mut engine)?.full {
///     // The result buffer is full: poll rows here.
/// }
/// let rows = engine.poll(100).expect("the first window is complete");
/// assert_eq!(rows.text(0, "service").as_deref(), Some("api"));
/// assert_eq!(rows.number(0, "avg"), Some(38.0));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
///
/// Identities for `dedup` and partitions are columns that the builder does not have. Add them to
/// its batch:
/// ```
/// # use stream_processor_core::{Batch, BatchBuilder, Engine, Options, PipelineSpec};
/// # let spec = PipelineSpec::from_json(r#"{"source": {"value": "latency"}, "stages":
/// #     [{"type": "dedup", "strategies": ["event_id"], "ttl": "1h"}]}"#)?;
/// # let mut engine = Engine::open(&spec, Options::default())?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(1_000_000, (), &[31.0])?;
/// engine.push(&Batch { identities: &[&[[17, 4]]], ..events.batch().view() })?;
/// events.clear();
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    max_events: u32,
    timestamps: Vec<i64>,
    keys: Keys,
    /// One column for each value of [`BatchBuilder::push`].
    fields: Vec<Field>,
    /// The index in `fields` of each column that the pipeline reads; `None` for a field that no
    /// event has.
    sources: Vec<Option<usize>>,
    /// The column of fields that no event has.
    missing: Vec<f64>,
    /// True if a column takes fingerprints of texts.
    has_texts: bool,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    kind: InputKind,
    values: Vec<f64>,
}

/// A batch of the events of a [`BatchBuilder`]; see [`BatchBuilder::batch`].
/// ```
/// use stream_processor_core::{BatchBuilder, PipelineSpec, Plan};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut events = BatchBuilder::new(&Plan::new(&spec)?);
/// events.push(1_000_000, "api", &[31.0])?;
/// let batch = events.batch();
/// assert_eq!(batch.view().timestamps, [1_000_000]);
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug)]
pub struct BuiltBatch<'a> {
    builder: &'a BatchBuilder,
    columns: Vec<Column<'a>>,
}

impl BuiltBatch<'_> {
    /// Returns the batch for [`Engine::push`].
    #[must_use]
    pub fn view(&self) -> Batch<'_> {
        Batch {
            timestamps: &self.builder.timestamps,
            keys: self.builder.keys.column(),
            columns: &self.columns,
            ..Batch::default()
        }
    }
}

impl BatchBuilder {
    /// Creates a builder whose events have values for all fields that the pipeline reads, in the
    /// order of [`crate::InputSchema::columns`]: first `source.value`, then the other fields.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let columns = plan.input.columns.iter();
        Self::of(plan, columns.collect(), (0..plan.input.columns.len()).map(Some).collect())
    }

    /// Creates a builder whose events have values for `fields`, in this order. Other fields that
    /// the pipeline reads are missing in all events.
    /// ```
    /// use stream_processor_core::{BatchBuilder, PipelineSpec, Plan};
    ///
    /// let spec = PipelineSpec::from_json(r#"{"source": {"value": ["latency", "bytes"]}, "stages":
    ///     [{"type": "window", "window": "tumbling", "size": "10s",
    ///       "aggregations": ["avg", {"op": "sum", "field": "bytes"}]}]}"#)?;
    /// let plan = Plan::new(&spec)?;
    /// let mut events = BatchBuilder::with_fields(&plan, &["bytes", "latency"])?;
    /// events.push(1_000_000, (), &[512.0, 31.0])?;
    ///
    /// let error = BatchBuilder::with_fields(&plan, &["bites"]).unwrap_err();
    /// assert_eq!(error.code(), "invalid_field");
    /// # Ok::<(), stream_processor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidField`] if the pipeline does not read a field, if a field is named twice, or
    /// if a value that every event needs is not named.
    pub fn with_fields(plan: &Plan, fields: &[&str]) -> Result<Self, Error> {
        let columns = &plan.input.columns;
        let mut listed = Vec::with_capacity(fields.len());
        for (index, name) in fields.iter().enumerate() {
            let Some(column) = columns.iter().find(|column| column.name == *name) else {
                let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let expected = crate::spec::expected(name, &known);
                return Err(invalid(name, format!("the pipeline does not read it, {expected}")));
            };
            if fields.iter().take(index).any(|earlier| earlier == name) {
                return Err(invalid(name, "it is named twice".to_owned()));
            }
            listed.push(column);
        }
        let source = |column: &InputColumn| fields.iter().position(|name| column.name == *name);
        if let Some(column) =
            columns.iter().find(|column| column.required && source(column).is_none())
        {
            return Err(invalid(&column.name, "every event needs it: name it".to_owned()));
        }
        Ok(Self::of(plan, listed, columns.iter().map(source).collect()))
    }

    fn of(plan: &Plan, fields: Vec<&InputColumn>, sources: Vec<Option<usize>>) -> Self {
        let field = |column: &InputColumn| Field {
            name: column.name.clone(),
            kind: column.kind,
            values: Vec::new(),
        };
        Self {
            max_events: plan.limits.max_batch_events,
            timestamps: Vec::new(),
            keys: Keys::new(plan.input.key.len()),
            has_texts: fields.iter().any(|column| column.kind == InputKind::Text),
            fields: fields.into_iter().map(field).collect(),
            sources,
            missing: Vec::new(),
        }
    }

    /// Returns the number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Returns whether there are no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Appends an event: its time in microseconds since the epoch, its key, and one value for each
    /// field. NaN is a missing value.
    ///
    /// # Errors
    /// [`Error::ColumnCount`] for another number of values, [`Error::KeysMismatch`] for a key of
    /// another number of fields or with a value that keys cannot contain, and
    /// [`Error::BatchTooLarge`] at `limits.max_batch_events`. On error the event is not appended.
    #[inline]
    pub fn push(&mut self, time_us: i64, key: impl EventKey, values: &[f64]) -> Result<(), Error> {
        self.check(values.len())?;
        self.keys.push(&key)?;
        self.timestamps.push(time_us);
        if self.has_texts {
            self.append_numbers(values);
            return Ok(());
        }
        for (field, value) in self.fields.iter_mut().zip(values) {
            field.values.push(*value);
        }
        Ok(())
    }

    /// Does the same for values that are not all numbers.
    /// ```
    /// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec, Value};
    ///
    /// let spec = PipelineSpec::from_json(r#"{"source": {"value": "latency"}, "stages": [
    ///     {"type": "filter", "where": [{"field": "method", "op": "==", "value": "GET"}]},
    ///     {"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count"]}]}"#)?;
    /// let mut engine = Engine::open(&spec, Options::default())?;
    /// let mut events = BatchBuilder::new(engine.plan());
    /// events.push_values(1_000_000, (), &[31.0.into(), "GET".into()])?;
    /// events.push_values(2_000_000, (), &[45.0.into(), Value::Null])?;
    /// events.push_to(&mut engine)?;
    /// engine.finish()?;
    /// assert_eq!(engine.poll(1).and_then(|rows| rows.number(0, "count")), Some(1.0));
    /// # Ok::<(), stream_processor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`BatchBuilder::push`], and [`Error::InvalidField`] for a value of the wrong type.
    pub fn push_values(
        &mut self,
        time_us: i64,
        key: impl EventKey,
        values: &[Value<'_>],
    ) -> Result<(), Error> {
        self.check(values.len())?;
        for (field, value) in self.fields.iter().zip(values) {
            if field.number(value).is_none() {
                return Err(invalid(&field.name, field.expected().to_owned()));
            }
        }
        self.keys.push(&key)?;
        self.timestamps.push(time_us);
        for (field, value) in self.fields.iter_mut().zip(values) {
            let number = field.number(value).unwrap_or(f64::NAN);
            field.values.push(number);
        }
        Ok(())
    }

    /// Pushes the events to `engine` and removes those that it has taken. If the result buffer is
    /// full, poll and call this again.
    ///
    /// # Errors
    /// As for [`Engine::push`]. After [`Error::LimitReached`] the events taken are removed; after
    /// other errors none is.
    pub fn push_to(&mut self, engine: &mut Engine) -> Result<Pushed, Error> {
        let pushed = engine.push(&self.batch().view());
        match &pushed {
            Ok(pushed) => self.discard(pushed.consumed),
            Err(Error::LimitReached(reached)) => self.discard(reached.consumed),
            Err(_) => {}
        }
        pushed
    }

    /// Returns a batch of the events, to complete it with other columns or to push it otherwise
    /// than by [`BatchBuilder::push_to`].
    pub fn batch(&mut self) -> BuiltBatch<'_> {
        if self.sources.contains(&None) {
            self.missing.resize(self.timestamps.len(), f64::NAN);
        }
        let builder = &*self;
        let column = |source: &Option<usize>| {
            let field = source.and_then(|index| builder.fields.get(index));
            Column::F64(field.map_or(builder.missing.as_slice(), |field| field.values.as_slice()))
        };
        BuiltBatch { builder, columns: builder.sources.iter().map(column).collect() }
    }

    /// Removes the first `count` events, which an engine has taken.
    pub fn discard(&mut self, count: usize) {
        let count = count.min(self.len());
        if count == self.len() {
            return self.clear();
        }
        self.timestamps.drain(..count);
        self.keys.discard(count);
        for field in &mut self.fields {
            field.values.drain(..count);
        }
    }

    /// Removes all events and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.keys.clear();
        for field in &mut self.fields {
            field.values.clear();
        }
    }

    /// Checks that an event with `values` values may be appended.
    #[inline]
    fn check(&self, values: usize) -> Result<(), Error> {
        if values != self.fields.len() {
            return Err(Error::ColumnCount { expected: self.fields.len(), found: values });
        }
        let events = self.timestamps.len();
        if events >= self.max_events as usize {
            return Err(Error::BatchTooLarge { found: events + 1, limit: self.max_events });
        }
        Ok(())
    }

    /// Appends numbers, where columns of texts take their fingerprints.
    fn append_numbers(&mut self, values: &[f64]) {
        for (field, value) in self.fields.iter_mut().zip(values) {
            let number = field.number(&Value::Number(*value)).unwrap_or(f64::NAN);
            field.values.push(number);
        }
    }
}

impl Field {
    /// Returns the entry of the column for `value`; `None` for a value of the wrong type.
    fn number(&self, value: &Value<'_>) -> Option<f64> {
        match (value, self.kind) {
            (value, _) if value.is_null() => Some(f64::NAN),
            (Value::Bool(value), InputKind::Flag) => Some(f64::from(u8::from(*value))),
            (value, InputKind::Text) => {
                let mut field = Vec::new();
                value.push_key_field(&mut field).then(|| fingerprint(&field))
            }
            (value, _) => value.as_f64(),
        }
    }

    fn expected(&self) -> &'static str {
        match self.kind {
            InputKind::F64 => "expected a number or null",
            InputKind::Flag => "expected a number, a boolean or null",
            InputKind::Text => "expected a text, a finite number, a boolean or null",
        }
    }
}

fn invalid(field: &str, problem: String) -> Error {
    Error::InvalidField { field: field.to_owned(), problem }
}
