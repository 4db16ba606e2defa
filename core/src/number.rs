//! Numbers as text: ECMAScript's spelling of a double, exact reading of one, and exact decimals.

use core::cmp::Ordering;

/// Mantissas up to here are doubles without rounding.
const MAX_EXACT_MANTISSA: u64 = 1 << 53;

/// Powers of ten that are doubles without rounding.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Appends `value` exactly as ECMAScript prints a Number: `3`, `0.1`, `1e+21`.
///
/// -0 prints as `0`; NaN and the infinities, which JSON has no words for, as `null`.
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

/// `value` as an integer if it is one below 2^53, where every integer is a double of its own.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "saturates, and the way back is compared"
)]
fn small_integer(value: f64) -> Option<i64> {
    let integer = value as i64;
    (integer as f64 == value && integer.unsigned_abs() < MAX_EXACT_MANTISSA).then_some(integer)
}

/// Reads a decimal number, correctly rounded to the nearest double.
///
/// The text is a JSON number, or one of the looser spellings `+1`, `.5`, `1.` and `007`. `None` for any other text
/// and for a number too large for a finite double.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let mut number = ScannedNumber::default();
    if scan_json_number(text, 0, &mut number) == Ok(text.len()) {
        return number.to_f64(text);
    }
    Decimal::parse(text)?;
    parse_by_std(text)
}

/// What the standard library makes of a decimal number; `None` beyond the finite doubles.
#[cold]
fn parse_by_std(text: &[u8]) -> Option<f64> {
    let value: f64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// A JSON number as its scan found it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScannedNumber {
    /// Whether a minus sign stands before it.
    pub(crate) negative: bool,
    /// Whether `mantissa` holds all digits.
    pub(crate) exact: bool,
    /// The digits without the decimal point.
    pub(crate) mantissa: u64,
    /// The power of ten that `mantissa` is to be multiplied by.
    pub(crate) exponent: i32,
}

