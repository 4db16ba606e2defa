//! Options of a [`SharedDeduplicator`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::front_filter::FrontFilter;
use super::shared::SharedDeduplicator;
use crate::engine::spec::Strategy;
use crate::engine::text::Identifier;
use crate::state::{MAX_KEY_BYTES, StateBackend, StateError};

/// Maximum length of a prefix: a key is the prefix and an identity of 16 bytes.
const MAX_PREFIX_BYTES: usize = MAX_KEY_BYTES - 16;

/// The behavior of a check while the backend is unavailable, slow or full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnavailable {
    /// The check fails, so the caller can wait and repeat it. No duplicate passes, no event is
    /// lost.
    #[default]
    Strict,
    /// The check returns [`Seen::Unchecked`](super::Seen::Unchecked), and the event is counted.
    /// Duplicates may pass; no event is lost.
    BestEffort,
}

/// Options of a [`SharedDeduplicator`]; see [`SharedDeduplicator::builder`].
#[must_use]
pub struct SharedDeduplicatorBuilder {
    backend: Arc<dyn StateBackend>,
    strategies: Vec<Strategy>,
    key_prefix: String,
    ttl: Option<Duration>,
    bloom: Option<(usize, f64)>,
    on_unavailable: OnUnavailable,
}

impl SharedDeduplicatorBuilder {
    pub(super) fn new(backend: Arc<dyn StateBackend>) -> Self {
        Self {
            backend,
            strategies: Vec::new(),
            key_prefix: "ids:".into(),
            ttl: None,
            bloom: None,
            on_unavailable: OnUnavailable::default(),
        }
    }

    /// Sets the strategies, which are tried in order: the first that finds all its fields in an
    /// event gives the identity. Required.
    pub fn strategies(mut self, strategies: impl IntoIterator<Item = Strategy>) -> Self {
        self.strategies = strategies.into_iter().collect();
        self
    }

    /// Sets a text that stands before every key in the backend. Deduplicators with the same prefix
    /// and backend share their marks. Default: `ids:`.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Sets how long an identity is remembered after its first check. Default: the backend's
    /// default ttl.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Puts a Bloom filter in front of the backend, for about `capacity` identities.
    ///
    /// It answers for duplicates of events that this deduplicator itself has passed, without a
    /// round trip. At most the share `rate` of new events is taken for duplicates and is lost, so
    /// choose a small one. Worth it where one process gets many duplicates.
    ///
    /// The filter keeps no positions: an event that this deduplicator has passed is a duplicate when
    /// it is checked again, also at its own position.
    ///
    /// The filter forgets an identity before its ttl has passed. Set [`ttl`](Self::ttl) here if the
    /// backend has a default.
    pub fn bloom(mut self, capacity: usize, rate: f64) -> Self {
        self.bloom = Some((capacity, rate));
        self
    }

    /// Sets the behavior of a check while the backend is unavailable, slow or full. Default: [`OnUnavailable::Strict`].
    pub fn on_unavailable(mut self, policy: OnUnavailable) -> Self {
        self.on_unavailable = policy;
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// Returns an error that names the option that is wrong.
    pub fn build(self) -> Result<SharedDeduplicator, StateError> {
        let wrong =
            |option, reason: &str| Err(StateError::InvalidOption { option, reason: reason.into() });
        if self.strategies.is_empty() {
            return wrong("strategies", "must have at least one");
        }
        if self.strategies.iter().any(lacks_names) {
            return wrong("strategies", "a strategy must name its fields, none of them empty");
        }
        if self.key_prefix.len() > MAX_PREFIX_BYTES {
            let reason = format!("must have at most {MAX_PREFIX_BYTES} bytes");
            return wrong("key_prefix", &reason);
        }
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return wrong("ttl", "must be longer than 0");
        }
        if let Some((capacity, rate)) = self.bloom {
            if !(1..=1 << 31).contains(&capacity) {
                return wrong("bloom", "its capacity must be 1 to 2147483648");
            }
            if !(1e-12..=0.1).contains(&rate) {
                return wrong("bloom", "its rate must be 1e-12 to 0.1");
            }
        }
        Ok(SharedDeduplicator::new(
            self.backend,
            Identifier::new(&self.strategies),
            self.key_prefix.into_bytes(),
            self.ttl,
            self.bloom.map(|(capacity, rate)| FrontFilter::new(capacity, rate, self.ttl)),
            self.on_unavailable,
        ))
    }
}

/// Returns true if a strategy names no field, or one with an empty name.
fn lacks_names(strategy: &Strategy) -> bool {
    match strategy {
        Strategy::Content => false,
        Strategy::Fields(names) => names.is_empty() || names.iter().any(String::is_empty),
    }
}

impl fmt::Debug for SharedDeduplicatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDeduplicatorBuilder")
            .field("strategies", &self.strategies)
            .field("key_prefix", &self.key_prefix)
            .field("ttl", &self.ttl)
            .field("bloom", &self.bloom)
            .field("on_unavailable", &self.on_unavailable)
            .finish_non_exhaustive()
    }
}
