//! Blocks of events.

use super::{BlockReader, BlockWriter, padded};
use crate::data::batch::{Batch, Column, Identity, KeyColumn};
use crate::error::Error;

const MAGIC: [u8; 4] = *b"SPB1";
const HEADER_BYTES: usize = 64;
const RESERVED_BYTES: usize = 40;

/// Flags of the header: which optional sections a block of events has.
const KEY_IDS: u32 = 1;
const KEYS_ENCODED: u32 = 2;
const ORDINALS: u32 = 4;
const WATERMARKS: u32 = 8;
const PARTITIONS: u32 = 16;
const KEYS_TEXT: u32 = 32;

/// A batch that borrows from a block.
#[derive(Debug, Clone)]
pub struct DecodedBatch<'a> {
    timestamps: &'a [i64],
    keys: KeyColumn<'a>,
    columns: Vec<Column<'a>>,
    identities: Vec<&'a [Identity]>,
    ordinals: Option<&'a [u64]>,
    watermarks: Option<&'a [i64]>,
    partitions: Option<&'a [u32]>,
}

impl DecodedBatch<'_> {
    /// Returns the batch.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch {
            timestamps: self.timestamps,
            keys: self.keys,
            columns: &self.columns,
            identities: &self.identities,
            ordinals: self.ordinals,
            watermarks: self.watermarks,
            partitions: self.partitions,
        }
    }
}

/// Returns the length of the block of `batch` in bytes.
#[must_use]
pub fn batch_len(batch: &Batch<'_>) -> usize {
    let events = batch.timestamps.len();
    let wide = 1
        + batch.columns.len()
        + 2 * batch.identities.len()
        + usize::from(batch.ordinals.is_some())
        + usize::from(batch.watermarks.is_some());
    let keys = match batch.keys {
        KeyColumn::Unkeyed => 0,
        KeyColumn::Ids(ids) => padded(size_of_val(ids)),
        KeyColumn::Encoded { offsets, bytes } | KeyColumn::Text { offsets, bytes } => {
            padded(size_of_val(offsets)) + padded(bytes.len())
        }
    };
    HEADER_BYTES
        + events * 8 * wide
        + keys
        + batch.partitions.map_or(0, |ids| padded(size_of_val(ids)))
}

/// Writes the block of `batch` into `block`, which has [`batch_len`] bytes.
pub fn encode_batch(batch: &Batch<'_>, block: &mut [u8]) {
    let (key_flag, key_bytes) = match batch.keys {
        KeyColumn::Unkeyed => (0, 0),
        KeyColumn::Ids(_) => (KEY_IDS, 0),
        KeyColumn::Encoded { bytes, .. } => (KEYS_ENCODED, bytes.len()),
        KeyColumn::Text { bytes, .. } => (KEYS_TEXT, bytes.len()),
    };
    let ordinals = if batch.ordinals.is_some() { ORDINALS } else { 0 };
    let watermarks = if batch.watermarks.is_some() { WATERMARKS } else { 0 };
    let partitions = if batch.partitions.is_some() { PARTITIONS } else { 0 };
    let mut writer = BlockWriter::new(block);
    let flags = key_flag | ordinals | watermarks | partitions;
    let (events, columns) = (batch.timestamps.len(), batch.columns.len());
    put_header(&mut writer, events, columns, flags, key_bytes, batch.identities.len());
    writer.section(batch.timestamps);
    writer.section(batch.ordinals.unwrap_or_default());
    writer.section(batch.watermarks.unwrap_or_default());
    for Column::F64(values) in batch.columns {
        writer.section(values);
    }
    for identities in batch.identities {
        writer.section(identities);
    }
    match batch.keys {
        KeyColumn::Unkeyed => {}
        KeyColumn::Ids(ids) => writer.section(ids),
        KeyColumn::Encoded { offsets, bytes } | KeyColumn::Text { offsets, bytes } => {
            writer.section(offsets);
            writer.section(bytes);
        }
    }
    writer.section(batch.partitions.unwrap_or_default());
}

fn put_header(
    writer: &mut BlockWriter<'_>,
    events: usize,
    columns: usize,
    flags: u32,
    key_bytes: usize,
    ways: usize,
) {
    writer.put(&MAGIC);
    writer.length(events);
    writer.length(columns);
    writer.u32(flags);
    writer.length(key_bytes);
    writer.length(ways);
    writer.put(&[0; RESERVED_BYTES]);
}

