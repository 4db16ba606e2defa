//! The canonical form of JSON values, which is hashed: one form for all spellings of a value.
//!
//! | value | bytes |
//! |---|---|
//! | false, true | `01`, `02` |
//! | a number of up to 19 significant digits | `03`, 1 if it is below 0 or else 0, the exponent (`i32`), the mantissa (`u64`), which has no last zero; 0 is all zero |
//! | a string | `04`, its UTF-8 with `00` written as `01 01` and `01` as `01 02`, then `00` |
//! | any other number, 0.DIGITS · 10^point | `05`, 1 if it is below 0 or else 0, the point (`i32`), the digits in ASCII, `00` |
//! | an array | `06`, its values, `00` |
//! | an object | `07`, its members in the order of their names as encoded, each its name as a string and its value, `00` |
//! | null | `08` |
//!
//! Integers are little-endian. No form is a prefix of another one, so the forms of different lists
//! of values never coincide.

use crate::key::{push_bool, push_plain_str, push_str};
use crate::number::{Decimal, ScannedNumber};
use crate::text::read::scan::{MAX_DEPTH, Scanner};
use crate::text::read::unescape::unescape;
use crate::text::read::value::{Kind, Value};

pub(super) const NUMBER: u8 = 0x03;
pub(super) const STRING: u8 = 0x04;
const LONG_NUMBER: u8 = 0x05;
const ARRAY: u8 = 0x06;
pub(super) const OBJECT: u8 = 0x07;
pub(super) const NULL: u8 = 0x08;
const END: u8 = 0x00;

/// Number of digits that always fits a `u64`.
const MAX_DIGITS: usize = 19;

/// A member of an object: the start of its form in the buffer, the end of its name, and its end.
#[derive(Debug, Clone, Copy)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

/// Appends the forms of values to a buffer.
#[derive(Debug, Default)]
pub(super) struct Canonical {
    pub(super) bytes: Vec<u8>,
    /// The members of all open objects, the innermost last.
    members: Vec<Member>,
    unescaped: Vec<u8>,
}

