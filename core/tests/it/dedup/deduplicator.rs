//! `Deduplicator` compared with a simple list of known identities.

use proptest::prelude::*;
use stream_processor_core::dedup::{Check, Deduplicator, DeduplicatorOptions, Token};
use stream_processor_core::{Error, NO_IDENTITY, SnapshotError};

/// One call: with an identity, or with one of the tokens that the caller holds.
#[derive(Debug, Clone, Copy)]
enum Step {
    Check(u64),
    Confirm(prop::sample::Index),
    Release(prop::sample::Index),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    identity: u64,
    since: i64,
    is_confirmed: bool,
}

/// All known identities in one list, in the order in which they were added.
struct Oracle {
    known: Vec<Known>,
    options: DeduplicatorOptions,
    timed_out: u64,
    evicted: u64,
}

impl Oracle {
    fn advance_to(&mut self, now: i64) {
        let is_over = |known: &Known| {
            let time = if known.is_confirmed {
                self.options.ttl_us
            } else {
                Some(self.options.pending_timeout_us)
            };
            time.is_some_and(|time| i128::from(now) - i128::from(known.since) >= i128::from(time))
        };
        let late = self.known.iter().filter(|known| !known.is_confirmed && is_over(known)).count();
        self.timed_out += late as u64;
        let kept = self.known.iter().filter(|known| !is_over(known)).copied().collect();
        self.known = kept;
    }

    fn find(&self, identity: u64) -> Option<Known> {
        self.known.iter().find(|known| known.identity == identity).copied()
    }

    fn make_room(&mut self) -> bool {
        if self.known.len() < self.options.max_entries as usize {
            return true;
        }
        let oldest = self.known.iter().position(|known| known.is_confirmed);
        if let Some(oldest) = oldest {
            self.known.remove(oldest);
            self.evicted += 1;
        }
        oldest.is_some()
    }

    fn check(&mut self, identity: u64, now: i64) -> &'static str {
        match self.find(identity) {
            Some(known) if known.is_confirmed => "duplicate",
            Some(_) => "pending",
            None if !self.make_room() => "full",
            None => {
                self.known.push(Known { identity, since: now, is_confirmed: false });
                "new"
            }
        }
    }

    fn confirm(&mut self, identity: u64, since: i64) -> bool {
        let pending = Known { identity, since, is_confirmed: false };
        match self.find(identity) {
            Some(known) if known == pending => self.known.retain(|known| *known != pending),
            Some(_) => return false,
            None if !self.make_room() => return false,
            None => {}
        }
        self.known.push(Known { is_confirmed: true, ..pending });
        true
    }
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        4 => (1..12_u64).prop_map(Step::Check),
        2 => any::<prop::sample::Index>().prop_map(Step::Confirm),
        1 => any::<prop::sample::Index>().prop_map(Step::Release),
    ];
    // Time advances, stands still, or goes backwards.
    let pass = prop_oneof![8 => -2..6_i64, 1 => 0..60_i64];
    prop::collection::vec((pass, step), 0..150)
}

fn name(
    check: Check,
    tokens: &mut Vec<(u64, i64, Token)>,
    identity: u64,
    now: i64,
) -> &'static str {
    match check {
        Check::New(token) => {
            tokens.push((identity, now, token));
            "new"
        }
        Check::Duplicate => "duplicate",
        Check::Pending => "pending",
        Check::Full => "full",
        Check::Unidentified => "unidentified",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn results_and_counters_equal_those_of_a_list(
        steps in steps(),
        start in prop::sample::select(vec![0_i64, -50, i64::MIN, i64::MAX - 100]),
        ttl_us in prop::sample::select(vec![None, Some(1), Some(20), Some(i64::MAX)]),
        pending_timeout_us in prop::sample::select(vec![1_i64, 10, i64::MAX]),
        max_entries in prop::sample::select(vec![1_u32, 4, 1000]),
        restore_every in prop::option::of(1_usize..20),
    ) {
        let options = DeduplicatorOptions { ttl_us, pending_timeout_us, max_entries, seed: 7 };
        let mut seen = Deduplicator::new(options).unwrap();
        let mut oracle = Oracle { known: Vec::new(), options, timed_out: 0, evicted: 0 };
        let (mut tokens, mut clock, mut now) = (Vec::new(), start, i64::MIN);
        for (at, (pass, step)) in steps.into_iter().enumerate() {
            if restore_every.is_some_and(|every| at % every == 0) {
                let snapshot = seen.snapshot();
                let options = DeduplicatorOptions { seed: at as u64, ..options };
                let restored = Deduplicator::restore(options, &snapshot).unwrap();
                prop_assert_eq!(restored.snapshot(), snapshot);
                prop_assert_eq!(restored.stats(), seen.stats());
                seen = restored;
            }
            clock = clock.saturating_add(pass);
            match step {
                Step::Check(identity) => {
                    now = now.max(clock);
                    oracle.advance_to(now);
                    let expected = oracle.check(identity, now);
                    let found = seen.check([identity, 1], clock);
                    prop_assert_eq!(name(found, &mut tokens, identity, now), expected);
                }
                Step::Confirm(at) if !tokens.is_empty() => {
                    let (identity, since, token) = tokens.remove(at.index(tokens.len()));
                    now = now.max(clock);
                    oracle.advance_to(now);
                    let expected = oracle.confirm(identity, since);
                    oracle.advance_to(now);
                    prop_assert_eq!(seen.confirm(token, clock), expected);
                }
                Step::Release(at) if !tokens.is_empty() => {
                    let (identity, since, token) = tokens.remove(at.index(tokens.len()));
                    // `release` has no time parameter: the time of the last call applies.
                    oracle.known.retain(|known| *known != Known { identity, since, is_confirmed: false });
                    seen.release(token);
                    continue;
                }
                Step::Confirm(_) | Step::Release(_) => continue,
            }
            let stats = seen.stats();
            let confirmed = oracle.known.iter().filter(|known| known.is_confirmed).count();
            prop_assert_eq!(stats.confirmed, confirmed as u64);
            prop_assert_eq!(stats.pending, (oracle.known.len() - confirmed) as u64);
            prop_assert_eq!(stats.timed_out, oracle.timed_out);
            prop_assert_eq!(stats.evicted, oracle.evicted);
        }
    }
}

