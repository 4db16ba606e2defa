//! Exact decimal numbers.

use super::scan::scan_exponent;
use super::write_u64;
use core::cmp::Ordering;

/// An exact decimal number, borrowed from its text: a sign, significant digits and the position of
/// the decimal point.
///
/// Different spellings of one value are equal: `1`, `1.0` and `10e-1`; `-0` and `0`. Numbers
/// compare by value. The number of digits is unlimited (the text holds them). Exponents saturate at
/// ±[`Decimal::MAX_POINT`], so numbers that differ only beyond 10^1,073,741,824 compare as equal.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    negative: bool,
    /// ASCII digits before the decimal point of the text, without leading zeros; `tail` continues
    /// them.
    head: &'a [u8],
    /// ASCII digits after the decimal point. Neither the first nor the last digit of both parts
    /// together is 0.
    tail: &'a [u8],
    /// The value is 0.DIGITS · 10^point.
    point: i32,
}

impl<'a> Decimal<'a> {
    /// The largest magnitude of [`Decimal::point`], at which exponents saturate.
    pub const MAX_POINT: i32 = 1 << 30;

    /// Parses a decimal number exactly.
    ///
    /// The text is a JSON number, or one of the looser spellings `+1`, `.5`, `1.` and `007`.
    /// Returns `None` for anything else.
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

    /// Removes insignificant zeros from the digits before and after the decimal point.
    fn normalized(negative: bool, whole: &'a [u8], fraction: &'a [u8], exponent: i32) -> Self {
        let mut head = trim_zeros_start(whole);
        let mut tail = trim_zeros_end(fraction);
        if tail.is_empty() {
            // Trimming the end of `head` does not move the point, which is counted from the start.
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

    /// Returns true if the number is negative.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Returns true if the number is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digit_count() == 0
    }

    /// Returns the position of the decimal point: the value is 0.DIGITS · 10^point. It is 0 for
    /// zero.
    #[must_use]
    pub fn point(&self) -> i32 {
        self.point
    }

    /// Returns the significant digits, each 0 to 9. Neither the first nor the last is 0; zero has
    /// no digits.
    pub fn digits(&self) -> impl Iterator<Item = u8> + 'a {
        self.head.iter().chain(self.tail).map(|digit| digit - b'0')
    }

    /// Returns the number of [`Decimal::digits`].
    #[must_use]
    pub fn digit_count(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Appends the number with all digits in ECMAScript's layout: `3`, `0.1`, `1e+21`,
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

/// Splits `text` into its leading digits and the rest.
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

/// Returns digits − zeros + exponent, saturated at ±[`Decimal::MAX_POINT`].
fn saturated_point(digits: usize, zeros: usize, exponent: i32) -> i32 {
    let max = i64::from(Decimal::MAX_POINT);
    let part = |count: usize| i64::try_from(count).unwrap_or(max).min(max);
    let point = part(digits) - part(zeros) + i64::from(exponent);
    i32::try_from(point.clamp(-max, max)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str) -> String {
        let mut out = Vec::new();
        Decimal::parse(text.as_bytes()).unwrap().write(&mut out);
        String::from_utf8(out).unwrap()
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
