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
}
