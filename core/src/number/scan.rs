//! Strict scan of a JSON number: one pass, eight digits at a time.

use super::parse_by_std;

/// Largest mantissa that a double represents without rounding.
pub(super) const MAX_EXACT_MANTISSA: u64 = 1 << 53;

/// Powers of ten that doubles represent exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Eight ASCII zeros.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// A scanned JSON number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScannedNumber {
    /// True if it has a minus sign.
    pub(crate) negative: bool,
    /// True if `mantissa` contains all digits.
    pub(crate) exact: bool,
    /// The digits without the decimal point.
    pub(crate) mantissa: u64,
    /// The power of ten to multiply `mantissa` by.
    pub(crate) exponent: i32,
}

impl ScannedNumber {
    /// Returns the nearest double of the number, whose text is `text`; `None` if it exceeds the
    /// finite doubles.
    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "the mantissa is compared with 2^53 before")]
    pub(crate) fn nearest_f64(&self, text: &[u8]) -> Option<f64> {
        // Clinger's fast path: both operands are exact, so the result is rounded only once,
        // correctly.
        if self.exact && self.mantissa <= MAX_EXACT_MANTISSA {
            let power = usize::try_from(self.exponent.unsigned_abs()).ok();
            if let Some(power) = power.and_then(|power| EXACT_POWERS.get(power)) {
                let mantissa = self.mantissa as f64;
                let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
                return Some(if self.negative { -value } else { value });
            }
        }
        parse_by_std(text)
    }

    /// Returns the number if it is written as a plain integer and fits an `i64`.
    #[inline]
    pub(crate) fn plain_integer(&self) -> Option<i64> {
        if !self.exact || self.exponent != 0 {
            return None;
        }
        let magnitude = i64::try_from(self.mantissa).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// Scans the strict JSON number at `start` of `bytes` into `number`, and returns its end.
///
/// Writing each part in place avoids copies of the whole struct, which stall on the stores of its
/// parts.
///
/// # Errors
///
/// Returns the position at which the text is no longer a number.
#[inline(always)]
pub(crate) fn scan_json_number(
    bytes: &[u8],
    start: usize,
    number: &mut ScannedNumber,
) -> Result<usize, usize> {
    let mut at = start;
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(negative);

    let mut mantissa = 0;
    let integer_start = at;
    at = scan_digits(bytes, at, &mut mantissa);
    let mut digits = at - integer_start;
    if digits == 0 {
        return Err(at);
    }
    if digits > 1 && bytes.get(integer_start) == Some(&b'0') {
        return Err(integer_start + 1);
    }

    let mut exponent = 0;
    if bytes.get(at) == Some(&b'.') {
        let fraction_start = at + 1;
        at = scan_digits(bytes, fraction_start, &mut mantissa);
        let fraction_digits = at - fraction_start;
        if fraction_digits == 0 {
            return Err(at);
        }
        digits += fraction_digits;
        exponent = i32::try_from(fraction_digits).map_or(i32::MIN, |digits| -digits);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let (written, end) = scan_exponent(bytes, at + 1)?;
        exponent = exponent.saturating_add(written);
        at = end;
    }
    number.negative = negative;
    // 19 digits always fit a u64. Leading zeros count too, which only costs such numbers the fast
    // path.
    number.exact = digits <= 19;
    number.mantissa = mantissa;
    number.exponent = exponent;
    Ok(at)
}

/// Scans digits from `at` and shifts them into `mantissa`, which wraps if there are too many.
/// Returns their end.
#[inline]
fn scan_digits(bytes: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let count = digit_count(word);
        if count == 8 {
            *mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(value_of(word));
            at += 8;
            continue;
        }
        // Pads with leading zeros, so that the number of digits needs no loop.
        let padded = (word ^ ZEROS) << 8 << (8 * (7 - count)) ^ ZEROS;
        let power = POWERS.get(count).copied().unwrap_or(1);
        *mantissa = mantissa.wrapping_mul(power).wrapping_add(value_of(padded));
        return at + count;
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
    {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// Returns the number of leading ASCII digits in eight bytes; the first byte is the lowest.
#[inline]
fn digit_count(word: u64) -> usize {
    let digits = word ^ ZEROS;
    // Carries never affect the first mark.
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    (others.trailing_zeros() / 8) as usize
}

/// Returns the value of eight ASCII digits; the first is in the lowest byte.
///
/// After Lemire, "Quickly parsing eight digits" (2018): neighbours are combined pairwise, three
/// times.
#[inline]
fn value_of(word: u64) -> u64 {
    let digits = word ^ ZEROS;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    low.wrapping_add(high) >> 32
}

/// Scans the exponent after the `e` of a number. Returns its saturated value and its end.
#[cold]
pub(super) fn scan_exponent(bytes: &[u8], mut at: usize) -> Result<(i32, usize), usize> {
    let negative = bytes.get(at) == Some(&b'-');
    if let Some(b'-' | b'+') = bytes.get(at) {
        at += 1;
    }
    let start = at;
    let mut value: i32 = 0;
    while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
        value = value.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
        at += 1;
    }
    if at == start { Err(at) } else { Ok((if negative { -value } else { value }, at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_scan_stops_after_json_number() {
        let scan = |text: &str| scan_json_number(text.as_bytes(), 0, &mut ScannedNumber::default());
        assert_eq!(scan("12.34,"), Ok(5));
        assert_eq!(scan("-1e-5]"), Ok(5));
        assert_eq!(scan("0123"), Err(1));
        assert_eq!(scan("-"), Err(1));
        assert_eq!(scan("1."), Err(2));
        assert_eq!(scan("1.e"), Err(2));
        assert_eq!(scan("1e"), Err(2));
        assert_eq!(scan("00000000001"), Err(1));
    }

    #[test]
    fn eight_digits_are_read_at_once() {
        assert_eq!(value_of(u64::from_le_bytes(*b"12345678")), 12_345_678);
        assert_eq!(value_of(u64::from_le_bytes(*b"00000009")), 9);
        assert_eq!(value_of(u64::from_le_bytes(*b"99999999")), 99_999_999);
        for byte in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
            for place in 0..8 {
                for behind in [b'0', b'9', 0, 0xff, byte] {
                    let mut text = [behind; 8];
                    text[..place].fill(b'9');
                    text[place] = byte;
                    assert_eq!(digit_count(u64::from_le_bytes(text)), place);
                }
            }
        }
    }

    #[test]
    fn digit_runs_of_any_length_are_scanned() {
        for count in 0..=19 {
            let digits = &b"9876543210123456789"[..count];
            for behind in
                [&b""[..], b",", b".\xff000000000000", b"\xff\xff\xff\xff\xff\xff\xff\xff"]
            {
                let (text, mut mantissa) = ([digits, behind].concat(), 5);
                assert_eq!(scan_digits(&text, 0, &mut mantissa), count);
                let expected = digits.iter().fold(5_u64, |all, digit| {
                    all.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
                });
                assert_eq!(mantissa, expected);
            }
        }
    }
}
