//! The schedule: the watermark at which each series has work next.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use super::series::{NEVER, Series};

/// Stale entries that are always tolerated.
const MIN_STALE: usize = 64;

/// Series by due watermark. An entry is stale if the series is due at another time.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Schedule {
    /// Schedules series `series_id` at watermark `time`, unless it is due earlier.
    pub(super) fn add(&mut self, series_id: u32, series: &mut Series, time: i64) {
        if time < series.due {
            series.due = time;
            self.due.push(Reverse((time, series_id)));
        }
    }

    /// Removes the first due series if no other is due by `watermark`. Returns it with the
    /// watermark up to which it is the only one.
    pub(super) fn pop_if_alone(
        &mut self,
        watermark: i64,
        series: &mut [Series],
    ) -> Option<(u32, i64)> {
        let time = self.next_due(series)?;
        let series_id = self.pop_due(watermark, series)?;
        let next = self.next_due(series).unwrap_or(NEVER);
        let until = watermark.min(next.saturating_sub(1));
        if until >= time {
            return Some((series_id, until));
        }
        if let Some(one) = series.get_mut(series_id as usize) {
            self.add(series_id, one, time);
        }
        None
    }

    /// Returns the watermark at which the first series is due.
    pub(super) fn next_due(&mut self, series: &[Series]) -> Option<i64> {
        loop {
            let Reverse((time, series_id)) = *self.due.peek()?;
            if series.get(series_id as usize).is_some_and(|one| one.due == time) {
                return Some(time);
            }
            self.due.pop();
        }
    }

    /// Drops stale entries once they outnumber the entries of the live series.
    pub(super) fn compact(&mut self, series: &[Series], live_series: usize) {
        if self.due.len() <= 2 * live_series + MIN_STALE {
            return;
        }
        let entries = core::mem::take(&mut self.due).into_iter().map(|Reverse(entry)| entry);
        let due = |series_id: u32| series.get(series_id as usize).map(|one| one.due);
        let is_current = |(time, series_id): &(i64, u32)| due(*series_id) == Some(*time);
        let mut entries: Vec<(i64, u32)> = entries.filter(is_current).collect();
        crate::util::sort::timed(&mut entries);
        entries.dedup();
        self.due = entries.into_iter().map(Reverse).collect();
    }

    /// Removes and returns a series that is due at or before `watermark`.
    pub(super) fn pop_due(&mut self, watermark: i64, series: &mut [Series]) -> Option<u32> {
        loop {
            let Reverse((time, series_id)) = *self.due.peek()?;
            if time > watermark {
                return None;
            }
            self.due.pop();
            if let Some(one) = series.get_mut(series_id as usize).filter(|one| one.due == time) {
                one.due = NEVER;
                return Some(series_id);
            }
        }
    }
}
