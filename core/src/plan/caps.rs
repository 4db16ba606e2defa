//! Limits of a stage's state, and the policy for an event that would exceed one.

use crate::data::reject::RejectReason;
use crate::spec::{LimitPolicy, PipelineSpec, SpecError, Stage, StageState};

/// A limit on the state of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Keys,
    Windows,
    Bytes,
}

impl Limit {
    /// Returns the name of the limit in `[limits]`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keys => "max_keys",
            Self::Windows => "max_windows_per_key",
            Self::Bytes => "max_state_bytes",
        }
    }

    /// Returns the reason for dropping an event because of this limit.
    pub(crate) fn reason(self) -> RejectReason {
        match self {
            Self::Keys => RejectReason::KeyLimit,
            Self::Windows => RejectReason::WindowLimit,
            Self::Bytes => RejectReason::StateLimit,
        }
    }
}

/// The limits of one stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    pub(crate) max_keys: u32,
    pub(crate) max_windows_per_key: u32,
    /// Maximum memory of the stage's state in bytes; `u64::MAX` if no limit is set.
    pub(crate) max_memory: u64,
    /// Maximum of the bytes that the stage counts. It leaves room below `max_memory` for tables
    /// that grow.
    pub(crate) max_bytes: u64,
    on_max_keys: LimitPolicy,
    on_max_windows_per_key: LimitPolicy,
    on_max_bytes: LimitPolicy,
}

impl Caps {
    /// Returns the limits of each stage of `spec` that keeps state; all stages get equal shares.
    #[inline]
    pub(super) fn of(spec: &PipelineSpec) -> Self {
        let limits = &spec.limits;
        let stateful_stages = spec.stages.iter().filter(|stage| keeps_state(stage)).count().max(1);
        // Tables double when they grow: in the worst case, memory is 2.2 times their content.
        let max_memory =
            limits.max_state_bytes.map_or(u64::MAX, |bytes| bytes / stateful_stages as u64);
        Self {
            max_keys: limits.max_keys,
            max_windows_per_key: limits.max_windows_per_key,
            max_memory,
            max_bytes: limits.max_state_bytes.map_or(u64::MAX, |_| max_memory / 9 * 4),
            on_max_keys: limits.on_max_keys,
            on_max_windows_per_key: limits.on_max_windows_per_key,
            on_max_bytes: limits.on_max_state_bytes,
        }
    }

    pub(crate) fn policy(&self, limit: Limit) -> LimitPolicy {
        match limit {
            Limit::Keys => self.on_max_keys,
            Limit::Windows => self.on_max_windows_per_key,
            Limit::Bytes => self.on_max_bytes,
        }
    }

    /// Returns true if the stage must count the bytes of its state.
    pub(crate) fn limits_bytes(&self) -> bool {
        self.max_bytes != u64::MAX
    }

    /// Returns true if the least recently used key may be evicted.
    pub(crate) fn evicts_keys(&self) -> bool {
        self.on_max_keys == LimitPolicy::Evict
            || (self.limits_bytes() && self.on_max_bytes == LimitPolicy::Evict)
    }

    /// Returns true if anything may be evicted: keys or windows.
    pub(crate) fn evicts(&self) -> bool {
        self.evicts_keys() || self.on_max_windows_per_key == LimitPolicy::Evict
    }

    /// Returns true if a call may end with [`crate::Error::LimitReached`].
    pub(super) fn refuses(&self) -> bool {
        [self.on_max_keys, self.on_max_windows_per_key].contains(&LimitPolicy::Refuse)
            || (self.limits_bytes() && self.on_max_bytes == LimitPolicy::Refuse)
    }

    /// Adds to `identity` the limits that two engines must share to exchange state. A limit with
    /// policy `refuse` is left out: it only decides where a call ends, so a snapshot may continue
    /// under a greater one.
    #[inline]
    pub(super) fn identify(
        spec: &PipelineSpec,
        identity: &mut serde_json::Map<String, serde_json::Value>,
    ) {
        let (caps, limits) = (Self::of(spec), &spec.limits);
        let mut insert =
            |name: &str, value: serde_json::Value| identity.insert(name.to_owned(), value);
        let value = |policy: LimitPolicy, value: u64| match policy {
            LimitPolicy::Refuse => "refuse".into(),
            _ => value.into(),
        };
        insert("max_keys", value(caps.on_max_keys, caps.max_keys.into()));
        let windows = value(caps.on_max_windows_per_key, caps.max_windows_per_key.into());
        insert("max_windows_per_key", windows);
        // Added only if they affect results, so that snapshots of other pipelines stay valid.
        if caps.on_max_keys == LimitPolicy::Evict {
            insert("on_max_keys", "evict".into());
        }
        if caps.on_max_windows_per_key == LimitPolicy::Evict {
            insert("on_max_windows_per_key", "evict".into());
        }
        if let Some(bytes) = limits.max_state_bytes {
            let sizes_state = |stage: &Stage| stage.options().sizes_state_by_bytes();
            let affects_results = spec.stages.iter().any(sizes_state);
            let policy = if affects_results { LimitPolicy::Drop } else { caps.on_max_bytes };
            insert("max_state_bytes", value(policy, bytes));
            let policy = match caps.on_max_bytes {
                LimitPolicy::Drop => "drop",
                LimitPolicy::Evict => "evict",
                LimitPolicy::Refuse => "refuse",
            };
            insert("on_max_state_bytes", policy.into());
        }
    }
}

#[inline]
fn keeps_state(stage: &Stage) -> bool {
    stage.options().state() != StageState::None
}

/// Checks that `limits.max_state_bytes` can be enforced.
#[inline]
pub(super) fn check_state_bytes(spec: &PipelineSpec) -> Result<(), SpecError> {
    match spec.limits.max_state_bytes {
        Some(0) => Err(SpecError::new(
            "limits.max_state_bytes",
            "0: must be at least 1; leave it out for no limit",
        )),
        _ => Ok(()),
    }
}
