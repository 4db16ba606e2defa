//! Memories of identities: what tells whether an event came before.

mod bloom;
mod deduplicator;
mod exact;
mod index;
mod lanes;
mod log;
mod saved;
mod sizes;

pub use deduplicator::{Check, Deduplicator, DeduplicatorOptions, DeduplicatorStats, Token};

pub(crate) use bloom::{Bloom, FilterPart};
pub(crate) use exact::Exact;
pub(crate) use sizes::Sizes;

/// What a memory says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is new.
    First,
    /// It came before.
    Before,
    /// It has no identity.
    Unidentified,
    /// It is not remembered, and the watermark is a ttl past its time: had it come before, that would be forgotten by now.
    Unjudged,
}

/// Returns whether an identity first seen at `time` is forgotten when the watermark is `watermark`.
#[inline]
fn is_forgotten(ttl_us: Option<i64>, time: i64, watermark: i64) -> bool {
    let horizon = ttl_us.and_then(|ttl| watermark.checked_sub(ttl));
    horizon.is_some_and(|horizon| time <= horizon)
}
