//! Every number of the state of every vector, replaced by extremes: a restored engine has the bytes
//! of its snapshot, and it ends. The checks are those of the fuzz targets (tests/fuzz).
//!
//! `cargo xtask campaign snapshots` runs all cases; the test here runs a part of them.
#![allow(clippy::disallowed_methods, reason = "a campaign is configured by the environment")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use stream_processor_core::Options;

use super::drive::{self, check_partial, check_snapshot, seal, sections};
use super::pipelines::{self, Pipeline};

/// Numbers that are written in place of each number of 8 bytes; their low halves in place of each of
/// 4 bytes.
const NUMBERS: [u64; 14] = [
    0,
    1,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    (1 << 62) + 1,
    (1 << 63) - 2,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0001,
];

/// Bytes of input before a snapshot is taken, and after it.
const TEXT_BYTES: usize = 900;

const HEADER_BYTES: usize = 24;

/// Counts cases, and takes every n-th.
struct Cases {
    every: u64,
    seen: u64,
    taken: u64,
    accepted: u64,
    /// The first case of each failure.
    failures: BTreeMap<String, u64>,
}

impl Cases {
    fn every(every: u64) -> Self {
        Self { every, seen: 0, taken: 0, accepted: 0, failures: BTreeMap::new() }
    }

    /// Runs `check` on the bytes that `forge` gives, if it is their turn.
    fn run(&mut self, name: &str, forge: impl Fn() -> Vec<u8>, check: impl Fn(&[u8]) -> bool) {
        self.seen += 1;
        if !self.seen.is_multiple_of(self.every) {
            return;
        }
        self.taken += 1;
        let mut bytes = forge();
        seal(&mut bytes);
        match catch_unwind(AssertUnwindSafe(|| check(&bytes))) {
            Ok(accepted) => self.accepted += u64::from(accepted),
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or(panic.downcast_ref::<&str>().map(|text| text.to_string()));
                let case = format!("{name}: {}", message.unwrap_or_default());
                self.failures.entry(case).or_insert(self.seen);
            }
        }
    }

    /// Runs all forgeries of `state`.
    fn run_all(&mut self, name: &str, state: &[u8], check: impl Fn(&[u8]) -> bool) {
        let sections = sections(state);
        for payload in &sections {
            for at in payload.clone().step_by(4) {
                for number in NUMBERS {
                    for width in [8, 4] {
                        let forge = || {
                            let mut bytes = state.to_vec();
                            let end = (at + width).min(payload.end);
                            let number = number.to_le_bytes();
                            bytes[at..end].copy_from_slice(&number[..end - at]);
                            bytes
                        };
                        self.run(name, forge, &check);
                    }
                }
            }
        }
        for (index, payload) in sections.iter().enumerate() {
            let range = payload.start - HEADER_BYTES..payload.end.next_multiple_of(8);
            let section = &state[range.clone()];
            let around = (&state[..range.start], &state[range.end..]);
            self.run(name, || [around.0, around.1].concat(), &check);
            self.run(name, || counted(&[around.0, section, section, around.1].concat()), &check);
            self.run(name, || state[..payload.start + payload.len() / 2].to_vec(), &check);
            for shorter in [4, 8, payload.len() / 2] {
                self.run(name, || cut_payload(state, payload, shorter), &check);
            }
            if let Some(next) = sections.get(index + 1) {
                let next = next.start - HEADER_BYTES..next.end.next_multiple_of(8);
                let swapped =
                    || [around.0, &state[next.clone()], section, &state[next.end..]].concat();
                self.run(name, swapped, &check);
            }
        }
    }
}

/// Writes the number of sections into the last one.
fn counted(state: &[u8]) -> Vec<u8> {
    let mut bytes = state.to_vec();
    let sections = sections(state);
    if let Some(end) = sections.last().filter(|end| end.len() == 8) {
        let before = sections.len() as u64 - 1;
        bytes[end.clone()].copy_from_slice(&before.to_le_bytes());
    }
    bytes
}

/// Removes the last bytes of a payload.
fn cut_payload(state: &[u8], payload: &core::ops::Range<usize>, shorter: usize) -> Vec<u8> {
    let length = payload.len().saturating_sub(shorter);
    let mut bytes = state[..payload.start + length].to_vec();
    let place = payload.start - HEADER_BYTES + 8;
    bytes[place..place + 8].copy_from_slice(&(length as u64).to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend_from_slice(&state[payload.end.next_multiple_of(8)..]);
    bytes
}

/// Returns the input before the snapshot, and the input after it.
fn text_of(pipeline: &Pipeline) -> (&[u8], &[u8]) {
    let before = pipelines::lines(&pipeline.input, TEXT_BYTES);
    // A CSV needs its header again, which the whole input begins with.
    let after = match pipeline.is_csv {
        true => pipelines::lines(&pipeline.input, 2 * TEXT_BYTES),
        false => pipelines::lines(&pipeline.input[before.len()..], TEXT_BYTES),
    };
    (before, after)
}

/// Runs every n-th forgery of the state of all vectors. Returns how many were run, and how many of
/// these were not refused.
fn run_every(every: u64) -> (u64, u64) {
    let mut cases = Cases::every(every);
    for pipeline in pipelines::all() {
        let (before, after) = text_of(&pipeline);
        for options in pipeline.roles() {
            let state = drive::snapshot(&pipeline.spec, options, before).unwrap();
            assert!(check_snapshot(&pipeline.spec, options, &state, after), "{}", pipeline.name);
            cases.run_all(&pipeline.name, &state, |bytes| {
                check_snapshot(&pipeline.spec, options, bytes, after)
            });
        }
        if let Some(state) = drive::partial(&pipeline.spec, before) {
            assert!(check_partial(&pipeline.spec, &state), "{}", pipeline.name);
            cases.run_all(&pipeline.name, &state, |bytes| check_partial(&pipeline.spec, bytes));
        }
    }
    assert!(cases.failures.is_empty(), "{:#?}", cases.failures);
    (cases.taken, cases.accepted)
}

#[test]
fn forged_numbers_are_refused_or_give_the_same_snapshot() {
    let (taken, accepted) = run_every(4001);
    assert!(taken > 300 && accepted > 20, "{taken} {accepted}");
}

#[test]
#[ignore = "minutes: `cargo xtask campaign snapshots`"]
fn snapshot_campaign() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (taken, accepted) = run_every(number("CAMPAIGN_EVERY").unwrap_or(1));
    println!("{taken} forgeries, {accepted} of them not refused");
    assert!(accepted > 0);
}

#[test]
fn restored_engines_of_all_vectors_have_the_bytes_of_their_snapshots() {
    for pipeline in pipelines::all() {
        let whole = drive::snapshot(&pipeline.spec, Options::default(), &pipeline.input);
        // Some inputs end within a quoted field.
        let Some(whole) = whole else { continue };
        assert!(
            check_snapshot(&pipeline.spec, Options::default(), &whole, b""),
            "{}",
            pipeline.name
        );
    }
}
