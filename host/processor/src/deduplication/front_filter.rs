//! The Bloom filter in front of a backend.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use fastbloom::BloomFilter;

use crate::engine::Identity;

/// The filter consists of this many parts. The oldest is dropped as a whole, so the filter
/// remembers at least 3/4 of its capacity and of the ttl.
const PARTS: u32 = 4;

/// Remembers the identities that this process has marked, for less than their ttl.
pub(super) struct FrontFilter {
    parts: VecDeque<Part>,
    part_capacity: usize,
    part_rate: f64,
    ttl: Option<Duration>,
    /// Identities that were released: the filter still has them, but they are not marked.
    released: HashSet<Identity>,
}

struct Part {
    filter: BloomFilter,
    len: usize,
    /// The time of its first identity.
    since: Instant,
}

impl FrontFilter {
    pub(super) fn new(capacity: usize, rate: f64, ttl: Option<Duration>) -> Self {
        Self {
            parts: VecDeque::new(),
            part_capacity: capacity.div_ceil(PARTS as usize),
            // An identity is looked up in all parts, so their rates add up.
            part_rate: rate / f64::from(PARTS),
            ttl,
            released: HashSet::new(),
        }
    }

    /// Returns true if the identity was added, or with the filter's rate if it was not.
    pub(super) fn contains(&mut self, identity: &Identity, now: Instant) -> bool {
        self.expire(now);
        self.parts.iter().any(|part| part.filter.contains(identity))
            && !self.released.contains(identity)
    }

    /// Adds an identity whose mark was written at `now` or later.
    pub(super) fn add(&mut self, identity: &Identity, now: Instant) {
        self.released.remove(identity);
        let span = self.ttl.map(|ttl| ttl / PARTS);
        let is_open = self.parts.back().is_some_and(|part| {
            part.len < self.part_capacity
                && span.is_none_or(|span| now.saturating_duration_since(part.since) < span)
        });
        if !is_open {
            while self.parts.len() >= PARTS as usize {
                self.parts.pop_front();
            }
            let filter =
                BloomFilter::with_false_pos(self.part_rate).expected_items(self.part_capacity);
            self.parts.push_back(Part { filter, len: 0, since: now });
        }
        if let Some(part) = self.parts.back_mut() {
            part.filter.insert(identity);
            part.len += 1;
        }
    }

    /// Lets the backend answer for an identity until it is added again.
    pub(super) fn release(&mut self, identity: Identity) {
        if self.parts.iter().any(|part| part.filter.contains(&identity)) {
            self.released.insert(identity);
        }
    }

    /// Drops the parts whose first identity has reached its ttl.
    fn expire(&mut self, now: Instant) {
        let Some(ttl) = self.ttl else { return };
        while let Some(part) = self.parts.front()
            && now.saturating_duration_since(part.since) >= ttl
        {
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            self.released.clear();
        }
    }
}

impl fmt::Debug for FrontFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontFilter")
            .field("parts", &self.parts.len())
            .field("part_capacity", &self.part_capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(of: u64) -> Identity {
        [of.wrapping_mul(0x9e37_79b9_7f4a_7c15), of + 1]
    }

    #[test]
    fn identity_is_forgotten_before_its_ttl_and_remembered_for_three_quarters() {
        let ttl = Duration::from_secs(100);
        let start = Instant::now();
        let mut filter = FrontFilter::new(1000, 1e-6, Some(ttl));
        for second in 0..100 {
            filter.add(&identity(second), start + Duration::from_secs(second));
        }
        for second in 0..100 {
            let age = |age| start + Duration::from_secs(second + age);
            if second == 0 {
                assert!(filter.contains(&identity(second), start + Duration::from_secs(99)));
            }
            assert!(!filter.contains(&identity(second), age(100)), "{second}");
        }
    }

    #[test]
    fn share_of_new_identities_taken_for_old_ones_is_at_most_the_rate() {
        let now = Instant::now();
        let mut filter = FrontFilter::new(20_000, 0.01, None);
        (0..20_000).for_each(|id| filter.add(&identity(id), now));
        assert!((0..20_000).all(|id| filter.contains(&identity(id), now)));
        let wrong = (20_000..220_000).filter(|id| filter.contains(&identity(*id), now)).count();
        assert!(wrong < 2_400, "{wrong} of 200,000");
    }

    #[test]
    fn oldest_quarter_is_dropped_when_the_filter_is_full() {
        let now = Instant::now();
        let mut filter = FrontFilter::new(4_000, 1e-9, None);
        (0..4_001).for_each(|id| filter.add(&identity(id), now));
        assert_eq!((0..4_001).filter(|id| filter.contains(&identity(*id), now)).count(), 3_001);
    }

    #[test]
    fn released_identity_is_unknown_until_it_is_added_again() {
        let now = Instant::now();
        let mut filter = FrontFilter::new(100, 1e-9, None);
        filter.add(&identity(7), now);
        filter.release(identity(7));
        assert!(!filter.contains(&identity(7), now));
        filter.add(&identity(7), now);
        assert!(filter.contains(&identity(7), now));
    }
}
