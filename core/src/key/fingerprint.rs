//! Values by numbers that tell them apart.

use xxhash_rust::xxh3::xxh3_128;

/// The bit of a double that is never set where it is smaller than 2.
const GREAT: u64 = 1 << 62;

/// An encoded value as a number that tells it from all others: what a column of kind [`crate::InputKind::Text`] holds.
///
/// It is made of 63 bits of XXH3 (128 bits, seed 0), so two different values are taken for one with a chance of 2^-63. It is
/// always finite.
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
#[allow(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
pub fn fingerprint(value: &[u8]) -> f64 {
    f64::from_bits(xxh3_128(value) as u64 & !GREAT)
}