/// The shape of a batch that is written in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchShape {
    /// Number of events.
    pub events: usize,
    /// Number of numeric columns.
    pub columns: usize,
    /// True if events have key ids.
    pub has_keys: bool,
}

/// The columns of a batch that is written in place.
#[derive(Debug)]
pub struct BatchColumns<'a> {
    /// Event times in microseconds.
    pub timestamps: &'a mut [i64],
    /// Numbers; NaN means missing.
    pub columns: Vec<&'a mut [f64]>,
    /// Key ids; empty if events have none.
    pub keys: &'a mut [u32],
}

impl BatchShape {
    /// Returns the length of the block in bytes.
    #[must_use]
    pub fn block_len(&self) -> usize {
        let keys = if self.has_keys { self.events.saturating_mul(size_of::<u32>()) } else { 0 };
        let wide = self.events.saturating_mul(8).saturating_mul(self.columns.saturating_add(1));
        wide.saturating_add(padded(keys)).saturating_add(HEADER_BYTES)
    }

    /// Initializes `block`, which has [`BatchShape::block_len`] bytes, for a batch of this shape.
    /// Returns its columns.
    ///
    /// # Errors
    /// [`Error::MalformedBlock`] if the block is too short or not aligned to 8 bytes.
    pub fn lay_out<'a>(&self, block: &'a mut [u8]) -> Result<BatchColumns<'a>, Error> {
        let mut writer = BlockWriter::new(block);
        let flags = if self.has_keys { KEY_IDS } else { 0 };
        put_header(&mut writer, self.events, self.columns, flags, 0, 0);
        let timestamps = writer.room(self.events)?;
        let mut columns = Vec::with_capacity(self.columns);
        for _ in 0..self.columns {
            columns.push(writer.room(self.events)?);
        }
        let keys = writer.room(if self.has_keys { self.events } else { 0 })?;
        Ok(BatchColumns { timestamps, columns, keys })
    }
}

/// Reads a block of events.
///
/// # Errors
/// [`Error::MalformedBlock`] for anything that [`encode_batch`] would not write.
pub fn decode_batch(block: &[u8]) -> Result<DecodedBatch<'_>, Error> {
    let mut reader = BlockReader::new(block, MAGIC, "a block of events begins with SPB1")?;
    let (events, columns) = (reader.length()?, reader.length()?);
    let flags = reader.u32()?;
    let key_bytes = reader.length()?;
    let ways = reader.length()?;
    reader.skip(RESERVED_BYTES)?;
    let key_flags = flags & (KEY_IDS | KEYS_ENCODED | KEYS_TEXT);
    if flags & !(key_flags | ORDINALS | WATERMARKS | PARTITIONS) != 0 || key_flags.count_ones() > 1
    {
        return Err(Error::MalformedBlock("a block of events has unknown flags"));
    }
    let timestamps = reader.section(events)?;
    let ordinals = (flags & ORDINALS != 0).then(|| reader.section(events)).transpose()?;
    let watermarks = (flags & WATERMARKS != 0).then(|| reader.section(events)).transpose()?;
    if events == 0 && columns.max(ways) > MAX_EMPTY_COLUMNS {
        return Err(Error::MalformedBlock("a block of events has too many columns"));
    }
    let mut list = Vec::new();
    for _ in 0..columns {
        list.push(Column::F64(reader.section(events)?));
    }
    let mut identities = Vec::new();
    for _ in 0..ways {
        identities.push(reader.section(events)?);
    }
    let keys = match key_flags {
        KEY_IDS => KeyColumn::Ids(reader.section(events)?),
        KEYS_ENCODED => KeyColumn::Encoded {
            offsets: reader.section(events.saturating_add(1))?,
            bytes: reader.section(key_bytes)?,
        },
        KEYS_TEXT => KeyColumn::Text {
            offsets: reader.section(events.saturating_add(1))?,
            bytes: reader.section(key_bytes)?,
        },
        _ => KeyColumn::Unkeyed,
    };
    let partitions = (flags & PARTITIONS != 0).then(|| reader.section(events)).transpose()?;
    reader.end()?;
    Ok(DecodedBatch {
        timestamps,
        keys,
        columns: list,
        identities,
        ordinals,
        watermarks,
        partitions,
    })
}

/// Limits columns of batches without events, whose number the block length does not limit.
const MAX_EMPTY_COLUMNS: usize = 1 << 16;
