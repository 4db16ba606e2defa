//! Ids chosen by the caller: definitions of keys and partitions, and the mapping of a batch's ids.

use super::source::{Source, map_ids};
use super::{Engine, KeyDefinitions};
use crate::data::batch::Batch;
use crate::error::Error;
use crate::keys::NONE;
use crate::plan::Plan;

impl Engine {
    /// Assigns ids chosen by the caller to partitions, for [`Batch::partitions`]. The watermark
    /// waits for a partition from its first event on, or from now on if `known` is set.
    ///
    /// # Errors
    /// As for [`Engine::define_keys`], with each name as one key field, and
    /// [`Error::TooManyPartitions`]. On error nothing is defined.
    pub fn define_partitions(
        &mut self,
        definitions: &KeyDefinitions<'_>,
        known: bool,
    ) -> Result<(), Error> {
        if self.plan.input.partition.is_none() {
            return Err(Error::PartitionsMismatch("the pipeline has no source.partition"));
        }
        let names = checked(definitions, 1)?;
        self.revision += 1;
        self.source.time.define_partitions(definitions, names, known)
    }
}

impl Source {
    /// Stores the engine's id of each partition of the batch.
    pub(super) fn map_partitions(&mut self, plan: &Plan, batch: &Batch<'_>) -> Result<(), Error> {
        let mapped = &mut self.scratch.partitions;
        mapped.clear();
        match (batch.partitions, &plan.input.partition) {
            (None, Some(_)) if batch.watermarks.is_none() && !batch.timestamps.is_empty() => Err(
                Error::PartitionsMismatch("the pipeline names a partition, but the batch has none"),
            ),
            (Some(_), None) => Err(Error::PartitionsMismatch(
                "the batch has partitions, but the pipeline has no source.partition",
            )),
            (Some(ids), Some(_))
                if !map_ids(ids, self.time.partition_names().defined(), mapped) =>
            {
                let event = mapped.iter().position(|id| *id == NONE).unwrap_or(0);
                let id = ids.get(event).copied().unwrap_or(NONE);
                Err(Error::UnknownPartitionId { id, event })
            }
            _ => Ok(()),
        }
    }
}

/// The greatest id that a caller may choose.
const MAX_ID: u32 = 1 << 28;

/// Checks `definitions` and returns its keys, each of `fields` fields.
pub(super) fn checked<'a>(
    definitions: &KeyDefinitions<'a>,
    fields: usize,
) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, Error> {
    let KeyDefinitions { ids, offsets, bytes, .. } = *definitions;
    check_keys(offsets, bytes, ids.len(), |key| crate::key::validate(key, fields), fields)?;
    if ids.iter().any(|id| *id > MAX_ID) {
        return Err(Error::MalformedBlock("an id is beyond 2^28: ids index a table"));
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
