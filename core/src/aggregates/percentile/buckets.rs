//! Logarithmic buckets of positive numbers: 64 for each octave, found by the bits of the number.

/// Buckets of an octave. The widest is 1/64 of its lower bound, so its middle is at most 1/128 away
/// from any value in it.
pub(super) const BUCKETS_PER_OCTAVE: usize = 64;
/// Bits of a double below those that select the bucket.
const REST_BITS: u32 = 46;
/// The octave of the smallest subnormal number.
pub(super) const LOWEST_OCTAVE: i32 = -51;
/// The octave of the greatest finite number.
pub(super) const HIGHEST_OCTAVE: i32 = 2046;

/// Returns the octave and the bucket of a positive number, given by its bits.
#[inline]
pub(super) fn octave_and_bucket(magnitude: u64) -> (i32, usize) {
    let bucket = |bits: u64| usize::try_from(bits % BUCKETS_PER_OCTAVE as u64).unwrap_or(0);
    match i32::try_from(magnitude >> 52).unwrap_or(HIGHEST_OCTAVE) {
        0 => {
            // A subnormal: the leading bit of the mantissa gives the octave.
            let leading = magnitude.checked_ilog2().unwrap_or(0);
            let shifted = (magnitude << (51 - leading)) >> (51 - 6);
            (leading.cast_signed() - 51, bucket(shifted))
        }
        octave => (octave, bucket(magnitude >> REST_BITS)),
    }
}

/// Returns the octave and the bucket of a number, given by its bits. `None` for negative numbers,
/// zero, subnormals, infinity and NaN.
#[inline(always)]
pub(super) fn normal_octave_and_bucket(bits: u64) -> Option<(i32, usize)> {
    // The sign is the highest bit, so negative numbers are above the highest octave.
    let octave = i32::try_from(bits >> 52).ok()?;
    let bucket = usize::try_from((bits >> REST_BITS) % BUCKETS_PER_OCTAVE as u64).ok()?;
    (1..=HIGHEST_OCTAVE).contains(&octave).then_some((octave, bucket))
}

/// Returns the middle of a bucket.
pub(super) fn bucket_middle(octave: i32, bucket: usize) -> f64 {
    if let Ok(exponent @ 1..) = u64::try_from(octave) {
        let bits = (exponent << 52) | ((bucket as u64) << REST_BITS) | (1 << (REST_BITS - 1));
        return f64::from_bits(bits);
    }
    let leading = (octave + 51).clamp(0, 51).cast_unsigned();
    let least = ((BUCKETS_PER_OCTAVE as u64 | bucket as u64) << 45) >> (51 - leading);
    let half = (1_u64 << 44) >> (51 - leading);
    f64::from_bits(least + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_middle_is_within_1_128_of_every_number() {
        let mut bits: u64 = 1;
        while bits < f64::MAX.to_bits() {
            for magnitude in [bits, bits + bits / 7, bits + bits / 3] {
                let magnitude = magnitude.min(f64::MAX.to_bits());
                let value = f64::from_bits(magnitude);
                let (octave, bucket) = octave_and_bucket(magnitude);
                let normal = value.is_normal().then_some((octave, bucket));
                assert_eq!(normal_octave_and_bucket(magnitude), normal, "{value:e}");
                assert_eq!(normal_octave_and_bucket((-value).to_bits()), None);
                let error = (bucket_middle(octave, bucket) - value).abs();
                assert!(error <= value / 128.0, "{value:e} {octave} {bucket}");
            }
            bits += bits / 50 + 1;
        }
    }
}
