//! Blocks of rows.

use super::{Block, BlockReader, BlockWriter, padded};
use crate::data::rows::{RowColumn, Rows};
use crate::error::Error;

const MAGIC: [u8; 4] = *b"SPR1";
const HEADER_BYTES: usize = 16;
/// Codes of the column kinds.
const TIME: u8 = 0;
const NUMBER: u8 = 1;
const BOOL: u8 = 2;

/// Writes `rows` into `block`.
pub fn encode_rows(rows: &Rows<'_>, block: &mut Block) {
    let columns = rows.columns.len();
    block.clear_to(
        HEADER_BYTES
            + padded(columns)
            + rows.len() * 8 * 2
            + rows.columns.iter().map(|column| padded(column.size_bytes())).sum::<usize>()
            + padded(size_of_val(rows.key_offsets))
            + padded(rows.key_bytes.len()),
    );
    let kind = |column: &RowColumn<'_>| match column {
        RowColumn::Time(_) => TIME,
        RowColumn::Number(_) => NUMBER,
        RowColumn::Bool(_) => BOOL,
    };
    let kinds: Vec<u8> = rows.columns.iter().map(kind).collect();
    let mut writer = BlockWriter::new(block.as_bytes_mut());
    writer.put(&MAGIC);
    writer.length(rows.len());
    writer.length(columns);
    writer.length(rows.key_bytes.len());
    writer.section(&kinds);
    writer.section(rows.firing);
    writer.section(rows.ranks);
    for column in &rows.columns {
        match column {
            RowColumn::Time(times) => writer.section(times),
            RowColumn::Number(numbers) => writer.section(numbers),
            RowColumn::Bool(bools) => writer.section(bools),
        }
    }
    writer.section(rows.key_offsets);
    writer.section(rows.key_bytes);
}

/// Reads a block of rows.
///
/// # Errors
/// [`Error::MalformedBlock`] for anything that [`encode_rows`] would not write.
pub fn decode_rows(block: &[u8]) -> Result<Rows<'_>, Error> {
    let mut reader = BlockReader::new(block, MAGIC, "a block of rows begins with SPR1")?;
    let (rows, columns, key_bytes) = (reader.length()?, reader.length()?, reader.length()?);
    let kinds: &[u8] = reader.section(columns)?;
    let firing = reader.section(rows)?;
    let ranks = reader.section(rows)?;
    let mut list = Vec::with_capacity(columns);
    for kind in kinds {
        list.push(match *kind {
            TIME => RowColumn::Time(reader.section(rows)?),
            NUMBER => RowColumn::Number(reader.section(rows)?),
            BOOL => RowColumn::Bool(reader.section(rows)?),
            _ => {
                return Err(Error::MalformedBlock(
                    "a block of rows has a column of an unknown kind",
                ));
            }
        });
    }
    let key_offsets = reader.section(rows.saturating_add(1))?;
    let key_bytes = reader.section(key_bytes)?;
    reader.end()?;
    Ok(Rows { schema: None, firing, ranks, key_offsets, key_bytes, columns: list })
}