#[test]
fn pending_identity_is_never_evicted() {
    let options = DeduplicatorOptions { max_entries: 2, ..DeduplicatorOptions::default() };
    let mut seen = Deduplicator::new(options).unwrap();
    let Check::New(first) = seen.check([1, 0], 0) else { panic!() };
    let Check::New(_second) = seen.check([2, 0], 0) else { panic!() };
    assert_eq!(seen.check([3, 0], 0), Check::Full);
    assert!(seen.confirm(first, 0));
    assert!(matches!(seen.check([3, 0], 0), Check::New(_)));
    assert_eq!((seen.stats().evicted, seen.stats().full), (1, 1));
}

#[test]
fn missing_identity_is_never_pending() {
    let mut seen = Deduplicator::new(DeduplicatorOptions::default()).unwrap();
    assert_eq!(seen.check(NO_IDENTITY, 0), Check::Unidentified);
    assert_eq!(seen.stats().pending, 0);
}

#[test]
fn option_out_of_range_is_refused_by_name() {
    let good = DeduplicatorOptions::default();
    for (options, path) in [
        (DeduplicatorOptions { ttl_us: Some(0), ..good }, "ttl_us"),
        (DeduplicatorOptions { pending_timeout_us: 0, ..good }, "pending_timeout_us"),
        (DeduplicatorOptions { max_entries: 0, ..good }, "max_entries"),
    ] {
        let error = Deduplicator::new(options).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn damaged_snapshot_is_refused() {
    let options = DeduplicatorOptions { ttl_us: Some(50), ..DeduplicatorOptions::default() };
    let mut seen = Deduplicator::new(options).unwrap();
    let mut tokens = Vec::new();
    for number in 1..9 {
        let Check::New(token) = seen.check([number, 3], number as i64) else { panic!("new") };
        tokens.push(token);
    }
    for token in tokens.drain(..5) {
        assert!(seen.confirm(token, 10));
    }
    let snapshot = seen.snapshot();
    for at in 0..snapshot.len() {
        let mut damaged = snapshot.clone();
        for mask in [0x01, 0x80, 0xff] {
            damaged[at] = snapshot[at] ^ mask;
            assert!(matches!(Deduplicator::restore(options, &damaged), Err(Error::Snapshot(_))));
        }
        assert!(Deduplicator::restore(options, &snapshot[..at]).is_err(), "cut at {at}");
    }
    let longer = [&snapshot[..], &[0; 8]].concat();
    assert!(Deduplicator::restore(options, &longer).is_err());
    let others = DeduplicatorOptions { ttl_us: None, ..options };
    assert_eq!(
        Deduplicator::restore(others, &snapshot).unwrap_err(),
        Error::Snapshot(SnapshotError::OtherPipeline)
    );
    // The restored deduplicator accepts the tokens issued before.
    let mut restored = Deduplicator::restore(options, &snapshot).unwrap();
    assert_eq!(restored.check([1, 3], 11), Check::Duplicate);
    assert_eq!(restored.check([8, 3], 11), Check::Pending);
    assert!(restored.confirm(tokens.pop().unwrap(), 12));
    assert_eq!(restored.check([8, 3], 13), Check::Duplicate);
}
