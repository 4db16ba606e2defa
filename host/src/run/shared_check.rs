//! Checks the batches of the shards against a shared store, before they are sent.

use stream_processor_core::Identity;

use super::shard::ShardBatch;
use crate::error::Error;
use crate::shared_dedup::SharedDedup;

/// Replaces the identities of the events of all shards by verdicts, in the order of their lines.
/// Returns the number of events that pass unchecked.
pub(super) fn check(shared: &mut SharedDedup, batches: &mut [ShardBatch]) -> Result<u64, Error> {
    let column = shared.column();
    if let [batch] = batches {
        let Some(identities) = batch.identities.get_mut(column) else { return Ok(0) };
        return shared.check(identities, &batch.ordinals);
    }
    // The first event of an identity must pass, whichever shard it goes to.
    let mut places: Vec<(u64, usize, usize)> = Vec::new();
    for (shard, batch) in batches.iter().enumerate() {
        places.extend(batch.ordinals.iter().enumerate().map(|(at, line)| (*line, shard, at)));
    }
    places.sort_unstable();
    let mut identities: Vec<Identity> = places
        .iter()
        .filter_map(|(_, shard, at)| Some(*identity(batches, *shard, column, *at)?))
        .collect();
    let lines: Vec<u64> = places.iter().map(|(line, ..)| *line).collect();
    let unchecked = shared.check(&mut identities, &lines)?;
    for ((_, shard, at), verdict) in places.iter().zip(identities) {
        if let Some(identity) = identity(batches, *shard, column, *at) {
            *identity = verdict;
        }
    }
    Ok(unchecked)
}

/// Returns the identity of an event of a shard.
fn identity(
    batches: &mut [ShardBatch],
    shard: usize,
    column: usize,
    event: usize,
) -> Option<&mut Identity> {
    batches.get_mut(shard)?.identities.get_mut(column)?.get_mut(event)
}
