//! The numbers that keys may contain: those that every runtime can read and write without loss.

use crate::number::Decimal;

/// 0.DIGITS · 10^308 is below the largest double, which is 0.17… · 10^309.
const MAX_CERTAIN_POINT: i32 = 308;
/// 0.1 · 10^-306 is a normal double.
const MIN_CERTAIN_POINT: i32 = -306;
/// Every decimal of at most this many digits, within these points, is the shortest one of a double.
const CERTAIN_DIGITS: usize = 15;
/// The greatest number of digits that a double needs.
const MAX_DIGITS: usize = 17;

/// Returns whether keys may contain `number`: an integer within the range of doubles, or the
/// shortest decimal of a double.
///
/// `nearest` returns the double nearest to it, `None` beyond the finite ones. It is called only if
/// its result matters.
pub(crate) fn is_key_number(number: &Decimal<'_>, nearest: impl FnOnce() -> Option<f64>) -> bool {
    let (point, digits) = (number.point(), number.digit_count());
    if is_certain_key_number(point, digits) {
        return true;
    }
    if is_integer(point, digits) {
        return point == MAX_CERTAIN_POINT + 1 && nearest().is_some();
    }
    digits <= MAX_DIGITS && nearest().is_some_and(|value| is_shortest(number, value))
}

/// Returns whether every number 0.DIGITS · 10^point with this many significant digits is allowed.
pub(crate) fn is_certain_key_number(point: i32, digits: usize) -> bool {
    point <= MAX_CERTAIN_POINT
        && (is_integer(point, digits) || digits <= CERTAIN_DIGITS && point >= MIN_CERTAIN_POINT)
}

/// Returns whether 0.DIGITS · 10^point has no fraction, if the last digit is not 0.
pub(crate) fn is_integer(point: i32, digits: usize) -> bool {
    usize::try_from(point).is_ok_and(|whole| digits <= whole)
}

/// Returns whether `number` is the decimal that ECMAScript prints for `value`, which is finite.
fn is_shortest(number: &Decimal<'_>, value: f64) -> bool {
    let mut buffer = ryu_js::Buffer::new();
    Decimal::parse(buffer.format_finite(value).as_bytes()).as_ref() == Some(number)
}

/// Returns whether mantissa · 10^exponent is certainly allowed, by a fast check of its size.
#[cfg(feature = "text")]
#[inline]
pub(crate) fn is_small_key_number(mantissa: u64, exponent: i32) -> bool {
    const BELOW_16_DIGITS: u64 = 1_000_000_000_000_000;
    (0..=280).contains(&exponent) || (-300..0).contains(&exponent) && mantissa < BELOW_16_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::parse_f64;

    fn is_allowed(text: &str) -> bool {
        let number = Decimal::parse(text.as_bytes()).unwrap();
        is_key_number(&number, || parse_f64(text.as_bytes()))
    }

    #[test]
    fn integers_within_doubles_and_shortest_decimals_are_key_numbers() {
        for text in [
            "0",
            "-0.0",
            "1",
            "1.0",
            "10e-1",
            "0.1",
            "0.10",
            "0.30000000000000004",
            "9007199254740993",
            "-123456789012345678901234567890",
            "1.2345678901234567890123e22",
            "1e22",
            "1e23",
            "1e308",
            "1.7976931348623157e308",
            "5e-324",
            "2.2250738585072014e-308",
            "1e-300",
            "0.0000001",
        ] {
            assert!(is_allowed(text), "{text}");
        }
    }

    #[test]
    fn other_decimals_are_not_key_numbers() {
        for text in [
            "1e400",
            "-1e400",
            "1.8e308",
            "1e999999999999",
            "0.1234567890123456789",
            "0.12345678901234567890",
            "0.30000000000000001",
            "9007199254740993.5",
            "1e-400",
            "4.9e-324",
            "2.5e-324",
            "1e-999999999999",
        ] {
            assert!(!is_allowed(text), "{text}");
        }
    }

    #[cfg(feature = "text")]
    #[test]
    fn small_key_numbers_are_key_numbers() {
        let mantissas = [0, 1, 10, 123_456_789_012_345, 999_999_999_999_999, u64::MAX];
        for mantissa in mantissas {
            for exponent in -310..=310 {
                let allowed = is_allowed(&format!("{mantissa}e{exponent}"));
                assert!(
                    allowed || !is_small_key_number(mantissa, exponent),
                    "{mantissa}e{exponent}"
                );
            }
        }
    }
}
