//! Encoded keys: their bytes are ordered like their values, are self-delimiting, and decode to the
//! same values.

use core::cmp::Ordering;

use proptest::prelude::*;
use stream_processor_core::key::{
    KeyField, fields, push_bool, push_f64, push_null, push_number_text, push_str, validate,
};

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Bool(bool),
    /// mantissa · 10^exponent
    Number(i64, i32),
    String(String),
}

impl Field {
    fn push(&self, key: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => push_bool(key, *value),
            Self::Number(mantissa, exponent) => {
                assert!(push_number_text(key, format!("{mantissa}e{exponent}").as_bytes()));
            }
            Self::String(text) => push_str(key, text),
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        let rank = |field: &Self| match field {
            Self::Bool(_) => 0,
            Self::Number(..) => 1,
            Self::String(_) => 2,
        };
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Number(a, a_exponent), Self::Number(b, b_exponent)) => {
                let least = *a_exponent.min(b_exponent);
                let scaled = |mantissa: i64, exponent: i32| {
                    i128::from(mantissa) * 10_i128.pow((exponent - least).unsigned_abs())
                };
                scaled(*a, *a_exponent).cmp(&scaled(*b, *b_exponent))
            }
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

fn field() -> impl Strategy<Value = Field> {
    let mantissa = prop_oneof![-200_i64..200, any::<i64>()];
    prop_oneof![
        any::<bool>().prop_map(Field::Bool),
        (mantissa, -9_i32..9).prop_map(|(mantissa, exponent)| Field::Number(mantissa, exponent)),
        "[\u{0}\u{1}\u{2}abé😀]{0,4}".prop_map(Field::String),
    ]
}

/// Returns true if a number in ECMAScript's layout is valid in keys. It must be an integer within
/// the range of doubles, or the text that ECMAScript prints for the nearest double.
fn is_key_number(text: &str) -> bool {
    let value: f64 = text.parse().unwrap();
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap();
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let is_integer = exponent >= i64::try_from(fraction).unwrap();
    let mut buffer = ryu_js::Buffer::new();
    value.is_finite() && (is_integer || buffer.format_finite(value) == text)
}

/// Returns true if keys of events may contain the field.
fn is_allowed(field: &KeyField<'_>) -> bool {
    let mut text = Vec::new();
    field.write_text(&mut text);
    match field {
        KeyField::Number(_) => is_key_number(std::str::from_utf8(&text).unwrap()),
        KeyField::Null => false,
        KeyField::Bool(_) | KeyField::String(_) => true,
    }
}

fn encoded(key: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.iter().for_each(|field| field.push(&mut bytes));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn encoded_keys_are_ordered_like_their_values(
        a in prop::collection::vec(field(), 2),
        b in prop::collection::vec(field(), 2),
        same_first: bool,
    ) {
        let b = if same_first { vec![a[0].clone(), b[1].clone()] } else { b };
        let order = a[0].order(&b[0]).then_with(|| a[1].order(&b[1]));
        prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), order);
    }

    #[test]
    fn no_field_is_a_prefix_of_another(a in field(), b in field()) {
        let (a_bytes, b_bytes) = (encoded(std::slice::from_ref(&a)), encoded(std::slice::from_ref(&b)));
        prop_assert_eq!(b_bytes.starts_with(&a_bytes), a.order(&b) == Ordering::Equal);
    }

    #[test]
    fn fields_round_trip(key in prop::collection::vec(field(), 0..4)) {
        let bytes = encoded(&key);
        prop_assert_eq!(validate(&bytes, key.len()), fields(&bytes).all(|field| is_allowed(&field)));
        prop_assert!(!validate(&bytes, key.len() + 1));
        let mut again = Vec::new();
        for (field, back) in key.iter().zip(fields(&bytes)) {
            match (field, &back) {
                (Field::Bool(a), KeyField::Bool(b)) => prop_assert_eq!(a, b),
                (Field::String(a), KeyField::String(b)) => prop_assert_eq!(a, b),
                (Field::Number(mantissa, exponent), KeyField::Number(number)) => {
                    let expected: f64 = format!("{mantissa}e{exponent}").parse().unwrap();
                    prop_assert_eq!(number.to_f64(), expected);
                }
                _ => prop_assert!(false, "{:?} came back as {:?}", field, back),
            }
            let mut text = Vec::new();
            back.write_text(&mut text);
            match back {
                KeyField::Bool(value) => push_bool(&mut again, value),
                KeyField::Number(_) => prop_assert!(push_number_text(&mut again, &text)),
                KeyField::String(_) => push_str(&mut again, std::str::from_utf8(&text).unwrap()),
                KeyField::Null => push_null(&mut again),
            }
        }
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn encoded_key_is_valid_only_if_the_writer_can_produce_it(
        bytes in prop::collection::vec(prop_oneof![0_u8..6, 125_u8..=131, 250_u8..=255, any::<u8>()], 0..12),
    ) {
        let count = fields(&bytes).count();
        let mut again = Vec::new();
        for field in fields(&bytes) {
            let mut text = Vec::new();
            field.write_text(&mut text);
            match field {
                KeyField::Bool(value) => push_bool(&mut again, value),
                KeyField::Number(_) => prop_assert!(push_number_text(&mut again, &text)),
                KeyField::String(_) => push_str(&mut again, std::str::from_utf8(&text).unwrap()),
                KeyField::Null => push_null(&mut again),
            }
        }
        prop_assert!(bytes.starts_with(&again));
        let allowed = fields(&bytes).all(|field| is_allowed(&field));
        prop_assert_eq!(validate(&bytes, count), allowed && again == bytes);
    }

    #[test]
    fn every_double_and_every_large_integer_is_valid_in_keys(value: f64, integer: i128) {
        let mut double = Vec::new();
        if push_f64(&mut double, value) {
            prop_assert!(validate(&double, 1));
        }
        let mut exact = Vec::new();
        prop_assert!(push_number_text(&mut exact, integer.to_string().as_bytes()));
        prop_assert!(validate(&exact, 1));
    }

    #[test]
    fn doubles_are_encoded_as_ecmascript_prints_them(value: f64) {
        let (mut from_double, mut from_text) = (Vec::new(), Vec::new());
        prop_assert_eq!(push_f64(&mut from_double, value), value.is_finite());
        if value.is_finite() {
            push_number_text(&mut from_text, ryu_js::Buffer::new().format(value).as_bytes());
        }
        prop_assert_eq!(from_double, from_text);
    }
}
