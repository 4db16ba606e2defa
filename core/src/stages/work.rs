//! The work of one call: after a bounded amount, the call pauses and is continued by the next one.

/// The work that a call may still do, in units of about 10 ns: an event that passes a stage, a row,
/// a key of a slice that is merged, a value that is sorted.
///
/// A stage spends what it has done, and pauses at the next place where it can continue. It does at
/// least one step before it pauses, so each call makes progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkBudget {
    left: u64,
}

impl WorkBudget {
    /// Creates a budget of `units`.
    pub(crate) fn new(units: u32) -> Self {
        Self { left: units.into() }
    }

    /// Creates a budget for a call that cannot pause.
    pub(crate) fn unlimited() -> Self {
        Self { left: u64::MAX }
    }

    /// Spends `units`.
    pub(crate) fn spend(&mut self, units: u64) {
        self.left = self.left.saturating_sub(units);
    }

    /// Returns true if the call should pause.
    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }
}

/// Returns how many of the last entries of `slots` fit into `work`, at least one, if each takes as
/// many units as `work_of` says. Spends their units.
pub(in crate::stages) fn take_last(
    slots: &[u32],
    work: &mut WorkBudget,
    work_of: impl Fn(u32) -> u64,
) -> usize {
    let mut taken = 0;
    for slot in slots.iter().rev() {
        work.spend(work_of(*slot));
        taken += 1;
        if work.is_spent() {
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_from_the_end_until_the_work_is_spent() {
        let mut work = WorkBudget::new(10);
        assert_eq!(take_last(&[9, 5, 4, 3], &mut work, u64::from), 3);
        assert!(work.is_spent());
        assert_eq!(take_last(&[9, 5], &mut work, u64::from), 1);
        assert_eq!(take_last(&[], &mut work, u64::from), 0);
        let mut work = WorkBudget::new(100);
        assert_eq!(take_last(&[9, 5], &mut work, u64::from), 2);
        assert!(!work.is_spent());
    }
}
