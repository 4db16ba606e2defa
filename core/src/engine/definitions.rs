//! Ids of the caller's choice: what is defined, and what a batch makes of it.

use super::source::{Source, check_keys, encoded_keys, map_ids};
use super::{Engine, KeyDefinitions};
use crate::batch::Batch;
use crate::error::Error;
use crate::keys::NONE;
use crate::plan::Plan;

impl Engine {
    /// Gives partitions ids of the caller's choice, for [`Batch::partitions`]. A partition is known, and waited for, from its
    /// first event on, or from now on if it is `known` here.
    ///
    /// # Errors
    /// As [`Engine::define_keys`], each name being one key field; [`Error::TooManyPartitions`]. Then nothing is defined.
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
    /// Writes the engine's ids of the batch's partitions.
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

/// The keys of `definitions`, each of `fields` fields, if all of it is as it should be.
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
