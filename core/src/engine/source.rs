//! The input side of the engine: checks batches, rejects bad events, maps keys, and stores the
//! watermark in effect at each event.

use core::ops::Range;

use super::definitions::check_offsets;
use super::push::Scratch;
use crate::data::batch::{Batch, Column, KeyColumn};
use crate::data::reject::RejectReason;
use crate::data::stats::ReasonCount;
use crate::error::Error;
use crate::event_time::watermark::END_OF_TIME;
use crate::event_time::{Chunk, EventTime};
use crate::keys::{KeyLengths, Keys, NONE};
use crate::plan::Plan;
use crate::time::{MAX_TIME, MIN_TIME};
use crate::util::simd::{are_finite, greatest};

/// The state of the source, and column buffers that are reused for every chunk.
pub(super) struct Source {
    pub(super) time: EventTime,
    pub(super) next_ordinal: u64,
    pub(super) accepted: u64,
    /// The number of rejected events by reason, in the order of [`RejectReason::ALL`].
    pub(super) rejected: Vec<u64>,
    /// The id of the only key, if the pipeline has no key fields.
    unkeyed: Option<u32>,
    required: Required,
    pub(super) scratch: Scratch,
}

/// The values that an event must have.
struct Required {
    /// For each column: true if an event must have its value.
    columns: Vec<bool>,
    /// The number of leading columns of which an event must have at least one value.
    any_of: usize,
}

/// The greatest ordinal that an event gets by counting: counting on from it cannot overflow.
pub(super) const MAX_NEXT_ORDINAL: u64 = 1 << 63;

/// Returns the ordinal of the event `events` after the one with `ordinal`, at most
/// [`MAX_NEXT_ORDINAL`].
pub(super) fn ordinal_after(ordinal: u64, events: u64) -> u64 {
    ordinal.saturating_add(events).min(MAX_NEXT_ORDINAL)
}

/// Says whether all events of a chunk were accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkCheck {
    AllAccepted,
    /// The rejected events are listed in [`Scratch::rejected`].
    SomeRejected,
}

impl Source {
    #[inline]
    pub(super) fn new(plan: &Plan, keys: &mut Keys, seed: u64) -> Self {
        let unkeyed = plan.input.key.is_empty().then(|| keys.intern(&[]));
        if let Some(id) = unkeyed {
            keys.define(0, &[]);
            debug_assert_eq!(id, 0, "the first key has the first id");
        }
        Self {
            time: EventTime::new(&plan.time, seed),
            next_ordinal: 0,
            accepted: 0,
            rejected: vec![0; RejectReason::ALL.len()],
            unkeyed,
            required: Required {
                columns: plan.input.columns.iter().map(|column| column.required).collect(),
                any_of: plan.input.require_any_of,
            },
            scratch: Scratch::default(),
        }
    }

    pub(super) fn watermark(&self) -> i64 {
        self.time.watermark()
    }

