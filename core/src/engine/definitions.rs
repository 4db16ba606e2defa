//! Ids chosen by the caller: definitions of keys and partitions, and the mapping of a batch's ids.

use core::ops::Range;

use super::source::{Source, UndefinedId, map_ids};
use super::{Engine, KeyDefinitions};
use crate::data::batch::Batch;
use crate::error::Error;
use crate::keys::{KeyLengths, Keys};
use crate::plan::Plan;
use crate::spec::{Limits, OnNullKey};

impl Engine {
    /// Assigns ids chosen by the caller to partitions, for [`Batch::partitions`]. The watermark
    /// waits for a partition from its first event on, or from now on if `known` is set.
    ///
    /// # Errors
    /// As for [`Engine::define_keys`], with each name as one key field, and, if `known` is set,
    /// [`Error::TooManyPartitions`] and [`Error::KeyTooLong`]. On error nothing is defined.
    pub fn define_partitions(
        &mut self,
        definitions: &KeyDefinitions<'_>,
        known: bool,
    ) -> Result<(), Error> {
        if self.plan.input.partition.is_none() {
            return Err(Error::PartitionsMismatch("the pipeline has no source.partition"));
        }
        let names = self.source.time.partition_names();
        let id_bound = id_bound(definitions, names, &self.plan.limits);
        let is_too_long = |name: &[u8]| names.is_too_long(name.len());
        let names = checked(definitions, (1, OnNullKey::Reject), id_bound)?;
        if known && let Some(name) = names.clone().find(|name| is_too_long(name)) {
            let limit = self.plan.limits.max_key_bytes;
            return Err(Error::KeyTooLong { found: name.len(), limit });
        }
        self.revision += 1;
        self.source.time.define_partitions(definitions, names, known)
    }
}

impl Engine {
    /// Removes the definitions of the key ids in `ids`, so that the engine need not keep their keys.
    pub fn undefine_keys(&mut self, ids: Range<u32>) {
        self.revision += 1;
        self.keys.undefine(ids);
        self.keys.reclaim();
    }

    /// Removes the definitions of the partition ids in `ids`.
    pub fn undefine_partitions(&mut self, ids: Range<u32>) {
        self.revision += 1;
        self.source.time.undefine_partitions(ids);
    }

    /// Adds `offset` to each key id that is defined.
    #[cfg(all(feature = "host", feature = "text"))]
    pub(crate) fn shift_key_ids(&mut self, offset: u32) {
        self.revision += 1;
        self.keys.shift_definitions(offset);
    }
}

impl Source {
    /// Stores the engine's id of each partition of the batch.
    pub(super) fn map_partitions(&mut self, plan: &Plan, batch: &Batch<'_>) -> Result<(), Error> {
        self.scratch.partition_lengths = KeyLengths::AllFit;
        let mapped = &mut self.scratch.partitions;
        mapped.clear();
        match (batch.partitions, &plan.input.partition) {
            (None, Some(_)) if batch.watermarks.is_none() && !batch.timestamps.is_empty() => Err(
                Error::PartitionsMismatch("the pipeline names a partition, but the batch has none"),
            ),
            (Some(_), None) => Err(Error::PartitionsMismatch(
                "the batch has partitions, but the pipeline has no source.partition",
            )),
            (Some(ids), Some(_)) => {
                let lengths = map_ids(ids, self.time.partition_names().defined(), mapped);
                self.scratch.partition_lengths = lengths
                    .map_err(|UndefinedId { id, event }| Error::UnknownPartitionId { id, event })?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Returns the bound of the ids that a caller may choose for `definitions`, in addition to those of
/// `known`: the table that ids index stays in proportion to what is defined.
pub(super) fn id_bound(definitions: &KeyDefinitions<'_>, known: &Keys, limits: &Limits) -> u64 {
    let defined = if definitions.reset { 0 } else { known.definitions() };
    let defined = defined as u64 + definitions.ids.len() as u64;
    2 * u64::from(limits.dictionary_keys()) + 4 * defined
}

/// Checks `definitions` and returns its keys, each of `fields` fields, which may be null if those
/// are kept. Ids must be less than `id_bound`.
pub(super) fn checked<'a>(
    definitions: &KeyDefinitions<'a>,
    (fields, on_null_key): (usize, OnNullKey),
    id_bound: u64,
) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, Error> {
    let KeyDefinitions { ids, offsets, bytes, .. } = *definitions;
    let valid = |key: &[u8]| crate::key::validate_with(key, fields, on_null_key);
    check_keys(offsets, bytes, ids.len(), valid, fields)?;
    if ids.iter().any(|id| u64::from(*id) >= id_bound) {
        return Err(Error::MalformedBlock(
            "an id is too great for the number of defined ids: ids index a table, so count them from 0",
        ));
    }
    Ok(encoded_keys(offsets, bytes))
}

/// Checks that `offsets` cut `bytes` into `count` keys that all pass `valid`.
fn check_keys(
    offsets: &[u32],
    bytes: &[u8],
    count: usize,
    valid: impl Fn(&[u8]) -> bool,
    fields: usize,
) -> Result<(), Error> {
    check_offsets(offsets, bytes, count)?;
    match encoded_keys(offsets, bytes).position(|key| !valid(key)) {
        Some(index) => Err(Error::InvalidKey { index, fields }),
        None => Ok(()),
    }
}

/// Checks that `offsets` cut `bytes` into `count` keys.
pub(super) fn check_offsets(offsets: &[u32], bytes: &[u8], count: usize) -> Result<(), Error> {
    if offsets.len() != count + 1 {
        return Err(Error::MalformedBlock("key offsets need one entry more than there are keys"));
    }
    if offsets.first() != Some(&0) || offsets.last().map(|end| *end as usize) != Some(bytes.len()) {
        return Err(Error::MalformedBlock(
            "key offsets must begin at 0 and end at the length of the bytes",
        ));
    }
    if !never_decrease(offsets) {
        return Err(Error::MalformedBlock("key offsets must not decrease"));
    }
    Ok(())
}

/// Returns whether no entry is less than the one before it.
// Without an early exit, compilers vectorize the loop.
#[inline(never)]
fn never_decrease(offsets: &[u32]) -> bool {
    let later = offsets.get(1..).unwrap_or_default();
    offsets.iter().zip(later).fold(true, |all, (a, b)| all & (a <= b))
}

/// Returns the keys that `offsets` cut out of `bytes`.
fn encoded_keys<'a>(offsets: &'a [u32], bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + Clone {
    offsets.windows(2).map(|pair| match pair {
        [start, end] => bytes.get(*start as usize..*end as usize).unwrap_or_default(),
        _ => &[],
    })
}
