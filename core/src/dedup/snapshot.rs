//! Snapshot of a [`Deduplicator`]: one section with a version and a checksum.

use super::deduplicator::{Deduplicator, DeduplicatorOptions};
use super::exact_set::ExactSet;
use crate::data::batch::Identity;
use crate::error::{Error, SnapshotError};
use crate::snapshot::{Kind, SectionReader, SectionWriter, read_section, write_section};

/// Bytes per identity, and maximum bytes of everything else.
const ENTRY_BYTES: u64 = 24;
const OTHER_BYTES: u64 = 128;

const DAMAGED: SnapshotError =
    SnapshotError::Damaged("identities or Bloom filters do not match the options");

impl Deduplicator {
    /// Returns the state as bytes. Equal state gives equal bytes, whatever the seed.
    ///
    /// Pending identities stay pending. Tokens remain valid for the restored deduplicator. A token
    /// lost with its process leaves its identity pending until it times out.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_section(&mut bytes, Kind::Deduplicator, |writer| {
            save_options(&self.options, writer);
            writer.i64(self.now);
            let evicted = self.confirmed.evicted();
            writer.counts([self.duplicates, self.timed_out, self.full, evicted].into_iter());
            save_entries(&self.confirmed, writer);
            save_entries(&self.pending, writer);
        });
        bytes
    }

    /// Restores a [`Deduplicator::snapshot`]. Options must be the same, except for the seed.
    ///
    /// # Errors
    /// Returns [`Error::Spec`] for an option out of range, and [`Error::Snapshot`] for bytes that
    /// are not such a snapshot or belong to other options.
    pub fn restore(options: DeduplicatorOptions, bytes: &[u8]) -> Result<Self, Error> {
        let mut restored = Self::new(options)?;
        let limit = OTHER_BYTES + ENTRY_BYTES * u64::from(options.max_entries);
        let payload = read_section(bytes, Kind::Deduplicator, limit)?;
        restored.load(SectionReader::new(&payload))?;
        Ok(restored)
    }

    fn load(&mut self, mut reader: SectionReader<'_>) -> Result<(), SnapshotError> {
        let mut own = Vec::new();
        save_options(&self.options, &mut SectionWriter::new(&mut own));
        if reader.raw(own.len())? != own {
            return Err(SnapshotError::OtherPipeline);
        }
        self.now = reader.i64()?;
        self.duplicates = reader.count()?;
        self.timed_out = reader.count()?;
        self.full = reader.count()?;
        self.confirmed.restore_evicted(reader.count()?);
        let now = self.now;
        load_entries(&mut reader, |identity, since| {
            since <= now && self.confirmed.restore(identity, since)
        })?;
        load_entries(&mut reader, |identity, since| {
            let is_new = self.confirmed.since(identity).is_none();
            since <= now && is_new && self.pending.restore(identity, since)
        })?;
        let held = self.confirmed.len() + self.pending.len();
        if held > self.options.max_entries as usize {
            return Err(DAMAGED);
        }
        reader.end()
    }
}

/// Writes all options except the seed.
fn save_options(options: &DeduplicatorOptions, writer: &mut SectionWriter<'_>) {
    writer.i64(options.ttl_us.unwrap_or_default());
    writer.i64(options.pending_timeout_us);
    writer.u64(u64::from(options.max_entries));
}

fn save_entries(entries: &ExactSet, writer: &mut SectionWriter<'_>) {
    let (entries, _) = entries.entries_from(0, usize::MAX);
    writer.length(entries.len());
    for ([low, high], since) in entries {
        writer.u64s([low, high].into_iter());
        writer.i64(since);
    }
}

fn load_entries(
    reader: &mut SectionReader<'_>,
    mut restore: impl FnMut(Identity, i64) -> bool,
) -> Result<(), SnapshotError> {
    for _ in 0..reader.length()? {
        let identity = [reader.u64()?, reader.u64()?];
        if !restore(identity, reader.i64()?) {
            return Err(DAMAGED);
        }
    }
    Ok(())
}