    pub(super) fn advance(&mut self, watermark: i64) {
        self.time.advance(watermark);
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(super) fn rejected(&self) -> Vec<ReasonCount> {
        let counts = RejectReason::ALL.iter().zip(&self.rejected);
        counts
            .filter(|(_, count)| **count > 0)
            .map(|(reason, count)| ReasonCount { reason: *reason, count: *count })
            .collect()
    }

    pub(super) fn has_rejected(&self, reason: RejectReason) -> bool {
        self.rejected.get(reason.number()).is_some_and(|count| *count > 0)
    }

    /// Checks that `batch` has the shape that `plan` requires, and maps its keys and partitions.
    pub(super) fn admit(
        &mut self,
        plan: &Plan,
        batch: &Batch<'_>,
        keys: &mut Keys,
    ) -> Result<(), Error> {
        let expected = batch.timestamps.len();
        if expected > plan.limits.max_batch_events as usize {
            return Err(Error::BatchTooLarge {
                found: expected,
                limit: plan.limits.max_batch_events,
            });
        }
        let columns = &plan.input.columns;
        if batch.columns.len() != columns.len() {
            return Err(Error::ColumnCount { expected: columns.len(), found: batch.columns.len() });
        }
        let identity_columns = plan.input.identities.len();
        if batch.identities.len() != identity_columns {
            return Err(Error::IdentityCount {
                expected: identity_columns,
                found: batch.identities.len(),
            });
        }
        let named = columns.iter().map(|column| column.name.as_str());
        let lengths = named.zip(batch.columns.iter().map(Column::len));
        let extra = [
            ("ordinals", batch.ordinals.map(<[u64]>::len)),
            ("watermarks", batch.watermarks.map(<[i64]>::len)),
            ("partitions", batch.partitions.map(<[u32]>::len)),
        ];
        let extra =
            extra.into_iter().filter_map(|(name, length)| length.map(|length| (name, length)));
        let identities = batch.identities.iter().map(|column| ("identities", column.len()));
        let mut all = lengths.chain(extra).chain(identities);
        if let Some((column, found)) = all.find(|(_, found)| *found != expected) {
            return Err(Error::ColumnLength { column: column.to_owned(), expected, found });
        }
        self.map_partitions(plan, batch)?;
        self.map_keys(plan, batch, keys)
    }

    /// Stores the engine's id of each key of the batch. On error, no state has changed except that
    /// the dictionary may have new keys.
    fn map_keys(&mut self, plan: &Plan, batch: &Batch<'_>, keys: &mut Keys) -> Result<(), Error> {
        let expected = batch.timestamps.len();
        self.scratch.same_ids = false;
        self.scratch.key_lengths = KeyLengths::AllFit;
        let mapped = &mut self.scratch.keys;
        match (batch.keys, self.unkeyed) {
            (KeyColumn::Unkeyed, Some(id)) => {
                mapped.clear();
                mapped.resize(expected, id);
            }
            (KeyColumn::Unkeyed, None) if expected == 0 => mapped.clear(),
            (KeyColumn::Unkeyed, None) => {
                return Err(Error::KeysMismatch("the pipeline has a key, but the batch has none"));
            }
            (_, Some(_)) => {
                return Err(Error::KeysMismatch("the batch has keys, but the pipeline has no key"));
            }
            (KeyColumn::Ids(ids), None) => {
                if ids.len() != expected {
                    let column = "keys".to_owned();
                    return Err(Error::ColumnLength { column, expected, found: ids.len() });
                }
                self.scratch.same_ids = keys.has_same_ids() && all_below(ids, keys.defined().len());
                if !self.scratch.same_ids {
                    self.scratch.key_lengths = map_ids(ids, keys.defined(), mapped)
                        .map_err(|UndefinedId { id, event }| Error::UnknownKeyId { id, event })?;
                }
            }
            (KeyColumn::Encoded { offsets, bytes }, None) => {
                let fields = plan.input.key.len();
                let nulls = plan.input.on_null_key;
                let valid = |key: &[u8]| crate::key::validate_with(key, fields, nulls);
                check_offsets(offsets, bytes, expected)?;
                self.scratch.key_lengths = keys
                    .intern_column(offsets, bytes, valid, mapped)
                    .map_err(|index| Error::InvalidKey { index, fields })?;
            }
            (KeyColumn::Text { .. }, None) if plan.input.key.len() != 1 => {
                return Err(Error::KeysMismatch(
                    "the batch has a text for each key, but the pipeline has several key fields",
                ));
            }
            (KeyColumn::Text { offsets, bytes }, None) => {
                check_offsets(offsets, bytes, expected)?;
                self.scratch.key_lengths = keys
                    .intern_texts(offsets, bytes, mapped)
                    .map_err(|index| Error::InvalidKey { index, fields: 1 })?;
            }
        }
        Ok(())
    }

    /// Stores the watermark in effect at each event of `range`, and lists the rejected events.
    pub(super) fn assign_watermarks(
        &mut self,
        batch: &Batch<'_>,
        range: Range<usize>,
    ) -> ChunkCheck {
        if self.time.is_simple() && !self.scratch.has_long_keys() {
            let before = self.time.stream.clone();
            if self.assign_watermarks_if_all_valid(batch, range.clone()) {
                return ChunkCheck::AllAccepted;
            }
            self.time.stream = before;
        }
        self.assign_watermarks_one_by_one(batch, range)
    }

    /// Does so if no event of `range` is rejected. Returns `false` if one is; what was stored is
    /// then invalid.
    pub(super) fn assign_watermarks_if_all_valid(
        &mut self,
        batch: &Batch<'_>,
        range: Range<usize>,
    ) -> bool {
        let timestamps = batch.timestamps.get(range.clone()).unwrap_or_default();
        let given = batch.watermarks.and_then(|watermarks| watermarks.get(range.clone()));
        let finite = |Column::F64(values): &Column<'_>| {
            are_finite(values.get(range.clone()).unwrap_or_default())
        };
        let certainly_valid =
            self.assign_stream_watermarks(timestamps, given) && batch.columns.iter().all(finite);
        certainly_valid || range.into_iter().all(|event| self.rejection(batch, event).is_none())
    }

    /// Stores the watermark in effect at each of `timestamps`. Returns `false` if a time may be out
    /// of range.
    fn assign_stream_watermarks(&mut self, timestamps: &[i64], given: Option<&[i64]>) -> bool {
        let in_effect = &mut self.scratch.watermarks;
        in_effect.resize(timestamps.len(), 0);
        let generator = &mut self.time.stream;
        let Some(given) = given else { return generator.observe_chunk(timestamps, in_effect) };
        for (given, in_effect) in given.iter().zip(in_effect) {
            generator.advance((*given).min(END_OF_TIME - 1));
            *in_effect = generator.watermark();
        }
        timestamps.iter().all(|time| (MIN_TIME..=MAX_TIME).contains(time))
    }

