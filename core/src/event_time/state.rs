//! Definitions, statistics and snapshots of partitions.

use core::ops::Range;

use super::EventTime;
use super::partition::Partition;
use crate::data::stats::PartitionStats;
use crate::engine::KeyDefinitions;
use crate::error::{Error, SnapshotError};
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::key;
use crate::keys::Keys;
use crate::snapshot::{SectionReader, SectionWriter};

impl EventTime {
    /// Returns the dictionary of partition names, with the caller's ids.
    pub(crate) fn partition_names(&self) -> &Keys {
        &self.partitions.names
    }

    /// Assigns ids chosen by the caller to partitions; all ids are valid. If `known` is set, the
    /// watermark waits for them from now on.
    #[inline]
    pub(crate) fn define_partitions<'a>(
        &mut self,
        definitions: &KeyDefinitions<'_>,
        names: impl Iterator<Item = &'a [u8]> + Clone,
        known: bool,
    ) -> Result<(), Error> {
        let now = self.is_ticked.then_some(self.now);
        if known {
            let mut fresh: Vec<u32> =
                names.clone().map(|name| self.partitions.names.intern(name)).collect();
            crate::util::sort::by(&mut fresh, u32::cmp);
            fresh.dedup();
            fresh.retain(|name| !self.partitions.is_known(*name));
            let limit = self.plan.max_partitions;
            if self.partitions.list().len() + fresh.len() > limit as usize {
                return Err(Error::TooManyPartitions { limit });
            }
            for name in fresh {
                self.partitions.get_or_add(name, now);
            }
        }
        if definitions.reset {
            self.partitions.names.undefine(0..u32::MAX);
        }
        for (id, name) in definitions.ids.iter().zip(names) {
            self.partitions.names.define(*id, name);
        }
        self.partitions.names.reclaim();
        Ok(())
    }

    /// Removes the caller's ids in `ids`.
    pub(crate) fn undefine_partitions(&mut self, ids: Range<u32>) {
        self.partitions.names.undefine(ids);
        self.partitions.names.reclaim();
    }

    /// Returns the statistics of the partitions, sorted by name.
    #[inline]
    pub(crate) fn partition_stats(&self) -> Vec<PartitionStats> {
        let names = &self.partitions.names;
        let least = self.partitions.watermark();
        let held = self.watermark() != END_OF_TIME;
        let stats = self.sorted().into_iter().map(|partition| PartitionStats {
            partition: printed(names.bytes(partition.name)),
            greatest_time: Some(partition.greatest).filter(|time| *time != NO_WATERMARK),
            watermark: Some(partition.watermark).filter(|time| *time != NO_WATERMARK),
            idle: partition.idle,
            holds_back: held && !partition.idle && partition.watermark == least,
        });
        stats.collect()
    }

    #[inline]
    pub(crate) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.count(self.future);
        writer.u32(u32::from(self.is_open));
        let list = self.sorted();
        writer.length(list.len());
        for partition in list {
            let name = self.partitions.names.bytes(partition.name);
            writer.length(name.len());
            writer.raw(name);
            writer.i64(partition.greatest);
            writer.i64(partition.watermark);
            writer.i64(partition.moved_at);
            writer.u32(u32::from(partition.idle));
        }
    }

    /// Reads what [`EventTime::save`] wrote. Idle timers restart at the next tick.
    #[inline]
    pub(crate) fn load(&mut self, reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        const DAMAGED: SnapshotError =
            SnapshotError::Damaged("the state of the partitions is inconsistent");
        self.future = reader.count()?;
        self.is_open = reader.flag()?;
        let mut before: Option<&[u8]> = None;
        for _ in 0..reader.length()? {
            let length = reader.length()?;
            let name = reader.raw(length)?;
            let valid =
                if self.plan.partitioned { key::is_encoded(name, 1) } else { name.is_empty() };
            if !valid || before.is_some_and(|before| before >= name) {
                return Err(DAMAGED);
            }
            before = Some(name);
            let id = self.partitions.names.intern(name);
            let mut partition = Partition::new(id, None);
            partition.greatest = reader.i64()?;
            partition.watermark = reader.i64()?;
            partition.moved_at = reader.i64()?;
            partition.idle = reader.flag()?;
            if !partition.is_consistent() {
                return Err(DAMAGED);
            }
            if self.partitions.is_known(id) || self.partitions.add(partition).is_none() {
                return Err(DAMAGED);
            }
        }
        Ok(())
    }

    /// Restores the host's time of a snapshot; it does not move back behind that.
    #[inline]
    pub(crate) fn load_now(&mut self, now: i64) {
        self.now = now;
    }

    /// Returns the partitions sorted by name.
    #[inline]
    fn sorted(&self) -> Vec<&Partition> {
        let names = &self.partitions.names;
        let mut list: Vec<&Partition> = self.partitions.list().iter().collect();
        crate::util::sort::by(&mut list, |a, b| names.bytes(a.name).cmp(names.bytes(b.name)));
        list
    }
}

/// Returns the name of a partition as plain text.
fn printed(name: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    key::fields(name).next()?.write_text(&mut text);
    String::from_utf8(text).ok()
}
