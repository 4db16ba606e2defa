//! Conversion of rows for JavaScript, and rows spilled from the engine's result buffer.

use std::collections::VecDeque;

use stream_processor_core::key_json::RowKeys;
use stream_processor_core::time::{NULL_TIME, to_ms_f64};
use stream_processor_core::wire::{Block, decode_rows, encode_rows};
use stream_processor_core::{Engine, Error, RowColumn, Rows};

/// Rows moved out of the engine's full result buffer; they precede the rows that are still in it.
#[derive(Default)]
pub(crate) struct SpilledRows {
    blocks: VecDeque<Block>,
    len: usize,
}

impl SpilledRows {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Moves all waiting rows out of `engine`.
    pub(crate) fn spill(&mut self, engine: &mut Engine) {
        let waiting = engine.waiting_rows();
        if let Some(rows) = engine.poll(waiting) {
            let mut block = Block::default();
            encode_rows(&rows, &mut block);
            self.blocks.push_back(block);
            self.len += waiting;
        }
    }

    /// Calls `take` with the next rows, about `max_rows`: spilled rows first, then those of
    /// `engine`.
    pub(crate) fn next<T>(
        &mut self,
        engine: &mut Engine,
        max_rows: usize,
        take: impl FnOnce(&Rows<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let Some(block) = self.blocks.pop_front() else {
            return Ok(engine.poll(max_rows).map(|rows| take(&rows)));
        };
        let rows = decode_rows(block.as_bytes())?;
        self.len -= rows.len();
        Ok(Some(take(&rows)))
    }
}

/// The rows of the last poll, in the form that JavaScript reads.
pub(crate) struct PolledRows {
    keys: RowKeys,
    /// Keys that JavaScript does not know yet, as a JSON array, and the id of the first one.
    pub(crate) new_keys: String,
    pub(crate) first_new_key: u32,
    /// The id of each row's key; empty if the pipeline has no key.
    pub(crate) key_ids: Vec<u32>,
    /// All columns, one after another; NaN is null, times are milliseconds, 1 is true.
    pub(crate) numbers: Vec<f64>,
}

impl PolledRows {
    /// Creates an empty set of rows with `key_fields` key fields.
    pub(crate) fn new(key_fields: usize, table_seed: u64) -> Self {
        Self {
            keys: RowKeys::new(key_fields, table_seed),
            new_keys: String::new(),
            first_new_key: 0,
            key_ids: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Replaces the previous rows by `rows`; returns their number.
    pub(crate) fn set(&mut self, rows: &Rows<'_>) -> usize {
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
                // No other kind exists yet; a new kind would be a column of NaN.
                _ => all.resize(all.len() + rows.len(), f64::NAN),
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
