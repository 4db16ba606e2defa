//! Many events in one call.

use chrono::{DateTime, Utc};

use super::shapes::MAX_KEY_BYTES;
use super::{Engines, check};
use crate::engine::{Batch, Column, KeyColumn};
use crate::error::Error;
use crate::time::micros;

/// The number of events that are collected before the engine takes them.
const EVENTS: usize = 4096;
/// The bytes of keys from which on the engine takes what is collected. With one more key, the
/// offsets still have 32 bits.
const KEY_BYTES: usize = 16 << 20;
const _: () = assert!(KEY_BYTES + MAX_KEY_BYTES <= u32::MAX as usize);

/// Columns of events, reused by every call.
#[derive(Default)]
pub(super) struct EventColumns {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    /// The offset in `keys` where each key starts, then the end of the last one.
    offsets: Vec<u32>,
    keys: Vec<u8>,
}

impl EventColumns {
    fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.offsets.clear();
        self.offsets.push(0);
        self.keys.clear();
    }

    #[inline]
    fn add_key(&mut self, key: &str) {
        self.keys.extend_from_slice(key.as_bytes());
        self.offsets.push(u32::try_from(self.keys.len()).unwrap_or(u32::MAX));
    }

    /// Adds the times and values of the events whose keys were added.
    fn add_values<K>(&mut self, events: &[(K, DateTime<Utc>, f64)]) {
        self.timestamps.extend(events.iter().map(|(_, time, _)| micros(*time)));
        self.values.extend(events.iter().map(|(_, _, value)| *value));
    }
}

impl Engines {
    /// Processes events in order. If a value is not finite, none is taken.
    pub(crate) fn push_all<K: AsRef<str>>(
        &mut self,
        events: &[(K, DateTime<Utc>, f64)],
    ) -> Result<(), Error> {
        events.iter().try_for_each(|(_, _, value)| check(*value))?;
        let mut taken = 0;
        while taken < events.len() {
            if !self.has_room() {
                return Err(self.full(taken));
            }
            let left = events.get(taken..).unwrap_or_default();
            taken += self.push_some(left).map_err(|error| counted(error, taken))?;
        }
        Ok(())
    }

    /// Processes events from the front of `events`, at least one. Returns how many.
    fn push_some<K: AsRef<str>>(
        &mut self,
        events: &[(K, DateTime<Utc>, f64)],
    ) -> Result<usize, Error> {
        if self.list.len() == 1 {
            let collected = self.collect(events);
            if collected > 0 {
                return self.push_collected();
            }
        }
        let Some((key, time, value)) = events.first() else { return Ok(0) };
        self.push(key.as_ref(), micros(*time), *value)?;
        Ok(1)
    }

    /// Collects events from the front, as long as their keys belong to the only engine. Returns how
    /// many.
    fn collect<K: AsRef<str>>(&mut self, events: &[(K, DateTime<Utc>, f64)]) -> usize {
        self.columns.clear();
        self.columns.offsets.reserve(EVENTS);
        let events = events.get(..EVENTS).unwrap_or(events);
        let mut count = 0;
        for (key, ..) in events {
            let key = key.as_ref();
            let is_next = self.keys.get(key).is_some() || self.is_of_leader(key);
            if !is_next || self.columns.keys.len() >= KEY_BYTES {
                break;
            }
            self.columns.add_key(key);
            count += 1;
        }
        self.columns.add_values(events.get(..count).unwrap_or_default());
        count
    }

    /// Returns true if the new key `key` belongs to the leader, and remembers it if so. An error of
    /// the key or its aggregator is reported when its event is processed.
    #[cold]
    fn is_of_leader(&mut self, key: &str) -> bool {
        if self.is_too_long(key) {
            return false;
        }
        let shape = self.setup.aggregators.shape_of(key);
        let leader = self.list.first().map(|leader| &leader.shape);
        let is_same = match &shape {
            None => true,
            Some(Ok(shape)) => Some(shape) == leader,
            Some(Err(_)) => false,
        };
        if is_same {
            self.keys.insert(key, 0);
        }
        is_same
    }

    fn push_collected(&mut self) -> Result<usize, Error> {
        let Some(leader) = self.list.first_mut() else { return Ok(0) };
        let EventColumns { timestamps, values, offsets, keys } = &self.columns;
        let batch = Batch {
            timestamps,
            keys: KeyColumn::Text { offsets, bytes: keys },
            columns: &[Column::F64(values)],
            ..Batch::default()
        };
        Ok(leader.push_batch(&batch)?)
    }
}

/// Adds the events that earlier steps took to those that `error` reports.
fn counted(error: Error, earlier: usize) -> Error {
    match error {
        Error::ResultsFull { consumed, waiting } => {
            Error::ResultsFull { consumed: consumed + earlier, waiting }
        }
        Error::Key { key, consumed, source } => {
            Error::Key { key, consumed: consumed + earlier, source }
        }
        Error::Engine(crate::engine::Error::LimitReached(mut reached)) => {
            reached.consumed += earlier;
            Error::Engine(crate::engine::Error::LimitReached(reached))
        }
        error => error,
    }
}
