//! Numbers as text: doubles in ECMAScript's format, correctly rounded parsing, and exact decimals.

mod decimal;
mod scan;

pub use decimal::Decimal;
pub(crate) use decimal::write_layout;
pub(crate) use scan::{ScannedNumber, scan_json_number};

use scan::MAX_EXACT_MANTISSA;

/// Appends `value` exactly as ECMAScript prints a Number: `3`, `0.1`, `1e+21`.
///
/// -0 is printed as `0`. NaN and the infinities, which JSON cannot express, are printed as `null`.
pub fn write_f64(value: f64, out: &mut Vec<u8>) {
    if let Some(integer) = small_integer(value) {
        if integer < 0 {
            out.push(b'-');
        }
        write_u64(integer.unsigned_abs(), out);
    } else if value.is_finite() {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends `value` in decimal.
pub(crate) fn write_u64(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut unused = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        unused -= 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(unused..).unwrap_or(&[]));
}

/// Returns `value` as an integer if it is one below 2^53, where doubles represent all integers
/// exactly.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "saturates, and the way back is compared"
)]
fn small_integer(value: f64) -> Option<i64> {
    let integer = value as i64;
    (integer as f64 == value && integer.unsigned_abs() < MAX_EXACT_MANTISSA).then_some(integer)
}

/// Parses a decimal number, correctly rounded to the nearest double.
///
/// The text is a JSON number, or one of the looser spellings `+1`, `.5`, `1.` and `007`. Returns
/// `None` for anything else, and for numbers too large for a finite double.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let mut number = ScannedNumber::default();
    if scan_json_number(text, 0, &mut number) == Ok(text.len()) {
        return number.nearest_f64(text);
    }
    Decimal::parse(text)?;
    parse_by_std(text)
}

/// Parses a decimal number with the standard library; `None` if it exceeds the finite doubles.
#[cold]
fn parse_by_std(text: &[u8]) -> Option<f64> {
    let value: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_print_as_in_ecmascript() {
        for (value, text) in [
            (3.0, "3"),
            (0.1, "0.1"),
            (-0.0, "0"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (-1.5e-7, "-1.5e-7"),
            (0.000001, "0.000001"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (-42.0, "-42"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
            (f64::NEG_INFINITY, "null"),
        ] {
            assert_eq!(printed(value), text);
        }
    }

    #[test]
    fn doubles_are_read_correctly_rounded() {
        for text in [
            "0",
            "-0",
            "12.34",
            "1700000000123",
            "9007199254740993",
            "123456789012345678901234567890",
            "0.30000000000000004",
            "1e22",
            "1e23",
            "-1.7976931348623157e308",
            "5e-324",
            "1e-400",
            "12345678.12345678",
        ] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()));
        }
        assert_eq!(parse_f64(b"1e309"), None);
        assert_eq!(parse_f64(b"1e99999999999999999999"), None);
    }

    #[test]
    fn loose_spellings_parse_and_words_do_not() {
        for (text, value) in [("+1", 1.0), (".5", 0.5), ("1.", 1.0), ("007", 7.0), ("+.5e1", 5.0)] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value));
        }
        for text in ["", "-", ".", "e5", "1e", "1e+", "inf", "NaN", "0x10", "1 ", "--1", "1.2.3"] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text}");
        }
    }
}
