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
