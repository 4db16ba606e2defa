//! Columns of accumulators indexed by slot, and the traits behind them.
//!
//! [`Accumulator`] is state of one slot that can be merged and saved. [`FieldAccumulator`] also
//! takes values of a field and computes results. [`BySlot`] is a vector of either. [`SlotColumn`]
//! is what a stage does with a whole column, whatever its accumulators are.

use super::column::State;
use crate::data::frame::Order;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};

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

    #[inline]
    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        if let Some(list) = self {
            list.save(slots, writer);
        }
    }

    #[inline]
    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        self.as_mut().map_or(Ok(()), |list| list.load(slots, reader))
    }
}

/// State of one slot.
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

/// State of one slot that takes the values of a field and computes results.
pub(super) trait FieldAccumulator: Accumulator {
    /// The states that the accumulator is: aggregations of these are computed from it.
    const STATES: &[State];
    /// Fixed bytes of a slot for the memory budget.
    const SLOT_BYTES: u64;
    /// True if results are the same in any order of merging.
    const MERGES_IN_ANY_ORDER: bool = false;
    /// True if the accumulator owns heap memory.
    const OWNS_HEAP: bool = false;
    /// The most that one value adds to the variable bytes.
    const MAX_GROWTH: u64 = 0;

    /// Adds each of `values` that is not missing (NaN) to its slot; `order` gives their timestamps
    /// and ordinals.
    fn add(accumulators: &mut [Self], slots: &[u32], values: &[f64], order: Order<'_>);

    /// Returns the result of `output`, an aggregation of one of [`FieldAccumulator::STATES`]; NaN
    /// if it is undefined or not finite.
    fn result(&self, output: &WindowOutput) -> f64;

    /// Appends the result of `output` for each of `slots`.
    fn results<'a>(
        column: &BySlot<Self>,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        column.append_results(slots, numbers, |accumulator| accumulator.result(output));
    }

    /// Returns the bytes for the memory budget on top of [`FieldAccumulator::SLOT_BYTES`].
    fn variable_bytes(&self) -> u64 {
        0
    }

    /// Returns true if adding `value`, which is not NaN, adds to the variable bytes.
    fn grows(&self, _value: f64) -> bool {
        false
    }

    /// Prefetches the accumulators of `keys`; `slots` maps a key to its slot.
    fn prefetch(_accumulators: &[Self], _slots: &[u32], _keys: &[u32]) {}

    /// Clears the stream ordinals, so that at equal timestamps the order of merging decides.
    fn forget_ordinals(_accumulators: &mut [Self]) {}
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

    #[inline]
    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        A::save(self.copies(slots), writer);
    }

    #[inline]
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

    #[inline]
    fn save(accumulators: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.counts(accumulators);
    }

    #[inline]
    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        Ok(reader.counts(count)?.collect())
    }
}

/// Sets entry `index`, or appends it if `index` is the length of the list.
pub(super) fn set_or_push<T>(list: &mut Vec<T>, index: usize, value: T) {
    match list.get_mut(index) {
        Some(entry) => *entry = value,
        None => list.push(value),
    }
}
