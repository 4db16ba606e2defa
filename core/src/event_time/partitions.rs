//! The partitions of the source together: who is known, who is waited for, and what they have reached in common.

use super::least::{ABSENT, Least};
use super::partition::Partition;
use crate::event_time::watermark::NO_WATERMARK;
use crate::keys::{Keys, NONE};
use crate::plan::Rule;

/// All partitions of one engine.
#[derive(Clone)]
pub(super) struct Partitions {
    /// Names by id, and the caller's ids.
    pub(super) names: Keys,
    /// The place in `list` by id of the name; [`NONE`]: not known yet.
    places: Vec<u32>,
    /// In the order in which they became known.
    list: Vec<Partition>,
    /// The watermarks of those that are waited for.
    waited_for: Least,
    /// The greatest watermark of any.
    greatest_watermark: i64,
    most: usize,
}

impl Partitions {
    pub(super) fn new(seed: u64, most: u32) -> Self {
        Self {
            names: Keys::new(seed),
            places: Vec::new(),
            list: Vec::new(),
            waited_for: Least::default(),
            greatest_watermark: NO_WATERMARK,
            most: most as usize,
        }
    }

    pub(super) fn list(&self) -> &[Partition] {
        &self.list
    }

    /// What all that are waited for have reached; the most that any has reached where none is.
    #[inline]
    pub(super) fn watermark(&self) -> i64 {
        match self.waited_for.get() {
            ABSENT => self.greatest_watermark,
            least => least,
        }
    }

    /// The greatest time of any event.
    pub(super) fn greatest(&self) -> Option<i64> {
        let times = self.list.iter().map(|partition| partition.greatest);
        times.max().filter(|time| *time != NO_WATERMARK)
    }

    /// The place of the partition with the name `name`, which is known from now on; `None`: it would be one too many.
    #[inline]
    pub(super) fn known(&mut self, name: u32, now: Option<i64>) -> Option<usize> {
        match self.places.get(name as usize) {
            Some(place) if *place != NONE => Some(*place as usize),
            _ => self.add(Partition::new(name, now)),
        }
    }

    pub(super) fn is_known(&self, name: u32) -> bool {
        self.places.get(name as usize).is_some_and(|place| *place != NONE)
    }

    /// Adds a partition whose name is not known yet; `None`: it would be one too many.
    #[cold]
    pub(super) fn add(&mut self, partition: Partition) -> Option<usize> {
        if self.list.len() >= self.most {
            return None;
        }
        let place = self.list.len();
        let name = partition.name as usize;
        if self.places.len() <= name {
            self.places.resize(name + 1, NONE);
        }
        *self.places.get_mut(name)? = u32::try_from(place).ok()?;
        self.names.retain(partition.name);
        self.waited_for.push(if partition.idle { ABSENT } else { partition.watermark });
        self.greatest_watermark = self.greatest_watermark.max(partition.watermark);
        self.list.push(partition);
        Some(place)
    }

    /// Takes note of an event of the partition at `place`, at the host's time `now`.
    #[inline]
    pub(super) fn observe(
        &mut self,
        place: usize,
        rule: Rule,
        time: i64,
        marked: bool,
        now: Option<i64>,
    ) {
        let Some(partition) = self.list.get_mut(place) else { return };
        let before = partition.watermark;
        partition.observe(rule, time, marked);
        partition.seen_at = now;
        if partition.watermark != before || partition.idle {
            partition.idle = false;
            self.greatest_watermark = self.greatest_watermark.max(partition.watermark);
            self.waited_for.set(place, partition.watermark);
        }
    }

    /// Stops waiting for those that were silent for `timeout_us`, now that it is `now`.
    pub(super) fn tick(&mut self, now: i64, timeout_us: Option<i64>) {
        for (place, partition) in self.list.iter_mut().enumerate() {
            let silent_us = now.saturating_sub(*partition.seen_at.get_or_insert(now));
            if !partition.idle && timeout_us.is_some_and(|timeout_us| silent_us >= timeout_us) {
                partition.idle = true;
                self.waited_for.set(place, ABSENT);
            }
        }
    }
}
