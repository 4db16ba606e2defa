//! Columns of accumulators indexed by slot, and the two traits behind them.
//!
//! [`Accumulator`] is the state of one aggregation in one slot, and [`BySlot`] a vector of them.
//! [`SlotColumn`] is what a stage does with a whole column, whatever its accumulators are. The hot
//! loop of ingestion, [`add_each`], is also here.

use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::util::simd::are_numbers;

/// A column of accumulators of one kind, indexed by dense slot.
pub(super) trait SlotColumn: Sized {
    /// Resets `slot`, appending it if it is the next one.
    fn reset(&mut self, slot: usize);

    /// Returns a column of `slots` empty slots of the same kind.
    fn empty(&self, slots: usize) -> Self;

    /// Returns copies of `slots`, renumbered from 0.
    fn pick(&self, slots: &[u32]) -> Self;

    /// Merges slot i of `later` into `slots[i]`; the values of `later` count as the later ones.
    fn merge(&mut self, slots: &[u32], later: &Self);

    /// Merges slot `later` into `slot` and resets `later`.
    fn join(&mut self, slot: usize, later: usize);

    /// Writes `slots`, one attribute after the other.
    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>);

    /// Reads `slots` as [`SlotColumn::save`] wrote them.
    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError>;
}

/// `None` is a column that no output needs: all operations do nothing.
impl<T: SlotColumn> SlotColumn for Option<T> {
    fn reset(&mut self, slot: usize) {
        if let Some(list) = self {
            list.reset(slot);
        }
    }

    fn empty(&self, slots: usize) -> Self {
        self.as_ref().map(|list| list.empty(slots))
    }

    fn pick(&self, slots: &[u32]) -> Self {
        self.as_ref().map(|list| list.pick(slots))
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        if let (Some(list), Some(later)) = (self, later) {
            list.merge(slots, later);
        }
    }

    fn join(&mut self, slot: usize, later: usize) {
        if let Some(list) = self {
            list.join(slot, later);
        }
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        if let Some(list) = self {
            list.save(slots, writer);
        }
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.as_mut().map_or(Ok(()), |list| list.load(slots, reader))
    }
}

/// The state of one aggregation in one slot.
pub(super) trait Accumulator: Clone {
    /// The state without values. Merging it on either side changes nothing.
    const EMPTY: Self;

    /// Merges `later`, whose values count as the later ones.
    fn merge(&mut self, later: &Self);

    /// Writes the states, attribute by attribute.
    fn save(accumulators: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>);

    /// Reads `count` states as [`Accumulator::save`] wrote them.
    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError>;
}

/// One accumulator for each slot.
#[derive(Clone)]
pub(super) struct BySlot<A>(pub(super) Vec<A>);

impl<A> Default for BySlot<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Accumulator> SlotColumn for BySlot<A> {
    fn reset(&mut self, slot: usize) {
        set_or_push(&mut self.0, slot, A::EMPTY);
    }

    fn empty(&self, slots: usize) -> Self {
        Self(vec![A::EMPTY; slots])
    }

    fn pick(&self, slots: &[u32]) -> Self {
        Self(self.copies(slots).collect())
    }

    // A separate function: wasmtime's compiler keeps the variables of a loop in registers only in
    // small functions.
    #[inline(never)]
    fn merge(&mut self, slots: &[u32], later: &Self) {
        for (slot, later) in slots.iter().zip(&later.0) {
            if let Some(accumulator) = self.0.get_mut(*slot as usize) {
                accumulator.merge(later);
            }
        }
    }

    fn join(&mut self, slot: usize, later: usize) {
        let moved =
            self.0.get_mut(later).map(|accumulator| core::mem::replace(accumulator, A::EMPTY));
        if let (Some(accumulator), Some(later)) = (self.0.get_mut(slot), moved) {
            accumulator.merge(&later);
        }
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        A::save(self.copies(slots), writer);
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        for (slot, accumulator) in slots.iter().zip(A::load(slots.len(), reader)?) {
            set_or_push(&mut self.0, *slot as usize, accumulator);
        }
        Ok(())
    }
}

impl<A: Accumulator> BySlot<A> {
    /// Appends `result` of the accumulator of each of `slots`; NaN for an unknown slot.
    #[inline(always)]
    pub(super) fn append_results<'a>(
        &self,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
        result: impl Fn(&A) -> f64,
    ) {
        numbers.extend(slots.map(|slot| self.0.get(*slot as usize).map_or(f64::NAN, &result)));
    }

    /// Iterates over copies of the accumulators of `slots`.
    fn copies(&self, slots: &[u32]) -> impl Iterator<Item = A> + Clone {
        slots.iter().map(|slot| self.0.get(*slot as usize).cloned().unwrap_or(A::EMPTY))
    }
}

