//! Blocks of key definitions and of partition definitions.

use super::{BlockReader, BlockWriter, padded};
use crate::engine::KeyDefinitions;
use crate::error::Error;

const MAGIC: [u8; 4] = *b"SPK1";
const HEADER_BYTES: usize = 16;
const PARTITIONS_MAGIC: [u8; 4] = *b"SPP1";
/// Flags of the header.
const RESET: u32 = 1;
const KNOWN: u32 = 2;

/// Returns the length of the block of `definitions`, of keys or of partitions, in bytes.
#[must_use]
pub fn key_definitions_len(definitions: &KeyDefinitions<'_>) -> usize {
    HEADER_BYTES
        + padded(size_of_val(definitions.ids))
        + padded(size_of_val(definitions.offsets))
        + padded(definitions.bytes.len())
}

/// Writes the block of `definitions` into `block`, which has [`key_definitions_len`] bytes.
pub fn encode_key_definitions(definitions: &KeyDefinitions<'_>, block: &mut [u8]) {
    encode(MAGIC, 0, definitions, block);
}

/// Writes the block of the partition `definitions` into `block`, which has [`key_definitions_len`]
/// bytes.
pub fn encode_partition_definitions(
    definitions: &KeyDefinitions<'_>,
    known: bool,
    block: &mut [u8],
) {
    encode(PARTITIONS_MAGIC, if known { KNOWN } else { 0 }, definitions, block);
}

fn encode(magic: [u8; 4], flags: u32, definitions: &KeyDefinitions<'_>, block: &mut [u8]) {
    let mut writer = BlockWriter::new(block);
    writer.put(&magic);
    writer.length(definitions.ids.len());
    writer.u32(flags | if definitions.reset { RESET } else { 0 });
    writer.length(definitions.bytes.len());
    writer.section(definitions.ids);
    writer.section(definitions.offsets);
    writer.section(definitions.bytes);
}

/// Reads a block of key definitions.
///
/// # Errors
/// [`Error::MalformedBlock`] for anything that [`encode_key_definitions`] would not write.
pub fn decode_key_definitions(block: &[u8]) -> Result<KeyDefinitions<'_>, Error> {
    let reader = BlockReader::new(block, MAGIC, "a block of key definitions begins with SPK1")?;
    decode(reader, RESET).map(|(_, definitions)| definitions)
}

/// Reads a block of partition definitions. Also returns whether the partitions are known from then
/// on.
///
/// # Errors
/// [`Error::MalformedBlock`] for anything that [`encode_partition_definitions`] would not write.
pub fn decode_partition_definitions(block: &[u8]) -> Result<(KeyDefinitions<'_>, bool), Error> {
    const WRONG: &str = "a block of partition definitions begins with SPP1";
    let reader = BlockReader::new(block, PARTITIONS_MAGIC, WRONG)?;
    let (flags, definitions) = decode(reader, RESET | KNOWN)?;
    Ok((definitions, flags & KNOWN != 0))
}

fn decode(mut reader: BlockReader<'_>, flags: u32) -> Result<(u32, KeyDefinitions<'_>), Error> {
    let count = reader.length()?;
    let found = reader.u32()?;
    let bytes = reader.length()?;
    if found > flags {
        return Err(Error::MalformedBlock("a block of definitions has unknown flags"));
    }
    let definitions = KeyDefinitions {
        reset: found & RESET != 0,
        ids: reader.section(count)?,
        offsets: reader.section(count.saturating_add(1))?,
        bytes: reader.section(bytes)?,
    };
    reader.end()?;
    Ok((found, definitions))
}
