//! A batch in memory that JavaScript writes directly, converted in place.

use super::{CallIdentities, InputIds};
use crate::data::batch::{Batch, Column, KeyColumn};
use crate::engine::{Engine, Pushed};
use crate::error::Error;
use crate::plan::Plan;
use crate::time::{MAX_TIME, from_ms_in_place};

/// The replacement of an invalid time; the engine rejects it as out of range and counts it.
const NO_TIME: i64 = MAX_TIME + 1;

/// Words of 64 bits to which a column is rounded up: a cache line.
const LINE_WORDS: usize = 8;

/// The layout of a batch in memory, and how much of the batch is converted.
///
/// ```text
/// times | column 0 | column 1 | ... | key ids | partition ids
/// ```
///
/// Every column has one 64-bit word for each event, rounded up to a cache line. Ids have 32 bits
/// and use the first half of their column.
#[derive(Debug, Clone)]
pub struct ReservedBatch {
    columns: usize,
    is_keyed: bool,
    is_partitioned: bool,
    /// The first partition id of columns; text uses lower ids.
    first_partition_id: u32,
    /// The number of leading events already converted to microseconds and engine ids.
    converted: usize,
    /// Offset that the key ids of the converted events include.
    key_offset: u32,
}

/// Events of a reserved batch.
#[derive(Debug, Clone, Copy)]
pub struct ReservedRange {
    /// The number of events of the batch, which determines its layout.
    pub events: usize,
    /// The first event to push.
    pub from: usize,
    /// The end of the events to push.
    pub to: usize,
    /// The index of event `from` in the call, for messages and identities.
    pub first: usize,
    /// The number of keys that JavaScript has defined; key ids are less.
    pub keys: u32,
    /// True if times are 64-bit integer microseconds, false if they are milliseconds as doubles.
    pub in_us: bool,
}

