//! The minimum of many values, of which one changes at a time.

/// A tree of minima over values by index. A change costs the logarithm of their number.
#[derive(Default, Clone)]
pub(super) struct MinTracker {
    /// Node `n` is the minimum of nodes `2n` and `2n + 1`; the values are the second half.
    nodes: Vec<i64>,
    values: usize,
}

/// Stands for "no value": it is never the minimum.
pub(super) const ABSENT: i64 = i64::MAX;

impl MinTracker {
    /// Returns the least value, or [`ABSENT`] if there is none.
    #[inline]
    pub(super) fn min(&self) -> i64 {
        self.nodes.get(1).copied().unwrap_or(ABSENT)
    }

    /// Appends a value.
    pub(super) fn push(&mut self, value: i64) {
        let half = self.nodes.len() / 2;
        if self.values == half {
            let old = self.nodes.split_off(half);
            self.nodes = vec![ABSENT; (half * 4).max(2)];
            for (index, value) in old.into_iter().enumerate() {
                self.set(index, value);
            }
        }
        self.values += 1;
        self.set(self.values - 1, value);
    }

    /// Changes the value at `index`.
    #[inline]
    pub(super) fn set(&mut self, index: usize, value: i64) {
        let mut node = self.nodes.len() / 2 + index;
        let Some(slot) = self.nodes.get_mut(node) else { return };
        *slot = value;
        while node > 1 {
            let pair = self.nodes.get(node & !1..=node | 1).unwrap_or_default();
            let least = pair.iter().copied().min().unwrap_or(ABSENT);
            node /= 2;
            match self.nodes.get_mut(node) {
                Some(parent) if *parent != least => *parent = least,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_is_correct_after_every_change() {
        let mut tracker = MinTracker::default();
        let mut values: Vec<i64> = Vec::new();
        assert_eq!(tracker.min(), ABSENT);
        for step in 0..400_i64 {
            let value = step * 7_919 % 101 - 50;
            if step % 5 == 0 {
                tracker.push(value);
                values.push(value);
            } else {
                let index = usize::try_from(step * 31).unwrap() % values.len();
                let value = if step % 7 == 0 { ABSENT } else { value };
                tracker.set(index, value);
                values[index] = value;
            }
            assert_eq!(tracker.min(), *values.iter().min().unwrap());
        }
    }
}