impl Canonical {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.members.clear();
    }

    /// Appends a scalar that a reader has found in `text`. Returns false if it is missing, null,
    /// empty in CSV, or not a scalar.
    #[inline]
    pub(super) fn push_scalar(&mut self, value: &Value, text: &[u8]) -> bool {
        match value.kind {
            Kind::String => push_plain_str(&mut self.bytes, text, value.start, value.end),
            Kind::Number => self.push_number(&value.number, value.text(text)),
            Kind::False | Kind::True => push_bool(&mut self.bytes, value.kind == Kind::True),
            Kind::EscapedString => self.push_escaped(value.text(text)),
            Kind::Text if value.end > value.start => {
                push_str(&mut self.bytes, &String::from_utf8_lossy(value.text(text)));
            }
            _ => return false,
        }
        true
    }

    #[cold]
    fn push_escaped(&mut self, text: &[u8]) {
        self.unescaped.clear();
        unescape(text, &mut self.unescaped);
        push_str(&mut self.bytes, &String::from_utf8_lossy(&self.unescaped));
    }

    #[inline]
    fn push_number(&mut self, number: &ScannedNumber, text: &[u8]) {
        if number.exact && (-1000..=1000).contains(&number.exponent) {
            self.push_short_number(number.negative, number.mantissa, number.exponent);
        } else {
            self.push_number_text(text);
        }
    }

    #[inline]
    fn push_short_number(&mut self, negative: bool, mut mantissa: u64, mut exponent: i32) {
        if mantissa == 0 {
            return self.bytes.extend_from_slice(&[NUMBER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        while mantissa.is_multiple_of(10) {
            mantissa /= 10;
            exponent += 1;
        }
        let [e0, e1, e2, e3] = exponent.to_le_bytes();
        let [m0, m1, m2, m3, m4, m5, m6, m7] = mantissa.to_le_bytes();
        let sign = u8::from(negative);
        self.bytes
            .extend_from_slice(&[NUMBER, sign, e0, e1, e2, e3, m0, m1, m2, m3, m4, m5, m6, m7]);
    }

    #[cold]
    fn push_number_text(&mut self, text: &[u8]) {
        let Some(number) = Decimal::parse(text) else { return };
        let digits = number.digit_count();
        if digits <= MAX_DIGITS {
            let mantissa = number.digits().fold(0, |all, digit| all * 10 + u64::from(digit));
            let places = i32::try_from(digits).unwrap_or_default();
            return self.push_short_number(number.is_negative(), mantissa, number.point() - places);
        }
        self.bytes.extend_from_slice(&[LONG_NUMBER, u8::from(number.is_negative())]);
        self.bytes.extend_from_slice(&number.point().to_le_bytes());
        self.bytes.extend(number.digits().map(|digit| b'0' + digit));
        self.bytes.push(END);
    }

    /// Appends the value whose text is `text`. Returns false if it is not JSON.
    pub(super) fn push_text(&mut self, text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text, 0);
        self.push_value(&mut scanner, MAX_DEPTH).is_some()
    }

    /// Appends the members of the object at `start` except those that are null. Returns `None`
    /// unless an object there ends the line or, with `only`, all of `bytes`.
    pub(super) fn push_event(&mut self, bytes: &[u8], start: usize, only: bool) -> Option<()> {
        let mut scanner = Scanner::new(bytes, start);
        scanner.skip_space();
        if scanner.peek() != Some(b'{') {
            return None;
        }
        self.push_members(&mut scanner, MAX_DEPTH - 1, true)?;
        scanner.is_at_end(only).then_some(())
    }

    /// Appends a value that a reader has found in `text`. Returns false if it is missing, null, or
    /// empty in CSV.
    pub(super) fn push_found(&mut self, value: &Value, text: &[u8]) -> bool {
        match value.kind {
            Kind::Array | Kind::Object => self.push_text(value.text(text)),
            _ => self.push_scalar(value, text),
        }
    }

    /// Appends the value at the scanner's position; arrays and objects may be nested `depth`
    /// levels.
    fn push_value(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Option<()> {
        match scanner.peek() {
            Some(b'{') => {
                let depth = depth.checked_sub(1)?;
                self.bytes.push(OBJECT);
                self.push_members(scanner, depth, false)?;
                self.bytes.push(END);
            }
            Some(b'[') => {
                let depth = depth.checked_sub(1)?;
                self.bytes.push(ARRAY);
                self.push_elements(scanner, depth)?;
                self.bytes.push(END);
            }
            _ => {
                let mut value = Value::MISSING;
                scanner.value(0, &mut value)?;
                if !self.push_scalar(&value, scanner.bytes) {
                    self.bytes.push(NULL);
                }
            }
        }
        Some(())
    }

    fn push_elements(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Option<()> {
        scanner.at += 1;
        scanner.skip_space();
        if scanner.peek() == Some(b']') {
            scanner.at += 1;
            return Some(());
        }
        loop {
            self.push_value(scanner, depth)?;
            scanner.skip_space();
            match scanner.peek() {
                Some(b',') => scanner.at += 1,
                Some(b']') => {
                    scanner.at += 1;
                    return Some(());
                }
                _ => return None,
            }
            scanner.skip_space();
        }
    }

    /// Appends the members of the object at the scanner's position in canonical order. For a
    /// repeated name, the last one is used.
    fn push_members(
        &mut self,
        scanner: &mut Scanner<'_>,
        depth: u32,
        skip_null: bool,
    ) -> Option<()> {
        let first = self.members.len();
        scanner.at += 1;
        scanner.skip_space();
        if scanner.peek() == Some(b'}') {
            scanner.at += 1;
            return Some(());
        }
        loop {
            self.push_member(scanner, depth)?;
            scanner.skip_space();
            match scanner.peek() {
                Some(b',') => scanner.at += 1,
                Some(b'}') => break,
                _ => return None,
            }
            scanner.skip_space();
        }
        scanner.at += 1;
        self.order(first, skip_null);
        self.members.truncate(first);
        Some(())
    }

    #[inline]
    fn push_member(&mut self, scanner: &mut Scanner<'_>, depth: u32) -> Option<()> {
        let start = self.bytes.len();
        let name_start = scanner.at + 1;
        let (kind, end) = scanner.name()?;
        if kind == Kind::String {
            push_plain_str(&mut self.bytes, scanner.bytes, name_start, end);
        } else {
            self.push_escaped(scanner.bytes.get(name_start..end).unwrap_or_default());
        }
        let name_end = self.bytes.len();
        self.push_value(scanner, depth)?;
        self.members.push(Member { start, name_end, end: self.bytes.len() });
        Some(())
    }

    /// Sorts the members from `first` on by name and removes those that do not count.
    fn order(&mut self, first: usize, skip_null: bool) {
        let Self { bytes, members, .. } = self;
        let members = members.get_mut(first..).unwrap_or_default();
        let name = |member: &Member| bytes.get(member.start..member.name_end).unwrap_or_default();
        let is_null = |member: &Member| {
            skip_null
                && member.end == member.name_end + 1
                && bytes.get(member.name_end) == Some(&NULL)
        };
        let in_order = members.is_sorted_by(|a, b| name(a) < name(b));
        if in_order && !members.iter().any(is_null) {
            return;
        }
        // The last member of a repeated name is sorted first and kept.
        crate::util::sort::by(members, |a, b| name(a).cmp(name(b)).then(b.start.cmp(&a.start)));
        let (Some(start), end) = (members.iter().map(|member| member.start).min(), bytes.len())
        else {
            return;
        };
        let mut before: Option<Member> = None;
        let mut kept = Vec::with_capacity(end - start);
        for member in members.iter() {
            let repeated = before.is_some_and(|before| name(&before) == name(member));
            before = Some(*member);
            if !repeated && !is_null(member) {
                kept.extend_from_slice(bytes.get(member.start..member.end).unwrap_or_default());
            }
        }
        bytes.truncate(start);
        bytes.extend_from_slice(&kept);
    }
}