impl ScannedNumber {
    /// The nearest double of the number whose text is `text`; `None` beyond the finite ones.
    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "the mantissa is compared with 2^53 before")]
    pub(crate) fn to_f64(&self, text: &[u8]) -> Option<f64> {
        // Clinger's fast path: both operands are exact, so the one rounding of the result is the right one.
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

    /// The number, if it was written as a plain integer that fits.
    #[inline]
    pub(crate) fn to_i64(&self) -> Option<i64> {
        if !self.exact || self.exponent != 0 {
            return None;
        }
        let magnitude = i64::try_from(self.mantissa).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// Scans the number of strict JSON that starts at `start` of `bytes` into `number`; gives its end.
///
/// (Writing each part where it is to stay avoids copies of the whole, which stall on the parts' stores.)
///
/// # Errors
///
/// Where the text stops being a number.
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
    // 19 digits always fit a u64; leading zeros count too, which only costs such numbers the fast path.
    number.exact = digits <= 19;
    number.mantissa = mantissa;
    number.exponent = exponent;
    Ok(at)
}

/// Scans digits from `at`, shifting them into `mantissa` (which wraps when they are too many); gives their end.
#[inline]
fn scan_digits(bytes: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
        && let Some(value) = eight_digits(u64::from_le_bytes(*chunk))
    {
        *mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(value);
        at += 8;
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
        && digit <= 9
    {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The value of eight ASCII digits, the first in the lowest byte; `None` if one of them is no digit.
///
/// After Lemire, "Quickly parsing eight digits" (2018): neighbours are added up pairwise, three times.
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    let digits = word ^ 0x3030_3030_3030_3030;
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    Some(low.wrapping_add(high) >> 32)
}

/// Scans what follows the `e` of a number: its value, saturating, and its end.
#[cold]
fn scan_exponent(bytes: &[u8], mut at: usize) -> Result<(i32, usize), usize> {
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

/// An exact decimal number, borrowed from its text: a sign, significant digits and the place of the decimal point.
///
/// Two spellings of one value are equal: `1`, `1.0` and `10e-1`; `-0` and `0`. Numbers compare by value.
/// Digits are kept without bound (the text holds them); exponents saturate at ±[`Decimal::MAX_POINT`], so numbers that
/// differ only beyond 10^1,073,741,824 are taken for equal.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    negative: bool,
    /// ASCII digits before the point of the text, without leading zeros; `tail` goes on.
    head: &'a [u8],
    /// ASCII digits after it. The last digit of both is not 0, nor is the first.
    tail: &'a [u8],
    /// The value is 0.DIGITS · 10^point.
    point: i32,
}

impl<'a> Decimal<'a> {
    /// The largest magnitude of [`Decimal::point`]; beyond it exponents saturate.
    pub const MAX_POINT: i32 = 1 << 30;

    /// Reads a decimal number exactly.
    ///
    /// The text is a JSON number, or one of the looser spellings `+1`, `.5`, `1.` and `007`; `None` for any other.
    ///
    /// ```
    /// # use stream_processor_core::number::Decimal;
    /// assert_eq!(Decimal::parse(b"1"), Decimal::parse(b"10.0e-1"));
    /// assert_eq!(Decimal::parse(b"0x1"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (whole, rest) = split_digits(unsigned);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            rest => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', ..] => {
                let (exponent, end) = scan_exponent(rest, 1).ok()?;
                (end == rest.len()).then_some(exponent)?
            }
            _ => return None,
        };
        Some(Self::normalized(negative, whole, fraction, exponent))
    }

    /// Digits before and after the point, cut to the significant ones.
    fn normalized(negative: bool, whole: &'a [u8], fraction: &'a [u8], exponent: i32) -> Self {
        let mut head = trim_zeros_start(whole);
        let mut tail = trim_zeros_end(fraction);
        if tail.is_empty() {
            // Trimmed at its end `head` has the same point: that counts from its start.
            let length = head.len();
            head = trim_zeros_end(head);
            if head.is_empty() {
                return Self { negative: false, head, tail, point: 0 };
            }
            return Self { negative, head, tail, point: saturated_point(length, 0, exponent) };
        }
        let mut leading_zeros = 0;
        let length = head.len();
        if head.is_empty() {
            leading_zeros = tail.len();
            tail = trim_zeros_start(tail);
            leading_zeros -= tail.len();
        }
        Self { negative, head, tail, point: saturated_point(length, leading_zeros, exponent) }
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether the number is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digit_count() == 0
    }

    /// The place of the decimal point: the value is 0.DIGITS · 10^point. Zero has 0.
    #[must_use]
    pub fn point(&self) -> i32 {
        self.point
    }

    /// The significant digits, each 0 to 9: the first and the last are not 0; zero has none.
    pub fn digits(&self) -> impl Iterator<Item = u8> + 'a {
        self.head.iter().chain(self.tail).map(|digit| digit - b'0')
    }

    /// How many digits [`Decimal::digits`] gives.
    #[must_use]
    pub fn digit_count(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Appends the number as ECMAScript would lay out its exact digits: `3`, `0.1`, `1e+21`,
    /// `1.2345678901234567890123e+22`.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_layout(self.negative, self.point, self.digit_count(), self.digits(), out);
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative
            && self.point == other.point
            && self.digit_count() == other.digit_count()
            && self.digits().eq(other.digits())
    }
}

