//! Snapshot sections of `dedup`: counters first, then the identities in parts.

use super::{DedupStage, Memory};
use crate::data::batch::Identity;
use crate::dedup::FilterPart;
use crate::error::SnapshotError;
use crate::snapshot::{Codec, StateReader, StateWriter};

/// The kind of a section.
const COMMON: u32 = 0;
const ENTRIES: u32 = 1;
/// 2 was a filter with another block layout.
const FILTER: u32 = 3;

/// Identities, and blocks of a filter, in one part.
const ENTRIES_PER_PART: usize = 1 << 16;
const BLOCKS_PER_PART: usize = 1 << 14;

const DAMAGED: SnapshotError =
    SnapshotError::Damaged("identities or Bloom filters do not match the options");

impl DedupStage {
    /// Writes the section at cursor `from`, or the common section for `None`. Returns the next
    /// cursor.
    #[inline]
    pub(super) fn save_section(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        let Some(from) = from else {
            writer.section.u32(COMMON);
            self.common(writer)?;
            let (entries, _) = self.memory.counts();
            return Ok((entries > 0).then_some(0));
        };
        let next = match &self.memory {
            Memory::Exact(memory) => {
                let from = u32::try_from(from).unwrap_or(u32::MAX);
                let (mut entries, next) = memory.entries_from(from, ENTRIES_PER_PART);
                writer.section.u32(ENTRIES);
                writer.section.length(entries.len());
                entries.iter_mut().try_for_each(|entry| entry_fields(entry, writer))?;
                next.map(u64::from)
            }
            Memory::Bloom(memory) => {
                let (part, next) = memory.part(from.cast_unsigned(), BLOCKS_PER_PART);
                writer.section.u32(FILTER);
                part.map_or(Ok(()), |mut part| filter_fields(&mut part, writer))?;
                next
            }
        };
        Ok(next.map(u64::cast_signed))
    }

    /// Reads one section.
    #[inline]
    pub(super) fn load_section(
        &mut self,
        reader: &mut StateReader<'_>,
    ) -> Result<(), SnapshotError> {
        match (reader.kind()?, &mut self.memory) {
            (COMMON, _) => self.common(reader),
            (ENTRIES, Memory::Exact(memory)) => {
                for _ in 0..reader.section.length()? {
                    let mut entry = Default::default();
                    entry_fields(&mut entry, reader)?;
                    if !memory.restore(entry.0, entry.1) {
                        return Err(DAMAGED);
                    }
                }
                Ok(())
            }
            (FILTER, Memory::Bloom(memory)) => {
                let mut part = FilterPart { generation: 0, count: 0, first: 0, words: Vec::new() };
                filter_fields(&mut part, reader)?;
                if memory.restore(&part) { Ok(()) } else { Err(DAMAGED) }
            }
            _ => Err(SnapshotError::Damaged("a section of a dedup stage has an unknown kind")),
        }
    }

    #[inline]
    fn common(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let stats = &mut self.stats;
        codec.counters([
            &mut stats.events,
            &mut stats.rows,
            &mut stats.duplicates,
            &mut stats.unidentified,
        ])?;
        let (_, mut evicted) = self.memory.counts();
        codec.counters([&mut evicted])?;
        if codec.reads() {
            self.memory.restore_evicted(evicted);
        }
        codec.number(&mut self.time)?;
        // Written only if not zero, so that all other snapshots are equal to those of earlier
        // versions.
        codec.optional(
            &mut stats.unjudged,
            |unjudged| *unjudged > 0,
            |unjudged, codec| codec.counters([unjudged]),
        )
    }
}

/// Writes or reads an identity and its time.
#[inline]
fn entry_fields(
    ([low, high], since): &mut (Identity, i64),
    codec: &mut dyn Codec,
) -> Result<(), SnapshotError> {
    codec.numbers([low, high])?;
    codec.number(since)
}

/// Writes or reads blocks of a filter.
#[inline]
fn filter_fields(part: &mut FilterPart, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
    codec.number(&mut part.generation)?;
    codec.number(&mut part.count)?;
    let mut first = part.first as u64;
    codec.number(&mut first)?;
    part.first = usize::try_from(first).map_err(|_| DAMAGED)?;
    codec.list(&mut part.words)
}
