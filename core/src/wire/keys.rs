//! Blocks of key definitions.

use super::{BlockReader, BlockWriter, padded};
use crate::engine::KeyDefinitions;
use crate::error::Error;

const MAGIC: [u8; 4] = *b"SPK1";
const HEADER_BYTES: usize = 16;
const RESET: u32 = 1;

/// The length of the block of `definitions`, bytes.
#[must_use]
pub fn key_definitions_len(definitions: &KeyDefinitions<'_>) -> usize {
    HEADER_BYTES
        + padded(size_of_val(definitions.ids))
        + padded(size_of_val(definitions.offsets))
        + padded(definitions.bytes.len())
}

/// Writes the block of `definitions` into `block`, which is [`key_definitions_len`] bytes long.
pub fn encode_key_definitions(definitions: &KeyDefinitions<'_>, block: &mut [u8]) {
    let mut writer = BlockWriter::new(block);
    writer.put(&MAGIC);
    writer.length(definitions.ids.len());
    writer.u32(if definitions.reset { RESET } else { 0 });
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
    let mut reader = BlockReader::new(block, MAGIC, "a block of key definitions begins with SPK1")?;
    let count = reader.length()?;
    let flags = reader.u32()?;
    let bytes = reader.length()?;
    if flags > RESET {
        return Err(Error::MalformedBlock("a block of key definitions has unknown flags"));
    }
    let definitions = KeyDefinitions {
        reset: flags == RESET,
        ids: reader.section(count)?,
        offsets: reader.section(count.saturating_add(1))?,
        bytes: reader.section(bytes)?,
    };
    reader.end()?;
    Ok(definitions)
}
