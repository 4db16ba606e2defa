//! Checks of keys, values and ttls that all backends share.

use std::time::Duration;

use super::StateError;

/// Maximum length of a key, bytes. PostgreSQL's index sets it: an entry fits into a third of a page.
pub const MAX_KEY_BYTES: usize = 2048;
/// Maximum length of a value, bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// The longest ttl, milliseconds: 1,000 years. Longer ones count as this, so that no clock
/// overflows.
const MAX_TTL_MS: u64 = 1000 * 366 * 86_400_000;

/// Checks the length of a key.
pub(super) fn check_key(key: &[u8]) -> Result<(), StateError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(StateError::InvalidKey { bytes: key.len(), max: MAX_KEY_BYTES });
    }
    Ok(())
}

/// Checks the lengths of a key and its value.
pub(super) fn check_entry(key: &[u8], value: &[u8]) -> Result<(), StateError> {
    check_key(key)?;
    if value.len() > MAX_VALUE_BYTES {
        return Err(StateError::ValueTooLong { bytes: value.len(), max: MAX_VALUE_BYTES });
    }
    Ok(())
}

/// Checks the lengths of all entries of a batch.
pub(super) fn check_entries(entries: &[(&[u8], &[u8])]) -> Result<(), StateError> {
    entries.iter().try_for_each(|(key, value)| check_entry(key, value))
}

/// Returns a ttl in whole milliseconds, rounded up.
///
/// # Errors
/// Returns an error if it is zero.
pub(super) fn ttl_ms(ttl: Duration) -> Result<u64, StateError> {
    let ms = ttl.as_nanos().div_ceil(1_000_000);
    if ms == 0 {
        return Err(StateError::option(
            "ttl",
            "must be longer than 0; without a ttl nothing expires",
        ));
    }
    Ok(u64::try_from(ms).unwrap_or(MAX_TTL_MS).min(MAX_TTL_MS))
}

/// Returns the smallest key that is greater than all keys that start with `prefix`. `None` if there
/// is no such key.
#[cfg(any(feature = "postgres", test))]
pub(super) fn end_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_is_rounded_up_and_bounded() {
        assert_eq!(ttl_ms(Duration::from_nanos(1)).unwrap(), 1);
        assert_eq!(ttl_ms(Duration::from_micros(1001)).unwrap(), 2);
        assert_eq!(ttl_ms(Duration::from_secs(2)).unwrap(), 2000);
        assert_eq!(ttl_ms(Duration::MAX).unwrap(), MAX_TTL_MS);
        assert_eq!(ttl_ms(Duration::ZERO).unwrap_err().code(), "invalid_option");
    }

    #[test]
    fn end_of_prefix_is_above_every_key_with_it() {
        assert_eq!(end_of_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(end_of_prefix(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of_prefix(b"\xff"), None);
        assert_eq!(end_of_prefix(b""), None);
    }
}
