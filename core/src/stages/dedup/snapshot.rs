//! Snapshot sections of `dedup`: counters first, then the identities in parts.

use super::{DedupStage, Memory};
use crate::dedup::FilterPart;
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// Kinds of part.
const COMMON: u32 = 0;
const ENTRIES: u32 = 1;
/// 2 was a filter with another block layout.
const FILTER: u32 = 3;

/// Identities, and blocks of a filter, in one part.
const ENTRIES_PER_PART: usize = 1 << 16;
const BLOCKS_PER_PART: usize = 1 << 14;

const DAMAGED: SnapshotError = SnapshotError::Damaged("identities that cannot be remembered");

impl DedupStage {
    /// Writes the part at cursor `from`, or the common part for `None`. Returns the next cursor.
    pub(super) fn save_part(
        &self,
        from: Option<i64>,
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let Some(from) = from else {
            writer.u32(COMMON);
            let (entries, evicted) = self.memory.counts();
            let stats = &self.stats;
            let counters =
                [stats.events, stats.rows, stats.duplicates, stats.unidentified, evicted];
            writer.u64s(counters.into_iter());
            writer.i64(self.time);
            // Written only if not zero, so that all other snapshots are equal to those of earlier
            // versions.
            if stats.unjudged > 0 {
                writer.u64(stats.unjudged);
            }
            return (entries > 0).then_some(0);
        };
        let next = match &self.memory {
            Memory::Exact(memory) => {
                let from = u32::try_from(from).unwrap_or(u32::MAX);
                let (entries, next) = memory.entries_from(from, ENTRIES_PER_PART);
                writer.u32(ENTRIES);
                writer.length(entries.len());
                for ([low, high], since) in entries {
                    writer.u64s([low, high].into_iter());
                    writer.i64(since);
                }
                next.map(u64::from)
            }
            Memory::Bloom(memory) => {
                let (part, next) = memory.part(from.cast_unsigned(), BLOCKS_PER_PART);
                writer.u32(FILTER);
                if let Some(part) = part {
                    writer.i64(part.generation);
                    writer.u32(part.count);
                    writer.length(part.first);
                    writer.length(part.words.len());
                    writer.u64s(part.words.into_iter());
                }
                next
            }
        };
        next.map(u64::cast_signed)
    }

    /// Reads one part that [`Self::save_part`] wrote.
    pub(super) fn load_part(
        &mut self,
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        match (reader.u32()?, &mut self.memory) {
            (COMMON, memory) => {
                let stats = &mut self.stats;
                for counter in [
                    &mut stats.events,
                    &mut stats.rows,
                    &mut stats.duplicates,
                    &mut stats.unidentified,
                ] {
                    *counter = reader.u64()?;
                }
                let evicted = reader.u64()?;
                match memory {
                    Memory::Exact(memory) => memory.restore_evicted(evicted),
                    Memory::Bloom(memory) => memory.restore_evicted(evicted),
                }
                self.time = reader.i64()?;
                self.stats.unjudged = if reader.is_at_end() { 0 } else { reader.u64()? };
                Ok(())
            }
            (ENTRIES, Memory::Exact(memory)) => {
                for _ in 0..reader.length()? {
                    let identity = [reader.u64()?, reader.u64()?];
                    if !memory.restore(identity, reader.i64()?) {
                        return Err(DAMAGED);
                    }
                }
                Ok(())
            }
            (FILTER, Memory::Bloom(memory)) => {
                let generation = reader.i64()?;
                let count = reader.u32()?;
                let first = usize::try_from(reader.u64()?).map_err(|_| DAMAGED)?;
                let length = reader.length()?;
                let words = reader.u64s(length)?.collect();
                let restored = memory.restore(&FilterPart { generation, count, first, words });
                if restored { Ok(()) } else { Err(DAMAGED) }
            }
            _ => Err(SnapshotError::Damaged("an unknown part of a dedup stage")),
        }
    }
}