impl ReservedBatch {
    /// Creates the layout of batches for the pipeline of `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            columns: plan.input.columns.len(),
            is_keyed: !plan.input.key.is_empty(),
            is_partitioned: plan.input.partition.is_some(),
            first_partition_id: plan.limits.dictionary_keys(),
            converted: 0,
            key_offset: 0,
        }
    }

    /// Begins a batch of `events` events, and returns the bytes that it needs; `None` if no memory
    /// has that many.
    pub fn begin(&mut self, events: usize) -> Option<usize> {
        let (_, words) = self.layout(events)?;
        let bytes = words.checked_mul(size_of::<u64>())?;
        self.converted = 0;
        Some(bytes)
    }

    /// Returns the words of one column and of all columns of a batch; `None` if they overflow.
    fn layout(&self, events: usize) -> Option<(usize, usize)> {
        let stride = events.checked_next_multiple_of(LINE_WORDS)?;
        Some((stride, stride.checked_mul(self.columns.checked_add(3)?)?))
    }

    /// Pushes the events `range` of the batch in `words` to `engine`. An event that an earlier call
    /// converted but did not consume is not converted again.
    ///
    /// # Errors
    /// [`Error::MalformedBlock`] if the batch exceeds `words` or the range exceeds the batch,
    /// [`Error::KeyBeyondDictionary`], and as [`Engine::push`].
    pub fn push(
        &mut self,
        words: &mut [u64],
        range: &ReservedRange,
        ids: &InputIds,
        identities: &CallIdentities,
        engine: &mut Engine,
    ) -> Result<Pushed, Error> {
        let ReservedRange { events, from, to, first, .. } = *range;
        let reserved = self.layout(events).filter(|(_, needed)| *needed <= words.len());
        let Some((stride, _)) = reserved.filter(|_| from <= to && to <= events) else {
            return Err(Error::MalformedBlock("the range of events exceeds the reserved batch"));
        };
        let (times, rest) = words.split_at_mut(stride);
        let (values, rest) = rest.split_at_mut(stride * self.columns);
        let (keys, partitions) = rest.split_at_mut(stride);
        let keys: &mut [u32] = bytemuck::cast_slice_mut(keys);
        let partitions: &mut [u32] = bytemuck::cast_slice_mut(partitions);
        self.convert(times, keys, partitions, range, ids)?;
        let column = |place| {
            let values = values.get(stride * place + from..stride * place + to);
            Column::F64(bytemuck::cast_slice(values.unwrap_or_default()))
        };
        let columns: Vec<_> = (0..self.columns).map(column).collect();
        let keys = keys.get(from..to).unwrap_or_default();
        engine.push(&Batch {
            timestamps: bytemuck::cast_slice(times.get(from..to).unwrap_or_default()),
            keys: if self.is_keyed { KeyColumn::Ids(keys) } else { KeyColumn::Unkeyed },
            columns: &columns,
            identities: &identities.of_events(first, to.saturating_sub(from)),
            ordinals: None,
            watermarks: None,
            partitions: self.is_partitioned.then_some(partitions.get(from..to).unwrap_or_default()),
        })
    }

    /// Converts times to microseconds and ids to those of the engine.
    fn convert(
        &mut self,
        times: &mut [u64],
        keys: &mut [u32],
        partitions: &mut [u32],
        range: &ReservedRange,
        ids: &InputIds,
    ) -> Result<(), Error> {
        let fresh = self.converted.max(range.from)..range.to;
        let offset = ids.offset_of_columns();
        // Ids of columns have moved since these events were converted.
        let moved = offset.saturating_sub(core::mem::replace(&mut self.key_offset, offset));
        if let Some(keys) = keys.get_mut(range.from..fresh.start).filter(|_| moved > 0) {
            keys.iter_mut().for_each(|id| *id = id.saturating_add(moved));
        }
        if let Some(keys) = keys.get_mut(fresh.clone()).filter(|_| self.is_keyed) {
            if keys.iter().fold(0, |all, id| all | u32::from(*id >= range.keys)) != 0 {
                let first = range.first.saturating_add(fresh.start.saturating_sub(range.from));
                return Err(beyond_dictionary(keys, range.keys, first));
            }
            if offset > 0 {
                keys.iter_mut().for_each(|id| *id = id.saturating_add(offset));
            }
        }
        if let Some(partitions) = partitions.get_mut(fresh.clone()).filter(|_| self.is_partitioned)
        {
            let offset = self.first_partition_id;
            partitions.iter_mut().for_each(|id| *id = id.saturating_add(offset));
        }
        if let Some(times) = times.get_mut(fresh).filter(|_| !range.in_us) {
            from_ms_in_place(times, NO_TIME);
        }
        self.converted = self.converted.max(range.to);
        Ok(())
    }
}

