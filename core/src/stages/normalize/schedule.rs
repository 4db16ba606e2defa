//! What is due when: the series that have something to do at a watermark.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use super::series::{NEVER, Series};

/// Void entries that are always allowed.
const MIN_VOID: usize = 64;

/// Series by the watermark at which they are due first. An entry is void once its series is due at another time.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Schedule {
    /// Has series `of` looked at when the watermark reaches `time`, if it is not before.
    pub(super) fn add(&mut self, of: u32, series: &mut Series, time: i64) {
        if time < series.due {
            series.due = time;
            self.due.push(Reverse((time, of)));
        }
    }

    /// Takes out the series that is due first, by `watermark`, if no other one is due by then; with it until when it is alone.
    pub(super) fn take_alone(
        &mut self,
        watermark: i64,
        series: &mut [Series],
    ) -> Option<(u32, i64)> {
        let time = self.next_due(series)?;
        let of = self.take(watermark, series)?;
        let next = self.next_due(series).unwrap_or(NEVER);
        let until = watermark.min(next.saturating_sub(1));
        if until >= time {
            return Some((of, until));
        }
        if let Some(one) = series.get_mut(of as usize) {
            self.add(of, one, time);
        }
        None
    }

    /// Returns the watermark at which the first series is due.
    pub(super) fn next_due(&mut self, series: &[Series]) -> Option<i64> {
        loop {
            let Reverse((time, of)) = *self.due.peek()?;
            if series.get(of as usize).is_some_and(|one| one.due == time) {
                return Some(time);
            }
            self.due.pop();
        }
    }

    /// Drops the entries that are void, once they are more than those of the `live` series.
    pub(super) fn tidy(&mut self, series: &[Series], live: usize) {
        if self.due.len() <= 2 * live + MIN_VOID {
            return;
        }
        let mut entries = core::mem::take(&mut self.due).into_vec();
        let due = |of: u32| series.get(of as usize).map(|one| one.due);
        entries.retain(|Reverse((time, of))| due(*of) == Some(*time));
        entries.sort_unstable();
        entries.dedup();
        self.due = BinaryHeap::from(entries);
    }

    /// Takes out a series that is due at `watermark` or before.
    pub(super) fn take(&mut self, watermark: i64, series: &mut [Series]) -> Option<u32> {
        loop {
            let Reverse((time, of)) = *self.due.peek()?;
            if time > watermark {
                return None;
            }
            self.due.pop();
            if let Some(one) = series.get_mut(of as usize).filter(|one| one.due == time) {
                one.due = NEVER;
                return Some(of);
            }
        }
    }
}
