//! Chunks of rows copied out of an engine, to be sent to the writer and merged.

use std::cmp::Ordering;

use stream_processor_core::{OutputKind, OutputSchema, RowColumn, Rows};

/// A chunk of rows: the columns of [`Rows`], owned.
#[derive(Debug, Clone)]
pub(super) struct RowChunk {
    firing: Vec<i64>,
    ranks: Vec<u64>,
    key_offsets: Vec<u32>,
    key_bytes: Vec<u8>,
    columns: Vec<Values>,
}

#[derive(Debug, Clone)]
enum Values {
    Time(Vec<i64>),
    Number(Vec<f64>),
    Bool(Vec<u8>),
}

impl RowChunk {
    /// Creates a chunk without rows.
    pub(super) fn new(schema: &OutputSchema) -> Self {
        let columns = schema.columns.iter().map(|column| match column.kind {
            OutputKind::Time => Values::Time(Vec::new()),
            OutputKind::Bool => Values::Bool(Vec::new()),
            _ => Values::Number(Vec::new()),
        });
        Self {
            firing: Vec::new(),
            ranks: Vec::new(),
            key_offsets: vec![0],
            key_bytes: Vec::new(),
            columns: columns.collect(),
        }
    }

    /// Copies `rows`.
    pub(super) fn copy_of(rows: &Rows<'_>) -> Self {
        let columns = rows.columns.iter().map(|column| match column {
            RowColumn::Time(times) => Values::Time(times.to_vec()),
            RowColumn::Number(numbers) => Values::Number(numbers.to_vec()),
            RowColumn::Bool(bools) => Values::Bool(bools.to_vec()),
            _ => Values::Number(vec![f64::NAN; rows.len()]),
        });
        Self {
            firing: rows.firing.to_vec(),
            ranks: rows.ranks.to_vec(),
            key_offsets: rows.key_offsets.to_vec(),
            key_bytes: rows.key_bytes.to_vec(),
            columns: columns.collect(),
        }
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.firing.len()
    }

    /// Returns the bytes of all keys.
    pub(super) fn key_len_bytes(&self) -> usize {
        self.key_bytes.len()
    }

    /// Returns a view of the rows.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            schema: None,
            firing: &self.firing,
            ranks: &self.ranks,
            key_offsets: &self.key_offsets,
            key_bytes: &self.key_bytes,
            columns: self
                .columns
                .iter()
                .map(|column| match column {
                    Values::Time(times) => RowColumn::Time(times),
                    Values::Number(numbers) => RowColumn::Number(numbers),
                    Values::Bool(bools) => RowColumn::Bool(bools),
                })
                .collect(),
        }
    }

    /// Appends row `row` of `from`, which has the same columns.
    pub(super) fn push(&mut self, from: &Self, row: usize) {
        self.firing.extend(from.firing.get(row));
        self.ranks.extend(from.ranks.get(row));
        self.key_bytes.extend_from_slice(from.key(row));
        self.key_offsets.push(u32::try_from(self.key_bytes.len()).unwrap_or(u32::MAX));
        for (column, source) in self.columns.iter_mut().zip(&from.columns) {
            match (column, source) {
                (Values::Time(times), Values::Time(source)) => times.extend(source.get(row)),
                (Values::Number(numbers), Values::Number(source)) => {
                    numbers.extend(source.get(row))
                }
                (Values::Bool(bools), Values::Bool(source)) => bools.extend(source.get(row)),
                _ => {}
            }
        }
    }

    /// Removes all rows and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.firing.clear();
        self.ranks.clear();
        self.key_offsets.truncate(1);
        self.key_bytes.clear();
        for column in &mut self.columns {
            match column {
                Values::Time(times) => times.clear(),
                Values::Number(numbers) => numbers.clear(),
                Values::Bool(bools) => bools.clear(),
            }
        }
    }

    /// Compares two rows in the defined order: by the watermark that fired the row, its rank, the
    /// times in the columns `order`, and the key.
    pub(super) fn compare(
        &self,
        row: usize,
        other: &Self,
        other_row: usize,
        order: &[usize],
    ) -> Ordering {
        let times =
            order.iter().map(|column| self.time(*column, row).cmp(&other.time(*column, other_row)));
        self.firing
            .get(row)
            .cmp(&other.firing.get(other_row))
            .then_with(|| self.ranks.get(row).cmp(&other.ranks.get(other_row)))
            .then_with(|| times.fold(Ordering::Equal, Ordering::then))
            .then_with(|| self.key(row).cmp(other.key(other_row)))
    }

    fn key(&self, row: usize) -> &[u8] {
        let bounds = (self.key_offsets.get(row), self.key_offsets.get(row + 1));
        let (Some(&start), Some(&end)) = bounds else { return &[] };
        self.key_bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    fn time(&self, column: usize, row: usize) -> Option<i64> {
        match self.columns.get(column) {
            Some(Values::Time(times)) => times.get(row).copied(),
            _ => None,
        }
    }
}
