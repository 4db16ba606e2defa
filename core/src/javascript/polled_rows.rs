//! Rows as arrays of doubles.

use crate::key_json::RowKeys;
use crate::time::{NULL_TIME, to_ms_f64};
use crate::{RowColumn, Rows};

/// The rows of the last poll, in the form that JavaScript reads.
#[derive(Debug)]
pub struct PolledRows {
    keys: RowKeys,
    /// The keys that JavaScript does not know yet, as a JSON array; empty if there are none.
    pub new_keys: String,
    /// The id of the first of `new_keys`.
    pub first_new_key: u32,
    /// The id of each row's key; empty if the pipeline has no key.
    pub key_ids: Vec<u32>,
    /// All columns, one after another; NaN is null, times are milliseconds, 1 is true.
    pub numbers: Vec<f64>,
}

impl PolledRows {
    /// Creates an empty set of rows with `key_fields` key fields.
    #[must_use]
    pub fn new(key_fields: usize, table_seed: u64) -> Self {
        Self {
            keys: RowKeys::new(key_fields, table_seed),
            new_keys: String::new(),
            first_new_key: 0,
            key_ids: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Replaces the previous rows by `rows`; returns their number.
    pub fn set(&mut self, rows: &Rows<'_>) -> usize {
        let mut new_keys = Vec::new();
        self.key_ids.clear();
        self.first_new_key = self.keys.write(rows, &mut self.key_ids, &mut new_keys);
        self.new_keys = String::from_utf8(new_keys).unwrap_or_default();
        self.set_numbers(rows);
        rows.len()
    }

    fn set_numbers(&mut self, rows: &Rows<'_>) {
        let all = &mut self.numbers;
        all.clear();
        all.reserve(rows.len() * rows.columns.len());
        for column in &rows.columns {
            match column {
                RowColumn::Time(times) => all.extend(in_ms(times)),
                RowColumn::Number(numbers) => all.extend_from_slice(numbers),
                RowColumn::Bool(bools) => all.extend(bools.iter().map(|bool| f64::from(*bool))),
            }
        }
    }
}

/// Converts `times` to milliseconds. Caches the last result, because most rows have the time of the
/// previous row and a division is slow in wasm.
fn in_ms(times: &[i64]) -> impl Iterator<Item = f64> {
    let (mut last, mut ms) = (NULL_TIME, f64::NAN);
    times.iter().map(move |time| {
        if *time != last {
            last = *time;
            ms = if last == NULL_TIME { f64::NAN } else { to_ms_f64(last) };
        }
        ms
    })
}
