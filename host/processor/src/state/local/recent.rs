//! The keys of the latest writes.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::Change;

/// Writes whose keys are kept, at most.
const KEPT_WRITES: usize = 16;
/// Keys that are kept, at most.
const KEPT_KEYS: usize = 1 << 17;

/// The keys of the latest writes: they tell a call that has looked up its keys without the lock
/// whether another one has written them since.
#[derive(Default)]
pub(super) struct RecentWrites {
    /// The number of writes so far.
    count: u64,
    /// Hashes of the keys of the latest writes, the last one at the end.
    latest: VecDeque<Hashes>,
    hasher: RandomState,
}

/// Hashes of the keys of a write.
pub(super) type Hashes = HashSet<u64, RandomState>;

impl RecentWrites {
    /// Returns the hashes of the keys of `changes`.
    pub(super) fn hashes(&self, changes: &[Change]) -> Hashes {
        changes.iter().map(|(key, _)| self.hasher.hash_one(key.as_slice())).collect()
    }

    /// Adds a write of keys with these hashes. Returns the number of writes so far.
    pub(super) fn add(&mut self, hashes: Hashes) -> u64 {
        self.latest.push_back(hashes);
        while self.latest.len() > KEPT_WRITES || self.keys() > KEPT_KEYS {
            self.latest.pop_front();
        }
        self.count += 1;
        self.count
    }

    fn keys(&self) -> usize {
        self.latest.iter().map(HashSet::len).sum()
    }

    /// Returns true if a key of `changes` may have been written after the first `count` writes.
    pub(super) fn may_overlap(&self, count: u64, changes: &[Change]) -> bool {
        let Ok(later) = usize::try_from(self.count - count) else { return true };
        let Some(forgotten) = self.latest.len().checked_sub(later) else { return true };
        later > 0
            && changes.iter().any(|(key, _)| {
                let hash = self.hasher.hash_one(key.as_slice());
                self.latest.iter().skip(forgotten).any(|written| written.contains(&hash))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str) -> Vec<Change> {
        vec![(key.as_bytes().to_vec(), None)]
    }

    fn add(recent: &mut RecentWrites, keys: &[&str]) {
        let changes: Vec<Change> = keys.iter().flat_map(|key| change(key)).collect();
        recent.add(recent.hashes(&changes));
    }

    #[test]
    fn overlap_is_with_later_writes_only() {
        let mut recent = RecentWrites::default();
        assert!(!recent.may_overlap(0, &change("a")));
        add(&mut recent, &["a"]);
        add(&mut recent, &["b", "c"]);
        assert!(recent.may_overlap(0, &change("a")));
        assert!(!recent.may_overlap(1, &change("a")));
        assert!(recent.may_overlap(1, &change("c")));
        assert!(!recent.may_overlap(2, &change("c")));
        assert!(!recent.may_overlap(0, &change("d")));
    }

    #[test]
    fn writes_that_are_no_longer_kept_may_overlap() {
        let mut recent = RecentWrites::default();
        for _ in 0..=KEPT_WRITES {
            add(&mut recent, &["a"]);
        }
        assert!(recent.may_overlap(0, &change("b")));
        assert!(!recent.may_overlap(1, &change("b")));
        recent.add((0..=KEPT_KEYS as u64).collect());
        assert_eq!(recent.keys(), 0);
        assert!(recent.may_overlap(KEPT_WRITES as u64 + 1, &change("b")));
    }
}
