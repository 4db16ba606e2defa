use super::*;
use crate::spec::OnNullKey;

fn number(text: &str) -> Vec<u8> {
    let mut key = Vec::new();
    assert!(push_number_text(&mut key, text.as_bytes()));
    key
}

fn string(text: &str) -> Vec<u8> {
    let mut key = Vec::new();
    push_str(&mut key, text);
    key
}

#[test]
fn encoding_has_the_documented_layout() {
    assert_eq!(string("a\0\u{1}b"), b"\x04a\x01\x01\x01\x02b\x00");
    assert_eq!(number("0"), [3, 1]);
    assert_eq!(number("-0.0"), [3, 1]);
    assert_eq!(number("1"), [3, 2, 129, 11, 0]);
    assert_eq!(number("123"), [3, 2, 131, 13, 31, 0]);
    assert_eq!(number("-123"), [3, 0, !131, !13, !31, 0xff]);
    assert_eq!(number("1e200"), [3, 2, 0xff, 0x80, 0, 0, 201, 11, 0]);
    assert_eq!(number("1e-200"), [3, 2, 0, 0x7f, 0xff, 0xff, 0x39, 11, 0]);
}

#[test]
fn byte_order_is_value_order() {
    let mut keys = vec![vec![FALSE], vec![TRUE]];
    let numbers = [
        "-1e999999999999",
        "-1e300",
        "-1e126",
        "-1e125",
        "-124",
        "-123.5",
        "-123",
        "-2",
        "-1",
        "-0.1",
        "-1e-300",
        "0",
        "1e-999999999999",
        "1e-300",
        "1e-130",
        "1e-129",
        "1e-128",
        "0.1",
        "0.15",
        "1",
        "1.01",
        "9007199254740992",
        "9007199254740993",
        "1e125",
        "1e126",
        "1e127",
        "1e300",
    ];
    keys.extend(numbers.map(number));
    keys.extend(
        ["", "\0", "\0a", "\u{1}", "\u{2}", "a", "a\0", "a\0b", "aa", "b", "é", "\u{10ffff}"]
            .map(string),
    );
    keys.push(vec![5]);
    assert!(keys.is_sorted_by(|a, b| a < b));
    for (a, b) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
        assert!(a == b || !b.starts_with(a), "{a:?} is a prefix of {b:?}");
    }
}

#[test]
fn fields_round_trip() {
    let mut key = Vec::new();
    push_str(&mut key, "svc \"1\"");
    push_bool(&mut key, true);
    assert!(push_number_text(&mut key, b"-12.50"));
    assert!(push_f64(&mut key, 1e21));
    push_str(&mut key, "a\0b");
    assert!(push_f64(&mut key, -0.0));
    let mut json = Vec::new();
    for field in fields(&key) {
        field.write_json(&mut json);
        json.push(b' ');
    }
    let expected = br#""svc \"1\"" true -12.5 1e+21 "a\u0000b" 0 "#;
    assert_eq!(String::from_utf8_lossy(&json), String::from_utf8_lossy(expected));
    assert!(validate(&key, 6));
    assert!(!validate(&key, 5));
    assert!(!validate(&key, 7));
    assert!(validate(&[], 0));
    let Some(KeyField::Number(number)) = fields(&key).nth(2) else { panic!("a number") };
    assert_eq!(number.to_f64(), -12.5);
}

#[test]
fn null_is_a_value_only_of_keys_that_keep_it() {
    let mut key = Vec::new();
    push_str(&mut key, "a");
    push_null(&mut key);
    assert!(validate_with(&key, 2, OnNullKey::Keep) && is_encoded(&key, 2));
    assert!(!validate_with(&key, 2, OnNullKey::Drop) && !validate(&key, 2));
    assert_eq!(text(&key), "a,");
    assert_eq!(fields(&key).last(), Some(KeyField::Null));
}

#[test]
fn non_numbers_are_not_appended() {
    let mut key = Vec::new();
    assert!(!push_f64(&mut key, f64::NAN));
    assert!(!push_f64(&mut key, f64::INFINITY));
    assert!(!push_number_text(&mut key, b"abc"));
    assert!(key.is_empty());
}

#[test]
fn is_encoded_allows_numbers_that_validate_rejects() {
    for text in ["1e400", "0.1234567890123456789"] {
        let key = number(text);
        assert!(is_encoded(&key, 1) && !validate(&key, 1), "{text}");
    }
}

#[test]
fn validate_rejects_malformed_bytes() {
    for bytes in [
        &[0][..],
        &[6],
        &[5],
        &[3],
        &[3, 3],
        &[3, 2],
        &[3, 2, 129],
        &[3, 2, 129, 0],                        // no digits
        &[3, 2, 129, 11],                       // no end
        &[3, 2, 129, 2, 0],                     // a leading zero
        &[3, 2, 129, 11, 1, 0],                 // trailing zeros
        &[3, 2, 129, 101, 0],                   // not a pair of digits
        &[3, 2, 0xff, 0x80, 0, 0, 1, 11, 0],    // a short point written long
        &[3, 2, 0xff, 0xff, 0xff, 0, 0, 11, 0], // beyond the largest point
        &[4, b'a'],
        &[4, 0xff, 0],
        &[4, 0, 0],
        &[4, 1, 0],
        &[4, 1, 3, 0],
        &[4, 1, 1],
    ] {
        assert!(!validate(bytes, 1), "{bytes:?}");
    }
}

#[cfg(feature = "text")]
#[test]
fn push_scaled_matches_push_number_text() {
    let mantissas = [0, 1, 9, 10, 99, 100, 101, 12_345, 1_700_000_000_123, u64::MAX, u64::MAX - 5];
    let exponents = [-400, -200, -130, -20, -3, -1, 0, 1, 2, 19, 107, 126, 127, 400];
    for (mantissa, exponent) in
        mantissas.iter().flat_map(|m| exponents.iter().map(move |e| (*m, *e)))
    {
        for (negative, sign) in [(false, ""), (true, "-")] {
            let mut key = Vec::new();
            push_scaled(&mut key, negative, mantissa, exponent);
            assert_eq!(key, number(&format!("{sign}{mantissa}e{exponent}")));
        }
    }
}
