//! Partial state of global windows, which hold all events of a key.

use super::{Context, CountStage, NONE};
use crate::data::frame::Frame;
use crate::event_time::watermark::END_OF_TIME;
use crate::stages::keyed::limits::Limited;
use crate::stages::window::partial::{
    DropCause, MergeableWindows, NotAdded, Placement, merge_staged,
};
use crate::stages::window::staging::StagedKey;
use crate::stages::window::windows::Windows;
use crate::time::{MAX_TIME, MIN_TIME};

/// The end of a window is the time of its last event.
impl MergeableWindows for CountStage {
    const HAVE_STARTS: bool = false;
    const HAVE_ENDS: bool = true;

    fn emptied(&self) -> Self {
        let output_watermark = self.output_watermark;
        Self { output_watermark, ..Self::new(self.index, self.plan.clone()) }
    }

    fn for_each_window(&self, visit: &mut dyn FnMut(i64, u32)) {
        self.open_slots().for_each(|slot| visit(0, slot));
    }

    fn end_of(&self, slot: u32) -> i64 {
        self.window(slot).last
    }

    fn can_have(&self, _: i64, last: i64) -> bool {
        (MIN_TIME..=MAX_TIME).contains(&last)
    }

    fn place(
        &mut self,
        _: i64,
        entry: StagedKey,
        context: &mut Context<'_>,
        _: &mut Frame,
    ) -> Placement {
        let StagedKey { key, end, .. } = entry;
        let known = self.slots.get(key as usize).copied().filter(|slot| *slot != NONE);
        let opened = known.map_or_else(
            || self.open_or_evict(key, end, context.keys, |stage, keys| stage.open(key, end, keys)),
            Ok,
        );
        match opened {
            Ok(slot) => Placement::In(slot),
            Err(limit) => Placement::Dropped(DropCause {
                why: NotAdded::Limit(limit),
                watermark: self.output_watermark,
                window_end: None,
            }),
        }
    }

    fn merged(&mut self, _: i64, entry: StagedKey, slot: u32) {
        if let Some(window) = self.windows.get_mut(slot) {
            window.count = window.count.saturating_add(entry.events);
            window.first = window.first.min(entry.end);
            window.last = window.last.max(entry.end);
        }
        self.measure_slot(slot);
        self.keyed.touch(entry.key);
    }
}

impl CountStage {
    /// Merges the partials that are due at `watermark`: all at the end of input, and all at once if
    /// watermarks are passed on. Returns false if one had no room and the call must end.
    pub(super) fn add_partials(
        &mut self,
        watermark: i64,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let are_due =
            watermark == END_OF_TIME || self.plan.passes_watermarks || self.staging_is_full();
        merge_staged(self, |_| are_due, context, out)
    }
}
