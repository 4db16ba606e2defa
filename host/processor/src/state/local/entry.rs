//! The stored form of an entry: 8 bytes of expiry, then the value.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::state::StateError;

/// Marks an entry that never expires.
const NEVER: i64 = i64::MAX;

/// A stored entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    expires_at_us: i64,
    value: &'a [u8],
}

/// A stored entry that is shorter than its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooShort(usize);

impl TooShort {
    pub(super) fn of(self, backend: &'static str) -> StateError {
        let reason = format!("an entry has {} bytes, fewer than its header of 8", self.0);
        StateError::Corrupt { backend, reason }
    }
}

impl<'a> Stored<'a> {
    pub(super) fn encode(value: &[u8], expires_at_us: Option<i64>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + value.len());
        bytes.extend_from_slice(&expires_at_us.unwrap_or(NEVER).to_le_bytes());
        bytes.extend_from_slice(value);
        bytes
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, TooShort> {
        let (expiry, value) = bytes.split_first_chunk::<8>().ok_or(TooShort(bytes.len()))?;
        Ok(Self { expires_at_us: i64::from_le_bytes(*expiry), value })
    }

    /// Returns the value, unless it has expired at `now_us`.
    pub(super) fn value_at(self, now_us: i64) -> Option<&'a [u8]> {
        (now_us < self.expires_at_us).then_some(self.value)
    }
}

/// Returns the time since 1970 by the system's clock, microseconds. Expiry has to survive a
/// restart, which a monotonic clock does not.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(NEVER - 1)
}

/// Returns the expiry of an entry written at `now_us`.
pub(super) fn expiry_us(now_us: i64, ttl_ms: Option<u64>) -> Option<i64> {
    let ttl_us = i64::try_from(ttl_ms?).unwrap_or(NEVER).saturating_mul(1000);
    // One microsecond more than the clock shows: it was rounded down.
    Some(now_us.saturating_add(ttl_us).saturating_add(1).min(NEVER - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_is_visible_until_its_expiry() {
        let bytes = Stored::encode(b"v", expiry_us(1_000_000, Some(5)));
        let stored = Stored::decode(&bytes).unwrap();
        assert_eq!(stored.value_at(1_005_000), Some(b"v".as_slice()));
        assert_eq!(stored.value_at(1_005_001), None);
        let forever = Stored::encode(b"", None);
        assert_eq!(Stored::decode(&forever).unwrap().value_at(i64::MAX - 1), Some([].as_slice()));
        assert_eq!(Stored::decode(b"1234567"), Err(TooShort(7)));
    }
}