    /// Does so one event at a time, for any kind of event time.
    fn assign_watermarks_one_by_one(
        &mut self,
        batch: &Batch<'_>,
        range: Range<usize>,
    ) -> ChunkCheck {
        let mut in_effect = core::mem::take(&mut self.scratch.watermarks);
        let mut rejected = core::mem::take(&mut self.scratch.rejected);
        let mark = self.time.mark_column().and_then(|column| batch.columns.get(column));
        let chunk = Chunk {
            timestamps: batch.timestamps.get(range.clone()).unwrap_or_default(),
            partitions: batch.partitions.and_then(|_| self.scratch.partitions.get(range.clone())),
            marks: mark.and_then(|Column::F64(marks)| marks.get(range.clone())),
            given: batch.watermarks.and_then(|watermarks| watermarks.get(range.clone())),
        };
        let finite = |Column::F64(values): &Column<'_>| {
            are_finite(values.get(range.clone()).unwrap_or_default())
        };
        let in_range = |time: &i64| (MIN_TIME..=MAX_TIME).contains(time);
        if chunk.timestamps.iter().all(in_range)
            && batch.columns.iter().all(finite)
            && !self.scratch.has_long_keys()
        {
            self.time.observe_chunk(&chunk, |_| None, &mut in_effect, &mut rejected);
        } else {
            let (required, scratch) = (&self.required, &self.scratch);
            let rejection = |event: usize| {
                let event = range.start + event;
                rejection(batch, required, event).or_else(|| scratch.key_rejection(event))
            };
            self.time.observe_chunk(&chunk, rejection, &mut in_effect, &mut rejected);
        }
        let check = match rejected.is_empty() {
            true => ChunkCheck::AllAccepted,
            false => ChunkCheck::SomeRejected,
        };
        self.scratch.watermarks = in_effect;
        self.scratch.rejected = rejected;
        check
    }

    fn rejection(&self, batch: &Batch<'_>, event: usize) -> Option<RejectReason> {
        rejection(batch, &self.required, event)
    }
}

/// Returns the reason to reject an event, if there is one.
fn rejection(batch: &Batch<'_>, required: &Required, event: usize) -> Option<RejectReason> {
    let timestamp = batch.timestamps.get(event).copied().unwrap_or(i64::MIN);
    if !(MIN_TIME..=MAX_TIME).contains(&timestamp) {
        return Some(RejectReason::TimestampOutOfRange);
    }
    let value = |Column::F64(values): &Column<'_>| values.get(event).copied().unwrap_or(f64::NAN);
    let columns = batch.columns.iter().zip(&required.columns);
    let reason = columns.into_iter().find_map(|(column, required)| match value(column) {
        value if value.is_nan() => required.then_some(RejectReason::MissingField),
        value if value.is_infinite() => Some(RejectReason::NonFinite),
        _ => None,
    });
    let mut any_of = batch.columns.iter().take(required.any_of);
    let lacks_all = required.any_of > 0 && any_of.all(|column| value(column).is_nan());
    reason.or(lacks_all.then_some(RejectReason::MissingField))
}

/// Returns whether all of `ids` are below `bound`.
fn all_below(ids: &[u32], bound: usize) -> bool {
    ids.is_empty() || (greatest(ids) as usize) < bound
}

/// The first id of a batch that is not defined, and its event.
pub(super) struct UndefinedId {
    pub(super) id: u32,
    pub(super) event: usize,
}

/// Stores the engine's id for each of the caller's `ids`.
pub(super) fn map_ids(
    ids: &[u32],
    defined: &[u32],
    mapped: &mut Vec<u32>,
) -> Result<KeyLengths, UndefinedId> {
    mapped.resize(ids.len(), NONE);
    if map_all(ids, defined, mapped) {
        return Ok(KeyLengths::AllFit);
    }
    match mapped.iter().position(|id| *id == NONE) {
        Some(event) => Err(UndefinedId { id: ids.get(event).copied().unwrap_or(NONE), event }),
        None => Ok(KeyLengths::SomeTooLong),
    }
}

/// Stores the engine's id for each of the caller's `ids`. Returns false if one is not defined, or
/// stands for a key that is too long.
// A separate function: wasmtime's compiler keeps a loop's variables in registers only in small
// functions.
#[inline(never)]
fn map_all(ids: &[u32], defined: &[u32], mapped: &mut [u32]) -> bool {
    let of = |id: u32| defined.get(id as usize).copied().unwrap_or(NONE);
    let (ids, ids_rest) = ids.as_chunks::<8>();
    let (mapped, mapped_rest) = mapped.as_chunks_mut::<8>();
    // The sign bit stays set if an id is NONE or TOO_LONG.
    let mut all = 0;
    for (ids, mapped) in ids.iter().zip(mapped) {
        *mapped = ids.map(of);
        all = mapped.iter().fold(all, |all, id| all | id);
    }
    for (id, mapped) in ids_rest.iter().zip(mapped_rest) {
        *mapped = of(*id);
        all |= *mapped;
    }
    all.cast_signed() >= 0
}
