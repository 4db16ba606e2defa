//! Sets of remembered identities, which tell whether an event was seen before.
//!
//! ```text
//! Deduplicator     two phases for library users: check, then confirm or release
//!   ExactSet       each identity with its time
//!     IdentityIndex  identity -> position in the log
//!     EntryLog       entries in the order of last touch; expires and evicts from the front
//! BloomSet         one Bloom filter per generation of time
//!   InterleavedBits  the bits of up to eight filters, one cache line per look-up
//!   BloomSizes       blocks, words and bits for a capacity and a false-positive rate
//! ```
//!
//! The `dedup` stage owns an `ExactSet` or a `BloomSet`; a `Deduplicator` owns two
//! `ExactSet`s. `check_all` looks up and records a batch. It first prefetches the memory of 64
//! identities.

mod bloom_set;
mod bloom_sizes;
mod deduplicator;
mod entry_log;
mod exact_set;
mod identity_index;
mod interleaved_bits;
mod snapshot;

pub use deduplicator::{Check, Deduplicator, DeduplicatorOptions, DeduplicatorStats, Token};

pub(crate) use bloom_set::{BloomSet, FilterPart};
pub(crate) use bloom_sizes::BloomSizes;
pub(crate) use exact_set::ExactSet;

use crate::data::batch::{FOUND_DUPLICATE, FOUND_NEW, Identity, NO_IDENTITY};

/// Verdict on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// New.
    New,
    /// Seen before.
    Duplicate,
    /// The event has no identity.
    Unidentified,
    /// Not in the set, and the watermark is at least a ttl past its time: an earlier event with
    /// this identity would have expired.
    Unjudged,
}

/// Returns the verdict on an event whose identity is not to be looked up: it has none, or the host
/// has found it to be new or a duplicate.
#[inline]
fn verdict_without_lookup(identity: Identity) -> Option<Verdict> {
    if identity[0] != NO_IDENTITY[0] {
        return None;
    }
    match identity {
        NO_IDENTITY => Some(Verdict::Unidentified),
        FOUND_NEW => Some(Verdict::New),
        FOUND_DUPLICATE => Some(Verdict::Duplicate),
        _ => None,
    }
}

/// Returns true if an identity first seen at `time` has expired at `watermark`.
#[inline]
fn is_expired(ttl_us: Option<i64>, time: i64, watermark: i64) -> bool {
    let horizon = ttl_us.and_then(|ttl| watermark.checked_sub(ttl));
    horizon.is_some_and(|horizon| time <= horizon)
}
