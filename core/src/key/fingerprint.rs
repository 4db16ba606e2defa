//! Fingerprints: strings, numbers and booleans as doubles that distinguish them.

use xxhash_rust::xxh3::xxh3_128;

/// The bit of a double that is clear if its magnitude is less than 2.
const MAGNITUDE_BIT: u64 = 1 << 62;

/// Returns a number that identifies an encoded value: the content of a column of kind
/// [`crate::InputKind::Text`].
///
/// It consists of 63 bits of XXH3 (128 bits, seed 0), so two different values are equal with a
/// probability of 2^-63. It is always finite.
/// ```
/// use stream_processor_core::key;
/// let of = |text: &str| {
///     let mut value = Vec::new();
///     key::push_str(&mut value, text);
///     key::fingerprint(&value)
/// };
/// assert!(of("eu") == of("eu") && of("eu") != of("us") && of("").is_finite());
/// ```
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "only the low half is used")]
pub fn fingerprint(value: &[u8]) -> f64 {
    f64::from_bits(xxh3_128(value) as u64 & !MAGNITUDE_BIT)
}
