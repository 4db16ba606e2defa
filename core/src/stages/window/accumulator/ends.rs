//! The first and the last value, by event time and, at one time, by place in the stream.

use super::put;
use crate::error::SnapshotError;
use crate::frame::{Order, Ordinals};
use crate::snapshot::{SectionReader, SectionWriter};

/// A value and where it stands.
#[derive(Debug, Clone, Copy)]
struct End {
    timestamp: i64,
    ordinal: u64,
    /// NaN: there is none yet.
    value: f64,
}

/// One end of each slot: the first value, or with `LAST` the last.
#[derive(Clone, Default)]
pub(super) struct Ends<const LAST: bool>(Vec<End>);

impl<const LAST: bool> Ends<LAST> {
    /// Beyond the other end of time, so that whatever comes replaces it.
    const EMPTY: End = if LAST {
        End { timestamp: i64::MIN, ordinal: 0, value: f64::NAN }
    } else {
        End { timestamp: i64::MAX, ordinal: u64::MAX, value: f64::NAN }
    };

    pub(super) fn reset(&mut self, slot: usize) {
        put(&mut self.0, slot, Self::EMPTY);
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        match order.ordinals {
            Ordinals::From(first) => {
                add_all::<LAST>(&mut self.0, slots, values, order.timestamps, first..);
            }
            Ordinals::Listed(ordinals) => {
                let ordinals = ordinals.iter().copied();
                add_all::<LAST>(&mut self.0, slots, values, order.timestamps, ordinals);
            }
        }
    }

    pub(super) fn result(&self, slot: usize) -> f64 {
        self.0.get(slot).map_or(f64::NAN, |end| end.value)
    }

    pub(super) fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        let picked = || slots.iter().map(|slot| self.0.get(*slot as usize).unwrap_or(&Self::EMPTY));
        writer.i64s(picked().map(|end| end.timestamp));
        writer.u64s(picked().map(|end| end.ordinal));
        writer.f64s(picked().map(|end| end.value));
    }

    pub(super) fn load(
        &mut self,
        slots: &[u32],
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        let timestamps = reader.i64s(slots.len())?;
        let ordinals = reader.u64s(slots.len())?;
        let values = reader.f64s(slots.len())?;
        for ((slot, timestamp), (ordinal, value)) in
            slots.iter().zip(timestamps).zip(ordinals.zip(values))
        {
            put(&mut self.0, *slot as usize, End { timestamp, ordinal, value });
        }
        Ok(())
    }
}

/// The hot loop: keeps each value that is not missing if it stands further out than the one in its slot.
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn add_all<const LAST: bool>(
    ends: &mut [End],
    slots: &[u32],
    values: &[f64],
    timestamps: &[i64],
    ordinals: impl Iterator<Item = u64>,
) {
    for ((slot, value), (timestamp, ordinal)) in
        slots.iter().zip(values).zip(timestamps.iter().zip(ordinals))
    {
        if value.is_nan() {
            continue;
        }
        let Some(end) = ends.get_mut(*slot as usize) else { continue };
        let (here, known) = ((*timestamp, ordinal), (end.timestamp, end.ordinal));
        if if LAST { here >= known } else { here < known } {
            *end = End { timestamp: *timestamp, ordinal, value: *value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(timestamps: &[i64], ordinals: Ordinals<'_>, values: &[f64]) -> (f64, f64) {
        let (mut first, mut last) = (Ends::<false>::default(), Ends::<true>::default());
        first.reset(0);
        last.reset(0);
        let slots = vec![0; values.len()];
        first.add(&slots, values, Order { timestamps, ordinals });
        last.add(&slots, values, Order { timestamps, ordinals });
        (first.result(0), last.result(0))
    }

    #[test]
    fn time_decides_and_not_arrival() {
        let found = ends(&[5, 9, 2, 7], Ordinals::From(0), &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found, (3.0, 2.0));
    }

    #[test]
    fn at_one_time_the_place_in_the_stream_decides() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(ends(&[5; 4], Ordinals::From(7), &values), (1.0, 4.0));
        assert_eq!(ends(&[5; 4], Ordinals::Listed(&[40, 10, 30, 20]), &values), (2.0, 1.0));
    }

    #[test]
    fn missing_values_are_no_ends() {
        let found = ends(&[1, 2, 3], Ordinals::From(0), &[f64::NAN, 2.0, f64::NAN]);
        assert_eq!(found, (2.0, 2.0));
        assert!(ends(&[1], Ordinals::From(0), &[f64::NAN]).0.is_nan());
    }
}
