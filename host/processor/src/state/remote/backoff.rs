//! Growing pauses between attempts, with random parts so that many callers do not return at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST_MS: u64 = 10;
const LONGEST_MS: u64 = 1000;

/// Pauses of 10 ms, then twice as long each time up to 1 s; each is shortened at random by up to
/// half.
#[derive(Debug)]
pub(super) struct Backoff {
    next_ms: u64,
    random: RandomState,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next_ms: FIRST_MS, random: RandomState::new() }
    }

    /// Waits for the next pause.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    fn next(&mut self) -> Duration {
        let longest_us = self.next_ms * 1000;
        let shorter_us = self.random.hash_one(self.next_ms) % (longest_us / 2);
        self.next_ms = (2 * self.next_ms).min(LONGEST_MS);
        self.random = RandomState::new();
        Duration::from_micros(longest_us - shorter_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_vary() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..12).map(|_| backoff.next()).collect();
        for (index, pause) in pauses.iter().enumerate() {
            let longest = Duration::from_millis((10 << index.min(7)).min(1000));
            assert!(*pause <= longest && *pause > longest / 2 - Duration::from_micros(1));
        }
        let (last, before) = (pauses[11], pauses[10]);
        assert!(last != before || pauses[9] != before, "the pauses do not vary");
    }
}
