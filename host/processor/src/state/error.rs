//! The error of state backends.

use std::time::Duration;

/// An error of a [`StateBackend`](super::StateBackend).
///
/// Neither its text nor its debug form contains a password or a URL.
///
/// ```
/// use processor::state::{MemoryStateBackend, StateBackend};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let backend = MemoryStateBackend::new(None);
/// let error = backend.put(b"", b"value").await.unwrap_err();
/// assert_eq!(error.code(), "state_key");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// An option of a backend or a call is wrong.
    #[error("{option}: {reason}")]
    InvalidOption {
        /// The name of the option.
        option: &'static str,
        /// The mistake, and what would be right.
        reason: String,
    },
    /// A key is empty or too long.
    #[error("a key has {bytes} bytes, but 1 to {max} are allowed")]
    InvalidKey {
        /// The length of the key.
        bytes: usize,
        /// The maximum length.
        max: usize,
    },
    /// A value is too long.
    #[error("a value has {bytes} bytes, but at most {max} are allowed")]
    ValueTooLong {
        /// The length of the value.
        bytes: usize,
        /// The maximum length.
        max: usize,
    },
    /// The store cannot be reached, or the connection broke. A write may have taken effect.
    #[error("{backend} is unavailable: {reason}")]
    Unavailable {
        /// The kind of backend.
        backend: &'static str,
        /// The failure.
        reason: String,
    },
    /// The store did not answer in time. A write may have taken effect.
    #[error("{backend} did not answer within {after:?}")]
    Timeout {
        /// The kind of backend.
        backend: &'static str,
        /// The limit that was exceeded.
        after: Duration,
    },
    /// The store has no room: memory limit of a server, or disk full. Nothing was written that was
    /// not acknowledged before.
    #[error("{backend} is full: {reason}")]
    Full {
        /// The kind of backend.
        backend: &'static str,
        /// The message of the store.
        reason: String,
    },
    /// Stored bytes are not those that this library writes.
    #[error("{backend} contains damaged data: {reason}")]
    Corrupt {
        /// The kind of backend.
        backend: &'static str,
        /// The damage.
        reason: String,
    },
    /// The store refused the call: rights, configuration, or another error that a repetition does
    /// not change.
    #[error("{backend} refused the call: {reason}")]
    Refused {
        /// The kind of backend.
        backend: &'static str,
        /// The message of the store.
        reason: String,
    },
}

impl StateError {
    /// Returns a short stable name, the same in Rust, logs and documents.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidOption { .. } => "invalid_option",
            Self::InvalidKey { .. } => "state_key",
            Self::ValueTooLong { .. } => "state_value",
            Self::Unavailable { .. } => "state_unavailable",
            Self::Timeout { .. } => "state_timeout",
            Self::Full { .. } => "state_full",
            Self::Corrupt { .. } => "state_corrupt",
            Self::Refused { .. } => "state_refused",
        }
    }

    /// Returns true if the same call may succeed later: the store is away, slow or full.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. } | Self::Full { .. })
    }

    pub(super) fn option(option: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidOption { option, reason: reason.into() }
    }
}