impl Eq for Decimal<'_> {}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        let by_magnitude =
            || self.point.cmp(&other.point).then_with(|| self.digits().cmp(other.digits()));
        by_sign.then_with(|| if self.negative { by_magnitude().reverse() } else { by_magnitude() })
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Appends 0.DIGITS · 10^point by the rules of ECMAScript's Number::toString.
pub(crate) fn write_layout(
    negative: bool,
    point: i32,
    digit_count: usize,
    mut digits: impl Iterator<Item = u8>,
    out: &mut Vec<u8>,
) {
    if digit_count == 0 {
        out.push(b'0');
        return;
    }
    if negative {
        out.push(b'-');
    }
    match usize::try_from(point) {
        Ok(whole @ 1..=21) => {
            out.extend(digits.by_ref().take(whole).map(|digit| b'0' + digit));
            if digit_count > whole {
                out.push(b'.');
                out.extend(digits.map(|digit| b'0' + digit));
            } else {
                out.extend(core::iter::repeat_n(b'0', whole - digit_count));
            }
        }
        _ if (-5..=0).contains(&point) => {
            out.extend_from_slice(b"0.");
            out.extend((point..0).map(|_| b'0'));
            out.extend(digits.map(|digit| b'0' + digit));
        }
        _ => {
            out.extend(digits.by_ref().take(1).map(|digit| b'0' + digit));
            if digit_count > 1 {
                out.push(b'.');
                out.extend(digits.map(|digit| b'0' + digit));
            }
            let exponent = point.saturating_sub(1);
            out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
            write_u64(u64::from(exponent.unsigned_abs()), out);
        }
    }
}

/// The digits at the front of `text`, and what follows them.
fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

fn trim_zeros_start(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.get(zeros..).unwrap_or(&[])
}

fn trim_zeros_end(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    digits.get(..digits.len() - zeros).unwrap_or(&[])
}

/// digits − zeros + exponent, within ±[`Decimal::MAX_POINT`].
fn saturated_point(digits: usize, zeros: usize, exponent: i32) -> i32 {
    let max = i64::from(Decimal::MAX_POINT);
    let part = |count: usize| i64::try_from(count).unwrap_or(max).min(max);
    let point = part(digits) - part(zeros) + i64::from(exponent);
    i32::try_from(point.clamp(-max, max)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn laid_out(text: &str) -> String {
        let mut out = Vec::new();
        Decimal::parse(text.as_bytes()).unwrap().write(&mut out);
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
    fn looser_spellings_are_numbers_and_words_are_not() {
        for (text, value) in [("+1", 1.0), (".5", 0.5), ("1.", 1.0), ("007", 7.0), ("+.5e1", 5.0)] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value));
        }
        for text in ["", "-", ".", "e5", "1e", "1e+", "inf", "NaN", "0x10", "1 ", "--1", "1.2.3"] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_strict_scan_stops_where_json_ends() {
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
        assert_eq!(eight_digits(u64::from_le_bytes(*b"12345678")), Some(12_345_678));
        assert_eq!(eight_digits(u64::from_le_bytes(*b"00000009")), Some(9));
        assert_eq!(eight_digits(u64::from_le_bytes(*b"99999999")), Some(99_999_999));
        for byte in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
            for place in 0..8 {
                let mut text = *b"00000000";
                text[place] = byte;
                assert_eq!(eight_digits(u64::from_le_bytes(text)), None);
            }
        }
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        let groups: [&[&str]; 5] = [
            &["1", "1.0", "10e-1", "0.1e1", "1000e-3", "+1", "001"],
            &["0", "-0", "0.000", "0e999", "-0.0e-5"],
            &["0.05", "5e-2", "50E-3", ".05"],
            &["-120", "-1.2e2", "-12e+1", "-120.000"],
            &["1e999999999999", "10e5000000000"],
        ];
        for (index, group) in groups.iter().enumerate() {
            for (other_index, other_group) in groups.iter().enumerate() {
                for (a, b) in group.iter().flat_map(|a| other_group.iter().map(move |b| (a, b))) {
                    let equal = Decimal::parse(a.as_bytes()) == Decimal::parse(b.as_bytes());
                    assert_eq!(equal, index == other_index, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn decimals_keep_all_digits_in_ecmascript_layout() {
        for (text, expected) in [
            ("3", "3"),
            ("3.0", "3"),
            ("0.1", "0.1"),
            ("-0", "0"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("12345678901234567890123", "1.2345678901234567890123e+22"),
            ("9007199254740993", "9007199254740993"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("-123.4500", "-123.45"),
            ("1e-10", "1e-10"),
            ("12.5e-9", "1.25e-8"),
        ] {
            assert_eq!(laid_out(text), expected);
        }
    }
}
