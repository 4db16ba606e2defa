//! Splits events over the shards by the hash of their key, so that a key always has the same shard.

use stream_processor_core::InputSchema;
use stream_processor_core::text::{EventBuffer, NewKeys};
use stream_processor_core::watermark::Generator;

use super::shard::ShardBatch;

/// Splits events over shards. With several shards it also computes the stream's watermark, because
/// no shard has all events.
pub(super) struct Splitter {
    /// True if events have keys.
    keyed: bool,
    /// True if events have partitions.
    partitioned: bool,
    /// The shard of each key id.
    shard_of_id: Vec<u16>,
    /// The watermark of the whole stream.
    watermark: Generator,
    /// Scratch: the watermark before each event of the current read.
    watermarks: Vec<i64>,
    /// Scratch: the shard of each event of the current read.
    shards: Vec<u16>,
}

impl Splitter {
    /// Creates a splitter of events with `schema`. `watermark` must not have seen an event.
    pub(super) fn new(schema: &InputSchema, watermark: Generator) -> Self {
        Self {
            keyed: !schema.key.is_empty(),
            partitioned: schema.partition.is_some(),
            shard_of_id: Vec::new(),
            watermark,
            watermarks: Vec::new(),
            shards: Vec::new(),
        }
    }

    /// Appends the first `count` events of a read to `batches`, one for each shard. Adds
    /// `line_base` to every line number.
    pub(super) fn append(
        &mut self,
        events: &EventBuffer,
        count: usize,
        line_base: u64,
        batches: &mut [ShardBatch],
    ) {
        for batch in &mut *batches {
            batch.new_keys.reset |= self.keyed && events.reset();
            batch.new_partitions.reset |= self.partitioned && events.reset();
            batch.columns.resize_with(events.columns().len(), Vec::new);
            batch.identities.resize_with(events.identities().len(), Vec::new);
        }
        match batches {
            [whole] => append_all(events, count, line_base, whole),
            batches => {
                self.assign_keys(events, batches);
                self.append_split(events, count, line_base, batches);
            }
        }
    }

    /// Assigns each new key to a shard by the CRC-32 of its bytes: the same shard in every run and
    /// on every machine.
    fn assign_keys(&mut self, events: &EventBuffer, batches: &mut [ShardBatch]) {
        for (id, key) in entries(events.new_keys()) {
            let shard = crc32fast::hash(key) as usize % batches.len();
            let index = id as usize;
            if self.shard_of_id.len() <= index {
                self.shard_of_id.resize(index + 1, 0);
            }
            if let (Some(of_id), Some(batch)) =
                (self.shard_of_id.get_mut(index), batches.get_mut(shard))
            {
                *of_id = shard as u16;
                batch.new_keys.push(id, key);
            }
        }
    }

    /// Appends each event to the batch of its key's shard, with the stream's watermark before it.
    fn append_split(
        &mut self,
        events: &EventBuffer,
        count: usize,
        line_base: u64,
        batches: &mut [ShardBatch],
    ) {
        let timestamps = events.timestamps().get(..count).unwrap_or_default();
        let keys = events.keys().get(..count).unwrap_or_default();
        let Self { shard_of_id, watermark, watermarks, shards, .. } = self;
        watermarks.clear();
        watermark.observe_all(timestamps, watermarks);
        shards.clear();
        shards.extend(keys.iter().map(|id| shard_of_id.get(*id as usize).copied().unwrap_or(0)));
        scatter(shards, timestamps, batches, |batch| Some(&mut batch.timestamps));
        scatter(shards, keys, batches, |batch| Some(&mut batch.key_ids));
        scatter(shards, watermarks, batches, |batch| Some(&mut batch.watermarks));
        for (index, column) in events.columns().iter().enumerate() {
            scatter(shards, column, batches, |batch| batch.columns.get_mut(index));
        }
        for (index, identities) in events.identities().iter().enumerate() {
            scatter(shards, identities, batches, |batch| batch.identities.get_mut(index));
        }
        for (shard, line) in shards.iter().zip(events.lines()) {
            if let Some(batch) = batches.get_mut(usize::from(*shard)) {
                batch.ordinals.push(line_base + line);
            }
        }
        for batch in batches {
            batch.advance_to = Some(watermark.watermark());
        }
    }
}

/// Appends the events to the batch of the only shard, whose engine computes the watermark itself.
fn append_all(events: &EventBuffer, count: usize, line_base: u64, whole: &mut ShardBatch) {
    for (id, key) in entries(events.new_keys()) {
        whole.new_keys.push(id, key);
    }
    for (id, name) in entries(events.new_partitions()) {
        whole.new_partitions.push(id, name);
    }
    whole.partitions.extend(events.partitions().iter().take(count));
    whole.timestamps.extend(events.timestamps().iter().take(count));
    whole.key_ids.extend(events.keys().iter().take(count));
    whole.ordinals.extend(events.lines().iter().take(count).map(|line| line_base + line));
    for (column, values) in whole.columns.iter_mut().zip(events.columns()) {
        column.extend(values.iter().take(count));
    }
    for (column, identities) in whole.identities.iter_mut().zip(events.identities()) {
        column.extend(identities.iter().take(count));
    }
}

/// Returns the ids and bytes of the keys that a read found for the first time.
fn entries(keys: NewKeys<'_>) -> impl Iterator<Item = (u32, &[u8])> {
    let bounds = keys.offsets.windows(2);
    keys.ids.iter().copied().zip(bounds.map(move |bounds| match *bounds {
        [start, end] => keys.bytes.get(start as usize..end as usize).unwrap_or_default(),
        _ => &[],
    }))
}

/// Appends each value to the column of its shard.
fn scatter<T: Copy>(
    shards: &[u16],
    values: &[T],
    batches: &mut [ShardBatch],
    column: impl Fn(&mut ShardBatch) -> Option<&mut Vec<T>>,
) {
    for (shard, value) in shards.iter().zip(values) {
        if let Some(column) = batches.get_mut(usize::from(*shard)).and_then(&column) {
            column.push(*value);
        }
    }
}