/// A count of events, as windows without fields need it.
impl Accumulator for u64 {
    const EMPTY: Self = 0;

    fn merge(&mut self, later: &Self) {
        *self = self.saturating_add(*later);
    }

    fn save(accumulators: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.u64s(accumulators);
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        Ok(reader.u64s(count)?.collect())
    }
}

/// Adds each value that is not missing (NaN) to the accumulator of its slot.
#[inline(always)]
pub(super) fn add_present<A>(
    accumulators: &mut [A],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut A, f64) + Copy,
) {
    if are_numbers(values) {
        add_each(accumulators, slots, values, add);
    } else {
        add_each(accumulators, slots, values, |accumulator, value| {
            if !value.is_nan() {
                add(accumulator, value);
            }
        });
    }
}

/// Adds each value to the accumulator of its slot; skips values of unknown slots.
#[inline(always)]
pub(super) fn add_each<A>(
    accumulators: &mut [A],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut A, f64) + Copy,
) {
    let mut from = 0;
    while let (Some(slots), Some(values)) = (slots.get(from..), values.get(from..)) {
        let added = add_run(accumulators, slots, values, add);
        if added >= slots.len().min(values.len()) {
            break;
        }
        from += added + 1;
    }
}

/// The hot loop: adds values until one has an unknown slot, and returns how many were added.
///
/// Unrolled by eight: an iteration alone costs as much as an addition, because wasmtime checks the
/// deadline in each, and spills and reloads all registers for it.
// A separate function: wasmtime's compiler keeps the variables of a loop in registers only in small
// functions.
#[inline(never)]
fn add_run<A>(
    accumulators: &mut [A],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut A, f64) + Copy,
) -> usize {
    let (chunks, slots) = slots.as_chunks::<8>();
    let (value_chunks, values) = values.as_chunks::<8>();
    let mut added = 0;
    for (slots, values) in chunks.iter().zip(value_chunks) {
        let [a, b, c, d, e, f, g, h] = *slots;
        let [value_a, value_b, value_c, value_d, value_e, value_f, value_g, value_h] = *values;
        let first = [(a, value_a), (b, value_b), (c, value_c), (d, value_d)];
        let count = add_four(accumulators, first, add);
        if count < 4 {
            return added + count;
        }
        let second = [(e, value_e), (f, value_f), (g, value_g), (h, value_h)];
        let count = add_four(accumulators, second, add);
        if count < 4 {
            return added + 4 + count;
        }
        added += 8;
    }
    for (slot, value) in slots.iter().zip(values) {
        if !add_one(accumulators, *slot, *value, add) {
            break;
        }
        added += 1;
    }
    added
}

/// Adds up to four values, and returns how many were added. Unrolled by hand, because compilers
/// keep such short loops as loops. Returning at an unknown slot, instead of skipping it, lets the
/// compiler compute addresses once for four values.
#[inline(always)]
fn add_four<A>(
    accumulators: &mut [A],
    [a, b, c, d]: [(u32, f64); 4],
    add: impl Fn(&mut A, f64) + Copy,
) -> usize {
    if !add_one(accumulators, a.0, a.1, add) {
        return 0;
    }
    if !add_one(accumulators, b.0, b.1, add) {
        return 1;
    }
    if !add_one(accumulators, c.0, c.1, add) {
        return 2;
    }
    if !add_one(accumulators, d.0, d.1, add) {
        return 3;
    }
    4
}

/// Adds `value` to the accumulator of `slot`; returns false if there is none.
#[inline(always)]
fn add_one<A>(accumulators: &mut [A], slot: u32, value: f64, add: impl Fn(&mut A, f64)) -> bool {
    let accumulator = accumulators.get_mut(slot as usize);
    let is_there = accumulator.is_some();
    if let Some(accumulator) = accumulator {
        add(accumulator, value);
    }
    is_there
}

/// Sets entry `index`, or appends it if `index` is the length of the list.
pub(super) fn set_or_push<T>(list: &mut Vec<T>, index: usize, value: T) {
    match list.get_mut(index) {
        Some(entry) => *entry = value,
        None => list.push(value),
    }
}
