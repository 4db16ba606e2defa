//! The aggregations `first` and `last`: by event time and, at equal timestamps, by stream position.

use super::column::State;
use super::registry::{Definition, RollingSupport};
use super::slots::{Accumulator, FieldAccumulator};
use crate::data::frame::{Order, Ordinals};
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};

pub(super) const FIRST: Definition =
    Definition { rolling: RollingSupport::ByEventTime, ..Definition::new("first", State::First) };
pub(super) const LAST: Definition =
    Definition { rolling: RollingSupport::ByEventTime, ..Definition::new("last", State::Last) };

/// The first value, or with `LAST` the last, with its timestamp and its position in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstOrLast<const LAST: bool> {
    timestamp: i64,
    ordinal: u64,
    /// NaN before the first value.
    value: f64,
}

impl<const LAST: bool> Accumulator for FirstOrLast<LAST> {
    /// The extreme of the opposite direction, so that every value replaces it.
    const EMPTY: Self = if LAST {
        Self { timestamp: i64::MIN, ordinal: 0, value: f64::NAN }
    } else {
        Self { timestamp: i64::MAX, ordinal: u64::MAX, value: f64::NAN }
    };

    /// Keeps the earlier of the two, or with `LAST` the later.
    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        let (other, known) = ((later.timestamp, later.ordinal), (self.timestamp, self.ordinal));
        if if LAST { other >= known } else { other < known } {
            *self = *later;
        }
    }

    #[inline]
    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.i64s(states.clone().map(|state| state.timestamp));
        writer.u64s(states.clone().map(|state| state.ordinal));
        writer.f64s(states.map(|state| state.value));
    }

    #[inline]
    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let (timestamps, ordinals) = (reader.i64s(count)?, reader.u64s(count)?);
        let states = timestamps.zip(ordinals).zip(reader.f64s(count)?);
        let state = |((timestamp, ordinal), value)| Self { timestamp, ordinal, value };
        Ok(states.map(state).collect())
    }
}

impl<const LAST: bool> FieldAccumulator for FirstOrLast<LAST> {
    const STATES: &[State] = if LAST { &[State::Last] } else { &[State::First] };
    const SLOT_BYTES: u64 = 24;

    fn add(accumulators: &mut [Self], slots: &[u32], values: &[f64], order: Order<'_>) {
        match order.ordinals {
            Ordinals::From(first) => {
                add_all(accumulators, slots, values, order.timestamps, first..);
            }
            Ordinals::Listed(ordinals) => {
                let ordinals = ordinals.iter().copied();
                add_all(accumulators, slots, values, order.timestamps, ordinals);
            }
        }
    }

    fn result(&self, _: &WindowOutput) -> f64 {
        self.value
    }

    fn forget_ordinals(accumulators: &mut [Self]) {
        for state in accumulators.iter_mut().filter(|state| !state.value.is_nan()) {
            state.ordinal = 0;
        }
    }
}

/// The hot loop: replaces the state of a slot by each value that is present and earlier than it, or
/// with `LAST` later.
// A separate function: wasmtime's compiler keeps the variables of a loop in registers only in small
// functions.
#[inline(never)]
fn add_all<const LAST: bool>(
    states: &mut [FirstOrLast<LAST>],
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
        if let Some(state) = states.get_mut(*slot as usize) {
            state.merge(&FirstOrLast { timestamp: *timestamp, ordinal, value: *value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::{BySlot, SlotColumn};
    use super::*;

    fn first_and_last(timestamps: &[i64], ordinals: Ordinals<'_>, values: &[f64]) -> (f64, f64) {
        let (mut first, mut last) = ([FirstOrLast::<false>::EMPTY], [FirstOrLast::<true>::EMPTY]);
        let slots = vec![0; values.len()];
        FieldAccumulator::add(&mut first, &slots, values, Order { timestamps, ordinals });
        FieldAccumulator::add(&mut last, &slots, values, Order { timestamps, ordinals });
        (first[0].value, last[0].value)
    }

    #[test]
    fn event_time_decides_not_arrival() {
        let found = first_and_last(&[5, 9, 2, 7], Ordinals::From(0), &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found, (3.0, 2.0));
    }

    #[test]
    fn at_equal_timestamps_the_stream_position_decides() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(first_and_last(&[5; 4], Ordinals::From(7), &values), (1.0, 4.0));
        assert_eq!(
            first_and_last(&[5; 4], Ordinals::Listed(&[40, 10, 30, 20]), &values),
            (2.0, 1.0)
        );
    }

    #[test]
    fn missing_values_are_neither_first_nor_last() {
        let found = first_and_last(&[1, 2, 3], Ordinals::From(0), &[f64::NAN, 2.0, f64::NAN]);
        assert_eq!(found, (2.0, 2.0));
        assert!(first_and_last(&[1], Ordinals::From(0), &[f64::NAN]).0.is_nan());
    }

    fn event<const LAST: bool>(timestamp: i64, ordinal: u64, value: f64) -> FirstOrLast<LAST> {
        FirstOrLast { timestamp, ordinal, value }
    }

    #[test]
    fn merged_first_and_last_equal_those_of_all_events() {
        let mut first =
            BySlot(vec![event::<false>(3, 1, 1.0), event(3, 0, 2.0), FirstOrLast::EMPTY]);
        let mut last = BySlot(vec![event::<true>(3, 5, 1.0), event(3, 4, 2.0), FirstOrLast::EMPTY]);
        first.join(0, 1);
        last.join(0, 1);
        assert_eq!((first.0[0].value, last.0[0].value), (2.0, 1.0));
        first.join(0, 2);
        last.join(0, 2);
        assert_eq!((first.0[0].value, last.0[0].value), (2.0, 1.0));
        let (firsts, lasts) = (first.clone(), last.clone());
        first.merge(&[2], &firsts);
        last.merge(&[2], &lasts);
        assert_eq!((first.0[2].value, last.0[2].value), (2.0, 1.0));
        assert!(first.0[1].value.is_nan());
    }
}
