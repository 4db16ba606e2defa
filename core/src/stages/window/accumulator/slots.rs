//! Lists by slot: what every kind of accumulator does with them.

use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::util::simd::are_numbers;

/// Accumulators of one kind, by dense slot.
pub(super) trait Slots: Sized {
    /// Makes `slot` empty, adding it if it is the next one.
    fn reset(&mut self, slot: usize);

    /// As many empty slots of the same kind.
    fn empty(&self, slots: usize) -> Self;

    /// Copies of `slots`, at slots from 0 on.
    fn pick(&self, slots: &[u32]) -> Self;

    /// Adds the slots of `later`, from 0 on, to `slots`, as if their values came after those there.
    fn merge(&mut self, slots: &[u32], later: &Self);

    /// Adds slot `later` to `slot` in the same way, and leaves it empty.
    fn join(&mut self, slot: usize, later: usize);

    /// Writes `slots` column by column.
    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>);

    /// Reads what [`Slots::save`] wrote, into `slots`.
    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError>;
}

/// What no output needs is not kept.
impl<T: Slots> Slots for Option<T> {
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

/// The accumulator of one slot.
pub(super) trait Cell: Clone {
    /// That of no values: merged on either side, it changes nothing.
    const EMPTY: Self;

    /// Adds what `later` holds, as if its values came after those here.
    fn merge(&mut self, later: &Self);

    fn save(cells: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>);

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError>;
}

/// The cell of each slot.
#[derive(Clone)]
pub(super) struct Cells<C>(pub(super) Vec<C>);

impl<C> Default for Cells<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C: Cell> Slots for Cells<C> {
    fn reset(&mut self, slot: usize) {
        put(&mut self.0, slot, C::EMPTY);
    }

    fn empty(&self, slots: usize) -> Self {
        Self(vec![C::EMPTY; slots])
    }

    fn pick(&self, slots: &[u32]) -> Self {
        Self(self.picked(slots).collect())
    }

    // Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
    #[inline(never)]
    fn merge(&mut self, slots: &[u32], later: &Self) {
        for (slot, later) in slots.iter().zip(&later.0) {
            if let Some(cell) = self.0.get_mut(*slot as usize) {
                cell.merge(later);
            }
        }
    }

    fn join(&mut self, slot: usize, later: usize) {
        let moved = self.0.get_mut(later).map(|cell| core::mem::replace(cell, C::EMPTY));
        if let (Some(cell), Some(later)) = (self.0.get_mut(slot), moved) {
            cell.merge(&later);
        }
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        C::save(self.picked(slots), writer);
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        for (slot, cell) in slots.iter().zip(C::load(slots.len(), reader)?) {
            put(&mut self.0, *slot as usize, cell);
        }
        Ok(())
    }
}

impl<C: Cell> Cells<C> {
    /// Appends what `result` says of the cell of each of `slots`.
    #[inline(always)]
    pub(super) fn each<'a>(
        &self,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
        result: impl Fn(&C) -> f64,
    ) {
        numbers.extend(slots.map(|slot| self.0.get(*slot as usize).map_or(f64::NAN, &result)));
    }

    fn picked(&self, slots: &[u32]) -> impl Iterator<Item = C> + Clone {
        slots.iter().map(|slot| self.0.get(*slot as usize).cloned().unwrap_or(C::EMPTY))
    }
}

/// How many events: of nothing but their number, as the events of a window without fields are counted.
impl Cell for u64 {
    const EMPTY: Self = 0;

    fn merge(&mut self, later: &Self) {
        *self = self.saturating_add(*later);
    }

    fn save(cells: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        writer.u64s(cells);
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        Ok(reader.u64s(count)?.collect())
    }
}

/// Adds each value that is not missing to the cell in its slot.
#[inline(always)]
pub(super) fn add_present<C>(
    cells: &mut [C],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut C, f64) + Copy,
) {
    if are_numbers(values) {
        add_each(cells, slots, values, add);
    } else {
        add_each(cells, slots, values, |cell, value| {
            if !value.is_nan() {
                add(cell, value);
            }
        });
    }
}

/// Adds each value to the cell in its slot; what has no cell is left out.
#[inline(always)]
pub(super) fn add_each<C>(
    cells: &mut [C],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut C, f64) + Copy,
) {
    let mut from = 0;
    while let (Some(slots), Some(values)) = (slots.get(from..), values.get(from..)) {
        let added = add_run(cells, slots, values, add);
        if added >= slots.len().min(values.len()) {
            break;
        }
        from += added + 1;
    }
}

/// The hot loop: adds values until one has no cell; returns how many. Eight at a turn, for the turn itself costs as much as
/// an addition does: at each, wasmtime looks at the deadline, and stores and loads again all that the loop has in registers.
// Its own function: wasmtime's compiler keeps a loop's variables in registers only in small ones.
#[inline(never)]
fn add_run<C>(
    cells: &mut [C],
    slots: &[u32],
    values: &[f64],
    add: impl Fn(&mut C, f64) + Copy,
) -> usize {
    let (turns, slots) = slots.as_chunks::<8>();
    let (value_turns, values) = values.as_chunks::<8>();
    let mut added = 0;
    for (slots, values) in turns.iter().zip(value_turns) {
        let [a, b, c, d, e, f, g, h] = *slots;
        let [value_a, value_b, value_c, value_d, value_e, value_f, value_g, value_h] = *values;
        let first = [(a, value_a), (b, value_b), (c, value_c), (d, value_d)];
        let count = add_four(cells, first, add);
        if count < 4 {
            return added + count;
        }
        let second = [(e, value_e), (f, value_f), (g, value_g), (h, value_h)];
        let count = add_four(cells, second, add);
        if count < 4 {
            return added + 4 + count;
        }
        added += 8;
    }
    for (slot, value) in slots.iter().zip(values) {
        if !add_one(cells, *slot, *value, add) {
            break;
        }
        added += 1;
    }
    added
}

/// The same for four values. Spelled out, as compilers leave a loop of so few rounds a loop; and that one without a cell
/// ends it, rather than being gone around, has addresses computed once a turn.
#[inline(always)]
fn add_four<C>(
    cells: &mut [C],
    [a, b, c, d]: [(u32, f64); 4],
    add: impl Fn(&mut C, f64) + Copy,
) -> usize {
    if !add_one(cells, a.0, a.1, add) {
        return 0;
    }
    if !add_one(cells, b.0, b.1, add) {
        return 1;
    }
    if !add_one(cells, c.0, c.1, add) {
        return 2;
    }
    if !add_one(cells, d.0, d.1, add) {
        return 3;
    }
    4
}

/// Adds `value` to the cell in `slot`; false: there is none.
#[inline(always)]
fn add_one<C>(cells: &mut [C], slot: u32, value: f64, add: impl Fn(&mut C, f64)) -> bool {
    let cell = cells.get_mut(slot as usize);
    let is_there = cell.is_some();
    if let Some(cell) = cell {
        add(cell, value);
    }
    is_there
}

/// Sets entry `place`, which is at most one behind the last.
pub(super) fn put<T>(list: &mut Vec<T>, place: usize, value: T) {
    match list.get_mut(place) {
        Some(entry) => *entry = value,
        None => list.push(value),
    }
}
