//! `shared` of a `dedup` stage: a store of identities that several processes share.
//!
//! Only the program reads it; an engine refuses it. So the WebAssembly module has none of the
//! options, only the refusal.

#[cfg(not(feature = "shared-dedup"))]
mod refused;
#[cfg(feature = "shared-dedup")]
mod store;

#[cfg(not(feature = "shared-dedup"))]
pub use refused::SharedStore;
#[cfg(feature = "shared-dedup")]
pub use store::{OnUnavailable, SharedStore, StoreType};

/// The message of the refusal.
pub(crate) const ONLY_THE_PROGRAM: &str = "an engine cannot share identities with other processes: \
     run the pipeline with the program stream-processor, or remove `shared`";
