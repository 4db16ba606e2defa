//! Deals events out to the shards, each key always to the same one.

use stream_processor_core::InputSchema;
use stream_processor_core::text::{EventBuffer, NewKeys};
use stream_processor_core::watermark::Generator;

use super::shard::ShardBatch;

/// Deals events out to shards.
pub(super) struct Splitter {
    /// Whether events have keys, and partitions, so that the engines know ids of them.
    keyed: bool,
    partitioned: bool,
    /// The shard of each key id.
    shard_of_id: Vec<u16>,
    /// Follows the whole stream, since no shard sees it.
    watermark: Generator,
    /// The watermark before each event of the read under way, and its shard.
    watermarks: Vec<i64>,
    shards: Vec<u16>,
}

impl Splitter {
    /// For events as `schema` has them, of which `watermark` is at the beginning.
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

    /// Appends the first `count` events of a read to `batches`, one for each shard. `line_base` is added to every line.
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
                self.deal(events, count, line_base, batches);
            }
        }
    }

    /// Gives every new key to the shard that its bytes choose: the same one in every run, on every machine.
    fn assign_keys(&mut self, events: &EventBuffer, batches: &mut [ShardBatch]) {
        for (id, key) in entries(events.new_keys()) {
            let shard = crc32fast::hash(key) as usize % batches.len();
            let place = id as usize;
            if self.shard_of_id.len() <= place {
                self.shard_of_id.resize(place + 1, 0);
            }
            if let (Some(of_id), Some(batch)) =
                (self.shard_of_id.get_mut(place), batches.get_mut(shard))
            {
                *of_id = shard as u16;
                batch.new_keys.push(id, key);
            }
        }
    }

    fn deal(
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
        deal(shards, timestamps, batches, |batch| Some(&mut batch.timestamps));
        deal(shards, keys, batches, |batch| Some(&mut batch.key_ids));
        deal(shards, watermarks, batches, |batch| Some(&mut batch.watermarks));
        for (index, column) in events.columns().iter().enumerate() {
            deal(shards, column, batches, |batch| batch.columns.get_mut(index));
        }
        for (index, way) in events.identities().iter().enumerate() {
            deal(shards, way, batches, |batch| batch.identities.get_mut(index));
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

/// One shard takes everything, and judges the watermark by itself.
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
    for (way, identities) in whole.identities.iter_mut().zip(events.identities()) {
        way.extend(identities.iter().take(count));
    }
}

/// What a read has met first, each with its id.
fn entries(keys: NewKeys<'_>) -> impl Iterator<Item = (u32, &[u8])> {
    let bounds = keys.offsets.windows(2);
    keys.ids.iter().copied().zip(bounds.map(move |bounds| match *bounds {
        [start, end] => keys.bytes.get(start as usize..end as usize).unwrap_or_default(),
        _ => &[],
    }))
}

/// Appends each value to the column of its shard.
fn deal<T: Copy>(
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
