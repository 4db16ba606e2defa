//! Partial state of windows of any kind: their values are exported, and merged into the windows of
//! another engine.
//!
//! ```text
//! write_partial    open windows, grouped by start and sorted by key -> bytes
//! stage_partial    bytes -> Staging, where they wait
//! merge_staged     each key of each staged partial:
//!                    place        find or open the window, or say why there is none
//!                    merge        add the values to those of the window
//!                    merged       schedule the window, or fire it again
//! ```

use std::collections::BTreeMap;

use super::staging::{PartialKey, StagedKey, StagedPartial, StagingKey, keys_and_values};
use super::windows::Windows;
use crate::aggregates::Accumulators;
use crate::data::dropped::Dropped;
use crate::data::frame::Frame;
use crate::data::reject::RejectReason;
use crate::error::SnapshotError;
use crate::keys::Keys;
use crate::plan::Limit;
use crate::snapshot::{Codec, StateReader, StateWriter};
use crate::stages::Context;
use crate::stages::keyed::limits::Limited;
use crate::stages::partial::{COUNTER_COUNT, PartialOrigin, PartialState, add_counters};

/// The outcome of looking for the window that the state of a key belongs to.
pub(super) enum Placement {
    /// The window is in this slot.
    In(u32),
    /// There is no window: the state of the key is dropped.
    Dropped(DropCause),
    /// A row must be emitted first, and the output is full.
    OutputFull,
}

/// The reason why the state of a key cannot be merged, and the window it is missing from.
pub(super) struct DropCause {
    pub(super) why: NotAdded,
    /// The watermark it was judged by.
    pub(super) watermark: i64,
    pub(super) window_end: Option<i64>,
}

/// The reason why the state of a key cannot be merged.
#[derive(Debug, Clone, Copy)]
pub(super) enum NotAdded {
    Late,
    Limit(Limit),
}

/// Windows of one kind that can be exported and merged.
pub(super) trait MergeableWindows: Windows + Sized {
    /// True if exported windows are grouped by their starts. Otherwise all are in one group.
    const HAVE_STARTS: bool;
    /// True if an end is exported for each window.
    const HAVE_ENDS: bool;

    /// Returns a stage of the same plan without any windows or counters, at the same watermark.
    fn emptied(&self) -> Self;

    /// Calls `visit` with the start and the slot of each open window.
    fn for_each_window(&self, visit: &mut dyn FnMut(i64, u32));

    /// Returns the end of the window in `slot`, if ends are exported.
    fn end_of(&self, slot: u32) -> i64;

    /// Returns true if a window of this stage can have such a start and end.
    fn can_have(&self, start: i64, end: i64) -> bool;

    /// Emits the rows that are due before the next key is merged. Returns false if `out` is full.
    #[inline]
    fn emit_due(&mut self, _context: &mut Context<'_>, _out: &mut Frame) -> bool {
        true
    }

