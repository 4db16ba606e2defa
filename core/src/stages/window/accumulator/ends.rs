//! The first and the last value, by event time and, at one time, by place in the stream.

use super::slots::{Cell, Cells};
use crate::data::frame::{Order, Ordinals};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// A value and where it stands: the first one, or with `LAST` the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<const LAST: bool> {
    timestamp: i64,
    ordinal: u64,
    /// NaN: there is none yet.
    value: f64,
}

impl<const LAST: bool> Cell for End<LAST> {
    /// Beyond the other end of time, so that whatever comes replaces it.
    const EMPTY: Self = if LAST {
        Self { timestamp: i64::MIN, ordinal: 0, value: f64::NAN }
    } else {
        Self { timestamp: i64::MAX, ordinal: u64::MAX, value: f64::NAN }
    };

    /// Keeps the one that stands further out.
    #[inline(always)]
    fn merge(&mut self, later: &Self) {
        let (here, known) = ((later.timestamp, later.ordinal), (self.timestamp, self.ordinal));
        if if LAST { here >= known } else { here < known } {
            *self = *later;
        }
    }

    fn save(cells: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.i64s(cells.clone().map(|end| end.timestamp));
        writer.u64s(cells.clone().map(|end| end.ordinal));
        writer.f64s(cells.map(|end| end.value));
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let (timestamps, ordinals) = (reader.i64s(count)?, reader.u64s(count)?);
        let ends = timestamps.zip(ordinals).zip(reader.f64s(count)?);
        let end = |((timestamp, ordinal), value)| Self { timestamp, ordinal, value };
        Ok(ends.map(end).collect())
    }
}

/// One end of each slot.
pub(super) type Ends<const LAST: bool> = Cells<End<LAST>>;

impl<const LAST: bool> Ends<LAST> {
    pub(super) fn add(&mut self, slots: &[u32], values: &[f64], order: Order<'_>) {
        match order.ordinals {
            Ordinals::From(first) => {
                add_all(&mut self.0, slots, values, order.timestamps, first..);
            }
            Ordinals::Listed(ordinals) => {
                let ordinals = ordinals.iter().copied();
                add_all(&mut self.0, slots, values, order.timestamps, ordinals);
            }
        }
    }

    /// Gives up the places in the stream: between times that are equal, merging decides.
    pub(super) fn forget_places(&mut self) {
        for end in self.0.iter_mut().filter(|end| !end.value.is_nan()) {
            end.ordinal = 0;
        }
    }

    pub(super) fn result(&self, slot: usize) -> f64 {
        self.0.get(slot).map_or(f64::NAN, |end| end.value)
    }
}

/// The hot loop: keeps each value that is not missing if it stands further out than the one in its slot.
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn add_all<const LAST: bool>(
    ends: &mut [End<LAST>],
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
        if let Some(end) = ends.get_mut(*slot as usize) {
            end.merge(&End { timestamp: *timestamp, ordinal, value: *value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Slots;
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

    fn event<const LAST: bool>(timestamp: i64, ordinal: u64, value: f64) -> End<LAST> {
        End { timestamp, ordinal, value }
    }

    #[test]
    fn parts_have_the_ends_of_the_whole() {
        let (mut first, mut last) = (Ends::<false>::default(), Ends::<true>::default());
        first.0 = vec![event(3, 1, 1.0), event(3, 0, 2.0), End::EMPTY];
        last.0 = vec![event(3, 5, 1.0), event(3, 4, 2.0), End::EMPTY];
        first.join(0, 1);
        last.join(0, 1);
        assert_eq!((first.result(0), last.result(0)), (2.0, 1.0));
        first.join(0, 2);
        last.join(0, 2);
        assert_eq!((first.result(0), last.result(0)), (2.0, 1.0));
        let (firsts, lasts) = (first.clone(), last.clone());
        first.merge(&[2], &firsts);
        last.merge(&[2], &lasts);
        assert_eq!((first.result(2), last.result(2)), (2.0, 1.0));
        assert!(first.result(1).is_nan());
    }
}
