//! Blocks of dropped events.

use super::{Block, BlockReader, BlockWriter};
use crate::data::dropped::Dropped;
use crate::data::reject::RejectReason;
use crate::error::Error;
use crate::time::NULL_TIME;

const MAGIC: [u8; 4] = *b"SPD1";
const HEADER_BYTES: usize = 16;
const RESERVED_BYTES: usize = 8;
/// Stands for a missing stage number.
const NO_STAGE: u32 = u32::MAX;

/// Writes `drops` into `block`.
pub fn encode_drops(drops: &[Dropped], block: &mut Block) {
    let count = drops.len();
    block.clear_to(HEADER_BYTES + count * 8 * 3 + count.div_ceil(2) * 8 * 2);
    let column = |value: fn(&Dropped) -> i64| drops.iter().map(value).collect::<Vec<i64>>();
    let narrow = |value: fn(&Dropped) -> u32| drops.iter().map(value).collect::<Vec<u32>>();
    let ordinals: Vec<u64> = drops.iter().map(|dropped| dropped.ordinal).collect();
    let mut writer = BlockWriter::new(block.as_bytes_mut());
    writer.put(&MAGIC);
    writer.length(count);
    writer.put(&[0; RESERVED_BYTES]);
    writer.section(&ordinals);
    writer.section(&column(|dropped| dropped.watermark));
    writer.section(&column(|dropped| dropped.window_end.unwrap_or(NULL_TIME)));
    writer.section(&narrow(|dropped| u32::try_from(dropped.reason.number()).unwrap_or(u32::MAX)));
    writer.section(&narrow(|dropped| dropped.stage.unwrap_or(NO_STAGE)));
}

/// Reads a block of dropped events.
///
/// # Errors
/// [`Error::MalformedBlock`] for anything that [`encode_drops`] would not write.
pub fn decode_drops(block: &[u8]) -> Result<Vec<Dropped>, Error> {
    let mut reader = BlockReader::new(block, MAGIC, "a block of dropped events begins with SPD1")?;
    let count = reader.length()?;
    reader.skip(RESERVED_BYTES)?;
    let ordinals: &[u64] = reader.section(count)?;
    let watermarks: &[i64] = reader.section(count)?;
    let ends: &[i64] = reader.section(count)?;
    let reasons: &[u32] = reader.section(count)?;
    let stages: &[u32] = reader.section(count)?;
    reader.end()?;
    let times = ordinals.iter().zip(watermarks).zip(ends);
    let drops = times.zip(reasons.iter().zip(stages)).map(
        |(((ordinal, watermark), end), (reason, stage))| {
            let reason = RejectReason::ALL.get(*reason as usize).copied();
            Ok(Dropped {
                ordinal: *ordinal,
                reason: reason
                    .ok_or(Error::MalformedBlock("the reason of a dropped event is unknown"))?,
                stage: Some(*stage).filter(|stage| *stage != NO_STAGE),
                watermark: *watermark,
                window_end: Some(*end).filter(|end| *end != NULL_TIME),
            })
        },
    );
    drops.collect()
}