fn beyond_dictionary(ids: &[u32], keys: u32, first: usize) -> Error {
    let event = ids.iter().position(|id| *id >= keys).unwrap_or(0);
    let id = ids.get(event).copied().unwrap_or(keys);
    Error::KeyBeyondDictionary { id, event: first.saturating_add(event), keys }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_json::OwnedKeyDefinitions;
    use crate::{Options, PipelineSpec};

    const SPEC: &str = r#"{"source": {"key": "k", "value": "v"}, "stages": [
        {"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["sum"]}]}"#;

    fn opened() -> (Engine, ReservedBatch, CallIdentities) {
        let spec = PipelineSpec::from_json(SPEC).unwrap();
        let mut engine = Engine::open(&spec, Options::default()).unwrap();
        let keys = OwnedKeyDefinitions::from_json(r#"["a", "b"]"#, 0.., 1).unwrap();
        engine.define_keys(&keys.as_definitions(false)).unwrap();
        let (batch, identities) =
            (ReservedBatch::new(engine.plan()), CallIdentities::new(engine.plan()));
        (engine, batch, identities)
    }

    fn words(times_ms: [f64; 3], values: [f64; 3], keys: [u32; 3]) -> Vec<u64> {
        let mut words = vec![0; 8 * 4];
        let bits = times_ms.iter().chain(&values).map(|number| number.to_bits());
        for (at, bits) in (0..3).chain(8..11).zip(bits) {
            words[at] = bits;
        }
        let ids: &mut [u32] = bytemuck::cast_slice_mut(&mut words[16..24]);
        ids[..3].copy_from_slice(&keys);
        words
    }

    const ALL: ReservedRange =
        ReservedRange { events: 3, from: 0, to: 3, first: 0, keys: 2, in_us: false };

    #[test]
    fn reserved_batch_is_pushed_in_microseconds() {
        let (mut engine, mut batch, identities) = opened();
        assert_eq!(batch.begin(3), Some(8 * 4 * 8));
        let mut words = words([0.0, 500.0, 1000.0], [1.0, 2.0, 3.0], [0, 0, 1]);
        let ids = InputIds::default();
        let pushed = batch.push(&mut words, &ALL, &ids, &identities, &mut engine).unwrap();
        assert_eq!(pushed.consumed, 3);
        engine.finish().unwrap();
        let rows = engine.poll(10).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.columns[2], crate::RowColumn::Number(&[3.0, 3.0]));
    }

    #[test]
    fn events_are_converted_once() {
        let (mut engine, mut batch, identities) = opened();
        batch.begin(3).unwrap();
        let mut words = words([1.0, 2.0, 3.0], [1.0; 3], [0; 3]);
        let ids = InputIds::default();
        batch.push(&mut words, &ALL, &ids, &identities, &mut engine).unwrap();
        assert_eq!(words[..3], [1000, 2000, 3000]);
        let last = ReservedRange { from: 2, ..ALL };
        batch.push(&mut words, &last, &ids, &identities, &mut engine).unwrap();
        assert_eq!(words[2], 3000);
    }

    #[test]
    fn key_id_beyond_the_dictionary_is_an_error_that_names_the_event_of_the_call() {
        let (mut engine, mut batch, identities) = opened();
        batch.begin(3).unwrap();
        let mut words = words([1.0, 2.0, 3.0], [1.0; 3], [0, 1, 2]);
        let range = ReservedRange { first: 100, ..ALL };
        let pushed = batch.push(&mut words, &range, &InputIds::default(), &identities, &mut engine);
        assert_eq!(pushed, Err(Error::KeyBeyondDictionary { id: 2, event: 102, keys: 2 }));
    }

    #[test]
    fn batch_beyond_all_memory_has_no_size() {
        let (_, mut batch, _) = opened();
        for events in [usize::MAX, usize::MAX - 7, usize::MAX / 4, usize::MAX / 32 + 1] {
            assert_eq!(batch.begin(events), None, "{events}");
        }
        assert_eq!(batch.begin(1 << 20), Some((1 << 20) * 4 * 8));
    }

    #[test]
    fn range_beyond_the_reserved_batch_is_an_error_and_converts_nothing() {
        let (mut engine, mut batch, identities) = opened();
        batch.begin(3).unwrap();
        let mut words = words([1.0, 2.0, 3.0], [1.0; 3], [0; 3]);
        let before = words.clone();
        let ids = InputIds::default();
        let ranges = [
            (3, 0, 4),
            (3, 2, 1),
            (9, 0, 9),
            (usize::MAX, 0, 3),
            (usize::MAX / 4, 0, 3),
            (3, usize::MAX, usize::MAX),
        ];
        for (events, from, to) in ranges {
            let range = ReservedRange { events, from, to, ..ALL };
            let pushed = batch.push(&mut words, &range, &ids, &identities, &mut engine);
            assert!(matches!(pushed, Err(Error::MalformedBlock(_))), "{events} {from} {to}");
            assert_eq!(words, before);
        }
        let pushed = batch.push(&mut words, &ALL, &ids, &identities, &mut engine).unwrap();
        assert_eq!(pushed.consumed, 3);
    }
}
