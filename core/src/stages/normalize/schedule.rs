//! What is due when: the series that have something to do at a watermark.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use super::series::{NEVER, Series};

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
