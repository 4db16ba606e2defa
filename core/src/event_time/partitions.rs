//! All partitions of the source, and the watermark that they have in common.

use super::min_tracker::{ABSENT, MinTracker};
use super::partition::Partition;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::{Keys, NONE};
use crate::plan::WatermarkRule;

/// All partitions of one engine.
#[derive(Clone)]
pub(super) struct Partitions {
    /// The dictionary of partition names, and the caller's ids.
    pub(super) names: Keys,
    /// The index in `list` by id of the name; [`NONE`] if the partition is not known yet.
    index_by_name: Vec<u32>,
    /// The partitions in the order in which they became known.
    list: Vec<Partition>,
    /// The watermarks of the active partitions; [`ABSENT`] for idle ones.
    active_watermarks: MinTracker,
    /// The greatest watermark of any partition.
    greatest_watermark: i64,
    max_partitions: usize,
}

impl Partitions {
    pub(super) fn new(seed: u64, max_partitions: u32, max_key_bytes: u32) -> Self {
        Self {
            names: Keys::new(seed, max_key_bytes),
            index_by_name: Vec::new(),
            list: Vec::new(),
            active_watermarks: MinTracker::default(),
            greatest_watermark: NO_WATERMARK,
            max_partitions: max_partitions as usize,
        }
    }

    pub(super) fn list(&self) -> &[Partition] {
        &self.list
    }

    /// Returns the least watermark of the active partitions. If all are idle, returns the greatest
    /// of any.
    #[inline]
    pub(super) fn watermark(&self) -> i64 {
        match self.active_watermarks.min() {
            ABSENT => self.greatest_watermark,
            least => least,
        }
    }

    /// Returns the greatest time of any event.
    pub(super) fn greatest(&self) -> Option<i64> {
        let times = self.list.iter().map(|partition| partition.greatest);
        times.max().filter(|time| *time != NO_WATERMARK)
    }

    /// Returns the index of the partition named `name`, adding it if needed. Returns `None` at the
    /// limit.
    #[inline]
    pub(super) fn get_or_add(&mut self, name: u32, now: Option<i64>) -> Option<usize> {
        match self.index_by_name.get(name as usize) {
            Some(index) if *index != NONE => Some(*index as usize),
            _ => self.add(Partition::new(name, now)),
        }
    }

    pub(super) fn is_known(&self, name: u32) -> bool {
        self.index_by_name.get(name as usize).is_some_and(|index| *index != NONE)
    }

    /// Adds a partition that is not known yet. Returns `None` at the limit.
    #[cold]
    pub(super) fn add(&mut self, partition: Partition) -> Option<usize> {
        if self.list.len() >= self.max_partitions {
            return None;
        }
        let index = self.list.len();
        let name = partition.name as usize;
        if self.index_by_name.len() <= name {
            self.index_by_name.resize(name + 1, NONE);
        }
        *self.index_by_name.get_mut(name)? = u32::try_from(index).ok()?;
        self.names.retain(partition.name);
        self.active_watermarks.push(if partition.idle { ABSENT } else { partition.watermark });
        self.greatest_watermark = self.greatest_watermark.max(partition.watermark);
        self.list.push(partition);
        Some(index)
    }

    /// Takes an event of the partition at `index`, at the host's time `now`.
    #[inline]
    pub(super) fn observe(
        &mut self,
        index: usize,
        rule: WatermarkRule,
        time: i64,
        marked: bool,
        now: Option<i64>,
    ) {
        let Some(partition) = self.list.get_mut(index) else { return };
        let before = partition.watermark;
        partition.observe(rule, time, marked);
        partition.seen_at = now;
        if partition.watermark != before || partition.idle {
            partition.idle = false;
            self.greatest_watermark = self.greatest_watermark.max(partition.watermark);
            self.active_watermarks.set(index, partition.watermark);
        }
    }

    /// Marks the partitions idle that were silent for `timeout_us` at the host's time `now`.
    pub(super) fn tick(&mut self, now: i64, timeout_us: Option<i64>) {
        for (index, partition) in self.list.iter_mut().enumerate() {
            let silent_us = now.saturating_sub(*partition.seen_at.get_or_insert(now));
            if !partition.idle && timeout_us.is_some_and(|timeout_us| silent_us >= timeout_us) {
                partition.idle = true;
                self.active_watermarks.set(index, ABSENT);
            }
        }
    }
}
