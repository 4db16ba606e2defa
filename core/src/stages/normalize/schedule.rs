//! What is due when: the series that have something to do at each watermark.

use std::collections::BTreeMap;

/// Series by the watermark at which they are due. Entries may have become void; whoever takes them looks.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BTreeMap<i64, Vec<u32>>,
    /// The earliest time, and none where there is nothing.
    first: Option<i64>,
    /// Empty lists, to be used again.
    spare: Vec<Vec<u32>>,
}

impl Schedule {
    pub(super) fn add(&mut self, time: i64, series: u32) {
        let spare = &mut self.spare;
        self.due.entry(time).or_insert_with(|| spare.pop().unwrap_or_default()).push(series);
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
    }

    /// Takes out what is due first, if that is at `watermark` or before.
    pub(super) fn take(&mut self, watermark: i64) -> Option<(i64, Vec<u32>)> {
        if self.first? > watermark {
            return None;
        }
        let taken = self.due.pop_first();
        self.first = self.due.first_key_value().map(|(time, _)| *time);
        taken
    }

    /// Takes back a list.
    pub(super) fn recycle(&mut self, mut list: Vec<u32>) {
        list.clear();
        self.spare.push(list);
    }
}
