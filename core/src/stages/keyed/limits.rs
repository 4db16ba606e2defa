//! Limits and their policies: an event that has no room evicts state, is dropped, or ends the call.

use crate::data::frame::Events;
use crate::data::reject::RejectReason;
use crate::data::stats::StageStats;
use crate::keys::Keys;
use crate::plan::{Caps, Limit};
use crate::spec::LimitPolicy;
use crate::stages::Context;

/// The work of an eviction, about 1 us, in units of [`crate::stages::WorkBudget`].
pub(in crate::stages) const EVICTION_WORK: u64 = 100;

/// A stage whose state has limits.
pub(in crate::stages) trait Limited {
    /// Returns the index of the stage in the pipeline.
    fn index(&self) -> u32;

    /// Returns its limits.
    fn caps(&self) -> &Caps;

    /// Returns its counters.
    fn counters(&mut self) -> &mut StageStats;

    /// Evicts state to make room at `limit` for an event of `key` at `time`. Returns false if there
    /// is nothing to evict.
    fn make_room(&mut self, limit: Limit, key: u32, time: i64, keys: &mut Keys) -> bool;

    /// Returns the end of the last window that an event at `time` is missing from when it is
    /// dropped, if the stage has windows of event time.
    fn window_end(&self, _time: i64) -> Option<i64> {
        None
    }

    /// Records the watermark under which a dropped event arrived.
    fn set_input_watermark(&mut self, _watermark: i64) {}

    /// Counts and reports the event at `cursor` as dropped, and advances `cursor`.
    #[cold]
    fn drop_event(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        reason: RejectReason,
        context: &mut Context<'_>,
    ) {
        let stats = self.counters();
        stats.events += 1;
        stats.count_dropped(reason, 1);
        let end = events.timestamps.get(*cursor).and_then(|time| self.window_end(*time));
        context.report_drop(self.index(), events, *cursor, reason, end);
        if let Some(watermark) = events.watermarks.get(*cursor) {
            self.set_input_watermark(*watermark);
        }
        *cursor += 1;
    }

    /// Applies the policy of `limit` to the event at `cursor`, which has no room: evicts, drops the
    /// event, or refuses it. Returns false if the call must end.
    #[cold]
    fn at_limit(
        &mut self,
        limit: Limit,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
    ) -> bool {
        let policy = self.caps().policy(limit);
        if let (LimitPolicy::Evict, Some((key, time))) =
            (policy, events.keys.get(*cursor).zip(events.timestamps.get(*cursor)))
            && self.make_room(limit, *key, *time, context.keys)
        {
            context.work.spend(EVICTION_WORK);
            return true;
        }
        let ordinal = events.ordinals.at(*cursor);
        let outcome = context.apply_limit(limit, policy, self.index(), ordinal);
        if outcome.drops_event() {
            self.drop_event(events, cursor, limit.reason(), context);
        }
        outcome.continues()
    }

    /// Opens an entry for state of `key` at `time` that did not come with an event, evicting if the
    /// policy says so. `open` fails with the limit that leaves no room.
    fn open_or_evict<T>(
        &mut self,
        key: u32,
        time: i64,
        keys: &mut Keys,
        open: impl Fn(&mut Self, &mut Keys) -> Result<T, Limit>,
    ) -> Result<T, Limit> {
        loop {
            match open(self, keys) {
                Err(limit)
                    if self.caps().policy(limit) == LimitPolicy::Evict
                        && self.make_room(limit, key, time, keys) => {}
                opened => return opened,
            }
        }
    }
}
