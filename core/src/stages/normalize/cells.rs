//! Samples that wait for their grid point to be over, and what becomes of several on one.

use super::fill::mean;
use super::queue::Queue;
use crate::spec::Reduce;

/// A sample, or what is kept of those of one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    /// Where it counts.
    pub(super) place: i64,
    /// When it was taken.
    pub(super) time: i64,
    pub(super) value: f64,
}

/// The waiting samples of one field of one key, by their places.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) list: Queue<Cell>,
}

impl Cells {
    /// Adds a sample.
    pub(super) fn add(&mut self, reduce: Reduce, cell: Cell) {
        let behind = match self.list.last() {
            Some(last) if last.place > cell.place => {
                self.list.partition_point(|known| known.place <= cell.place)
            }
            _ => self.list.len(),
        };
        if let Some(known) = behind.checked_sub(1).and_then(|at| self.list.get_mut(at))
            && known.place == cell.place
            && merge(reduce, known, cell)
        {
            return;
        }
        if behind == self.list.len() {
            self.list.push(cell);
        } else {
            self.list.insert(behind, cell);
        }
    }

    /// Takes out the samples at `place`, the first ones, and reduces them to one value, if there are any.
    pub(super) fn take(&mut self, reduce: Reduce, place: i64) -> Option<f64> {
        let first = *self.list.first().filter(|first| first.place == place)?;
        self.list.pop();
        if self.list.first().is_none_or(|second| second.place != place) {
            return Some(first.value);
        }
        let others = self.list.partition_point(|known| known.place <= place);
        let mut cells = vec![first];
        cells.extend_from_slice(self.list.get(..others).unwrap_or_default());
        self.list.take(others);
        // An order that does not depend on how they came, so that sums come out the same.
        cells.sort_unstable_by(|a, b| a.time.cmp(&b.time).then(a.value.total_cmp(&b.value)));
        let values = cells.iter().map(|cell| cell.value);
        let result = match reduce {
            Reduce::Sum => total(values),
            Reduce::Mean => average(values),
            _ => median(values.collect()),
        };
        Some(result).filter(|result| result.is_finite())
    }
}

/// Whether all samples of a place are kept until it is over.
pub(super) fn keeps_all(reduce: Reduce) -> bool {
    matches!(reduce, Reduce::Mean | Reduce::Sum | Reduce::Median)
}

/// Merges a sample into what is known of its place; false: both are kept.
pub(super) fn merge(reduce: Reduce, known: &mut Cell, cell: Cell) -> bool {
    let replaces = match reduce {
        // At one time, the one that comes later is the last.
        Reduce::Last => cell.time >= known.time,
        Reduce::First => cell.time < known.time,
        Reduce::Min => cell.value.total_cmp(&known.value).is_lt(),
        Reduce::Max => cell.value.total_cmp(&known.value).is_gt(),
        Reduce::Mean | Reduce::Sum | Reduce::Median => return false,
    };
    if replaces {
        *known = cell;
    }
    true
}

/// What numbers are multiplied by where their sum overflows: a power of two.
const SMALL: f64 = f64::from_bits((1023 - 70) << 52);

/// The compensated sum (Neumaier).
fn total(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let sum = |scale: f64| {
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        for value in values.clone().map(|value| value * scale) {
            let next = sum + value;
            lost +=
                if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
            sum = next;
        }
        sum + lost
    };
    let plain = sum(1.0);
    // What overflows on the way may be finite in the end.
    if plain.is_finite() { plain } else { sum(SMALL) / SMALL }
}

fn average(values: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let sum = total(values.clone());
    if sum.is_finite() { sum / count } else { total(values.map(|value| value / count)) }
}

fn median(mut values: Vec<f64>) -> f64 {
    crate::util::sort::floats(&mut values);
    let middle = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 { at(middle) } else { mean(at(middle - 1), at(middle)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for samples, given as time and value, all at place 0.
    fn reduced(reduce: Reduce, samples: &[(i64, f64)]) -> Option<f64> {
        let mut cells = Cells::default();
        cells.add(reduce, Cell { place: 9, time: 9, value: 99.0 });
        for (time, value) in samples {
            cells.add(reduce, Cell { place: 0, time: *time, value: *value });
        }
        let result = cells.take(reduce, 0);
        assert_eq!(cells.list.len(), 1);
        result
    }

    #[test]
    fn several_samples_become_one() {
        let samples = [(3, 5.0), (1, 2.0), (4, 3.0), (1, 7.0), (4, 4.0)];
        for (reduce, result) in [
            (Reduce::Last, 4.0),
            (Reduce::First, 2.0),
            (Reduce::Min, 2.0),
            (Reduce::Max, 7.0),
            (Reduce::Sum, 21.0),
            (Reduce::Mean, 4.2),
            (Reduce::Median, 4.0),
        ] {
            assert_eq!(reduced(reduce, &samples), Some(result), "{reduce:?}");
            assert_eq!(reduced(reduce, &samples[..1]), Some(5.0));
            assert_eq!(reduced(reduce, &[]), None);
        }
        assert_eq!(reduced(Reduce::Median, &samples[..2]), Some(3.5));
    }

    #[test]
    fn order_of_arrival_does_not_show() {
        let mut samples: Vec<(i64, f64)> = (0..20)
            .map(|at| (at, f64::from(at as u32) * 0.1 - 1e9 * f64::from(at as u32 % 3)))
            .collect();
        let all = [Reduce::Sum, Reduce::Mean, Reduce::Median, Reduce::Last, Reduce::First];
        let before = all.map(|reduce| reduced(reduce, &samples));
        samples.reverse();
        assert_eq!(all.map(|reduce| reduced(reduce, &samples)), before);
    }

    #[test]
    fn what_is_finite_in_the_end_does_not_overflow_on_the_way() {
        let huge = [(0, 1.5e308), (1, 1.5e308), (2, -1.5e308)];
        assert_eq!(reduced(Reduce::Sum, &huge), Some(1.5e308));
        assert_eq!(reduced(Reduce::Mean, &huge[..2]), Some(1.5e308));
        assert_eq!(reduced(Reduce::Median, &huge[..2]), Some(1.5e308));
        assert_eq!(reduced(Reduce::Sum, &huge[..2]), None, "not finite: missing");
    }
}
