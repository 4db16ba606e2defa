//! Rows: the output of the engine, column by column.

use std::borrow::Cow;

use crate::data::schema::{ColumnRole, OutputColumn, OutputSchema};
use crate::data::value::Value;
use crate::key;
use crate::time::NULL_TIME;

/// A chunk of output rows, borrowed from the engine or from the bytes of a block.
///
/// [`crate::OutputSchema`] names the columns. Rows are sorted by `firing`, `ranks`, the time
/// columns in [`crate::OutputSchema::order`], and the bytes of the key. Rows of several shards are
/// merged in this order too.
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec};
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(1_000_000, "api", &[31.0])?;
/// events.push_to(&mut engine)?;
/// engine.finish()?;
/// let rows = engine.poll(100).expect("one window");
/// let names: Vec<&str> = rows.names().collect();
/// assert_eq!(names, ["service", "window_start", "window_end", "count", "avg"]);
/// for row in 0..rows.len() {
///     assert_eq!(rows.text(row, "service").as_deref(), Some("api"));
///     assert_eq!((rows.start(row), rows.end(row)), (Some(0), Some(10_000_000)));
///     assert_eq!(rows.number(row, "avg"), Some(31.0));
///     assert_eq!(rows.get(row, "average"), None);
/// }
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The names of the columns; `None` for rows of a block, which names none.
    pub schema: Option<&'a OutputSchema>,
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
/// ```
/// use stream_processor_core::{RowColumn, Value};
/// let column = RowColumn::Number(&[38.0, f64::NAN]);
/// assert_eq!(column.get(0), Some(Value::Number(38.0)));
/// assert_eq!(column.get(1), Some(Value::Null));
/// ```
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
    /// Returns the value in row `row`; `None` beyond the end.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Value<'static>> {
        Some(match self {
            Self::Time(times) => match *times.get(row)? {
                NULL_TIME => Value::Null,
                time => Value::Time(time),
            },
            Self::Number(numbers) => match *numbers.get(row)? {
                number if number.is_nan() => Value::Null,
                number => Value::Number(number),
            },
            Self::Bool(bools) => Value::Bool(*bools.get(row)? != 0),
        })
    }

    /// Returns the size of the values in bytes.
    #[cfg(feature = "host")]
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

    /// Returns the fields of the key of row `row`, in the order of [`OutputSchema::key`].
    pub fn key_fields(&self, row: usize) -> impl Iterator<Item = Value<'a>> + use<'a> {
        key::fields(self.key(row)).map(Value::from)
    }

    /// Returns the names of the fields of a row: those of the key, then those of the columns.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let key = self.schema.map_or(&[][..], |schema| &schema.key);
        key.iter().map(String::as_str).chain(self.column_names())
    }

    /// Returns the column named `name`; `None` if there is none.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<RowColumn<'a>> {
        let index = self.column_names().position(|known| known == name)?;
        self.columns.get(index).copied()
    }

    /// Returns the first column with `role`; `None` if there is none.
    #[must_use]
    pub fn column_of(&self, role: ColumnRole) -> Option<RowColumn<'a>> {
        self.columns.get(self.schema?.position(role)?).copied()
    }

    /// Returns the value of the column or key field `name` in row `row`. Returns `None` if there is
    /// no such field or row, [`Value::Null`] if it has no value.
    #[must_use]
    pub fn get(&self, row: usize, name: &str) -> Option<Value<'a>> {
        match self.column(name) {
            Some(column) => column.get(row),
            None => {
                let field = self.schema?.key.iter().position(|known| known == name)?;
                self.key_fields(row).nth(field)
            }
        }
    }

    /// Returns the number in the field `name` of row `row`; `None` if that is null or not a number.
    #[must_use]
    pub fn number(&self, row: usize, name: &str) -> Option<f64> {
        self.get(row, name)?.as_f64()
    }

    /// Returns the time in the field `name` of row `row`, microseconds since the epoch; `None` if
    /// that is null or not a time.
    #[must_use]
    pub fn time(&self, row: usize, name: &str) -> Option<i64> {
        self.get(row, name)?.as_time()
    }

    /// Returns the text in the field `name` of row `row`; `None` if that is null or not a text.
    #[must_use]
    pub fn text(&self, row: usize, name: &str) -> Option<Cow<'a, str>> {
        match self.get(row, name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the start of the window of row `row`, microseconds; `None` if the row has none.
    #[must_use]
    pub fn start(&self, row: usize) -> Option<i64> {
        self.column_of(ColumnRole::WindowStart)?.get(row)?.as_time()
    }

    /// Returns the end of the window of row `row`, microseconds; `None` if the row has none.
    #[must_use]
    pub fn end(&self, row: usize) -> Option<i64> {
        self.column_of(ColumnRole::WindowEnd)?.get(row)?.as_time()
    }

    fn column_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let columns = self.schema.map_or(&[][..], |schema| &schema.columns);
        columns.iter().map(|OutputColumn { name, .. }| name.as_str())
    }
}