    /// Finds or opens the window for the state `entry` of a key in the slice or session at `start`.
    fn place(
        &mut self,
        start: i64,
        entry: StagedKey,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> Placement;

    /// Updates everything that depends on the values in `slot`, after those of `entry` were merged.
    fn merged(&mut self, start: i64, entry: StagedKey, slot: u32);
}

/// Returns empty accumulators to read partials into.
#[inline]
pub(super) fn empty_accumulators(accumulators: &Accumulators) -> Accumulators {
    let mut empty = accumulators.empty(0);
    empty.count_events();
    empty
}

/// Merges staged partials as long as `is_due`. Returns false if `out` is full, the work of the call
/// is spent, or a limit ends the call; the next call continues.
#[inline]
pub(super) fn merge_staged<W: MergeableWindows>(
    windows: &mut W,
    is_due: impl Fn(&W) -> bool,
    context: &mut Context<'_>,
    out: &mut Frame,
) -> bool {
    loop {
        if !windows.emit_due(context, out) {
            return false;
        }
        if !is_due(windows) {
            return true;
        }
        let Some((key, mut partial)) = windows.parts().staging.take_first() else { return true };
        let from = partial.added;
        let continues = merge_next(windows, key.start, &mut partial, context, out);
        windows.parts().staging.put_back(key, partial, from, context.keys);
        context.work.spend(1);
        if !continues || context.work.is_spent() {
            return false;
        }
    }
}

/// Merges the next key of `partial`. Returns false if the call must end.
#[inline]
fn merge_next<W: MergeableWindows>(
    windows: &mut W,
    start: i64,
    partial: &mut StagedPartial,
    context: &mut Context<'_>,
    out: &mut Frame,
) -> bool {
    let Some(entry) = partial.next() else { return true };
    let continues = match windows.place(start, entry, context, out) {
        Placement::OutputFull => return false,
        Placement::In(slot) => {
            let values = partial.values.pick(&[entry.slot]);
            context.work.spend(values.work_of(0));
            windows.parts().accumulators.merge(&[slot], &values);
            windows.merged(start, entry, slot);
            true
        }
        Placement::Dropped(cause) => drop_entry(windows, entry, cause, context),
    };
    partial.added += 1;
    context.keys.release(entry.key);
    continues
}

/// Counts and reports `entry` as dropped: its events were taken by another engine and cannot be
/// given back. Returns false if the limit's policy ends the call.
#[inline]
fn drop_entry<W: Limited>(
    windows: &mut W,
    entry: StagedKey,
    DropCause { why, watermark, window_end }: DropCause,
    context: &mut Context<'_>,
) -> bool {
    let (index, ordinal) = (windows.index(), entry.ordinal);
    let (reason, continues) = match why {
        NotAdded::Late => (RejectReason::Late, true),
        NotAdded::Limit(limit) => {
            let outcome = context.apply_limit(limit, windows.caps().policy(limit), index, ordinal);
            (limit.reason(), outcome.continues())
        }
    };
    windows.counters().count_dropped(reason, entry.events);
    let stage = Some(index);
    context.drops.push(Dropped { ordinal, reason, stage, watermark, window_end });
    continues
}

/// Windows that start together, as exported.
struct Group {
    start: i64,
    keys: Vec<PartialKey>,
    slots: Vec<u32>,
}

/// Writes or reads a group, whose values are in `values`.
#[inline]
fn group_fields<W: MergeableWindows>(
    start: &mut i64,
    keys: &mut Vec<PartialKey>,
    slots: Vec<u32>,
    values: &mut Accumulators,
    codec: &mut dyn Codec,
) -> Result<(), SnapshotError> {
    if W::HAVE_STARTS {
        codec.number(start)?;
    }
    keys_and_values(keys, slots, values, W::HAVE_ENDS, codec)
}

/// Writes the number of groups, or reads it.
#[inline]
fn group_count<W: MergeableWindows>(
    groups: usize,
    codec: &mut dyn Codec,
) -> Result<usize, SnapshotError> {
    if W::HAVE_STARTS { codec.length(groups) } else { Ok(1) }
}

/// Returns the open windows grouped by start; keys are sorted by their positions.
#[inline]
fn groups<W: MergeableWindows>(windows: &W, writer: &StateWriter<'_>) -> Vec<Group> {
    let mut by_start: BTreeMap<i64, Vec<(u32, u32)>> = BTreeMap::new();
    if !W::HAVE_STARTS {
        by_start.insert(0, Vec::new());
    }
    windows.for_each_window(&mut |start, slot| {
        let position = writer.position(windows.key_in(slot));
        by_start.entry(start).or_default().push((position, slot));
    });
    let group = |(start, mut sorted): (i64, Vec<(u32, u32)>)| {
        crate::util::sort::pairs(&mut sorted);
        let slots: Vec<u32> = sorted.into_iter().map(|(_, slot)| slot).collect();
        let key =
            |slot: &u32| PartialKey { key: windows.key_in(*slot), end: windows.end_of(*slot) };
        let keys = slots.iter().map(key).collect();
        Group { start, keys, slots }
    };
    by_start.into_iter().map(group).collect()
}

impl<W: MergeableWindows> PartialState for W {
    #[inline]
    fn count_events(&mut self) {
        Windows::count_events(self);
    }

    #[inline]
    fn for_each_key(&self, name: &mut dyn FnMut(u32)) {
        self.for_each_window(&mut |_, slot| name(self.key_in(slot)));
    }

    #[inline]
    fn write_partial(&mut self, writer: &mut StateWriter<'_>) -> Result<(), SnapshotError> {
        let groups = groups(self, writer);
        group_count::<W>(groups.len(), writer)?;
        let values = self.parts().accumulators;
        groups.into_iter().try_for_each(|Group { mut start, mut keys, slots }| {
            group_fields::<W>(&mut start, &mut keys, slots, values, writer)
        })
    }

    #[inline]
    fn clear_windows(&mut self, keys: &mut Keys) {
        self.for_each_key(&mut |key| keys.release(key));
        let mut empty = self.emptied();
        Windows::count_events(&mut empty);
        *empty.counters() = core::mem::take(self.counters());
        *self = empty;
    }

    #[inline]
    fn stage_partial(
        &mut self,
        origin: PartialOrigin<'_>,
        reader: &mut StateReader<'_>,
    ) -> Result<u64, SnapshotError> {
        let empty = empty_accumulators(self.parts().accumulators);
        let mut partials: Vec<(i64, StagedPartial)> = Vec::new();
        let mut taken = 0_u64;
        for _ in 0..group_count::<W>(0, reader)? {
            let mut start = 0;
            let ordinal = origin.ordinal.saturating_add(taken);
            let mut partial = StagedPartial::new(ordinal, empty.clone());
            let StagedPartial { keys, values, .. } = &mut partial;
            group_fields::<W>(&mut start, keys, Vec::new(), values, reader)?;
            let ascends = partials.last().is_none_or(|(before, _)| *before < start);
            if !ascends || !partial.keys.iter().all(|row| self.can_have(start, row.end)) {
                return Err(SnapshotError::Damaged(
                    "partial state is out of order, or has impossible window times",
                ));
            }
            partial.values.forget_ordinals();
            taken = taken.saturating_add(partial.keys.len() as u64);
            partials.push((start, partial));
        }
        for (start, partial) in partials.into_iter().filter(|(_, part)| !part.keys.is_empty()) {
            let Some(keys) = reader.keys() else { continue };
            partial.keys.iter().for_each(|row| keys.retain(row.key));
            let (source, sequence) = (origin.source.into(), origin.sequence);
            self.parts().staging.push(StagingKey { start, source, sequence }, partial, keys);
        }
        Ok(taken)
    }

    #[inline]
    fn add_counters(&mut self, counters: [u64; COUNTER_COUNT]) {
        add_counters(self.counters(), counters);
    }
}
