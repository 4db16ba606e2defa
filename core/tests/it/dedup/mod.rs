//! Identities of events and deduplication.

mod deduplicator;
mod identity;
mod stage;
