//! Numbers and times: printed as ECMAScript prints them, read exactly.

use proptest::prelude::*;
use stream_processor_core::number::{Decimal, parse_f64, write_f64};
use stream_processor_core::time::{
    MAX_TIME, MIN_TIME, TimeError, TimeUnit, from_ms_f64, parse_decimal_time, parse_rfc3339,
    write_rfc3339,
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        any::<i64>().prop_map(|number| number as f64),
        (-100_000_i32..100_000).prop_map(|number| f64::from(number) / 100.0),
        (-60_i32..60).prop_map(|exponent| format!("1e{exponent}").parse().unwrap()),
    ]
}

/// Generates the text of a JSON number.
fn number_text() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?"
}

fn rescaled(mantissa: i64, zeros: usize, exponent: i32) -> String {
    format!("{mantissa}{}e{}", "0".repeat(zeros), exponent - zeros as i32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn doubles_print_like_ryu_js_and_round_trip(value in double()) {
        let text = written(|out| write_f64(value, out));
        if value.is_finite() {
            prop_assert_eq!(text.as_str(), ryu_js::Buffer::new().format(value).to_owned());
            prop_assert_eq!(parse_f64(text.as_bytes()), Some(value));
            // The exact decimal of a printed double has the same layout.
            prop_assert_eq!(written(|out| Decimal::parse(text.as_bytes()).unwrap().write(out)), text);
        } else {
            prop_assert_eq!(text, "null");
        }
    }

    #[test]
    fn numbers_are_read_like_std(text in number_text()) {
        let expected: f64 = text.parse().unwrap();
        let expected = Some(expected).filter(|value| value.is_finite()).map(f64::to_bits);
        prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), expected);
    }

    #[test]
    fn decimals_are_equal_if_their_values_are(
        a: i64, b in -1_000_i64..1_000, exponent in -30_i32..30, zeros in 0_usize..20,
    ) {
        let parse = |text: &str| text.to_owned();
        let (first, second) = (rescaled(a, 0, exponent), parse(&rescaled(a, zeros, exponent)));
        let (first, second) = (Decimal::parse(first.as_bytes()), Decimal::parse(second.as_bytes()));
        prop_assert_eq!(first, second);
        prop_assert!(first.is_some());
        let (low, high) = (i128::from(a) * 1000, i128::from(a) * 1000 + i128::from(b));
        let (low_text, high_text) = (low.to_string(), format!("{high}.000e0"));
        let order = Decimal::parse(low_text.as_bytes()).cmp(&Decimal::parse(high_text.as_bytes()));
        prop_assert_eq!(order, low.cmp(&high));
    }

    #[test]
    fn decimals_print_a_text_of_the_same_value(text in number_text()) {
        let decimal = Decimal::parse(text.as_bytes()).unwrap();
        let printed = written(|out| decimal.write(out));
        prop_assert_eq!(Decimal::parse(printed.as_bytes()), Some(decimal));
    }

    #[test]
    fn times_round_trip(time in MIN_TIME..=MAX_TIME, recent in 0_i64..4_000_000_000_000_000) {
        for time in [time, recent, recent / 1_000 * 1_000, recent / 1_000_000 * 1_000_000] {
            let text = written(|out| write_rfc3339(time, out));
            prop_assert_eq!(parse_rfc3339(text.as_bytes()), Ok(time), "{}", text);
        }
    }

    #[test]
    fn printed_times_are_ordered_as_text(a in 0_i64..250_000_000_000_000_000, b in 0_i64..250_000_000_000_000_000) {
        let seconds = |time: i64| written(|out| write_rfc3339(time / 1_000_000 * 1_000_000, out));
        prop_assert_eq!(seconds(a).cmp(&seconds(b)), (a / 1_000_000).cmp(&(b / 1_000_000)));
    }

    #[test]
    fn offsets_and_fractions_shift_times(
        time in -60_000_000_000_i64..200_000_000_000, minutes in -1_439_i64..=1_439, fraction in "[0-9]{1,12}",
    ) {
        let local = written(|out| write_rfc3339((time + minutes * 60) * 1_000_000, out));
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        let text = format!("{}.{fraction}{sign}{hours:02}:{rest:02}", local.trim_end_matches('Z'));
        let micros: i64 = format!("{fraction:0<6}")[..6].parse().unwrap();
        prop_assert_eq!(parse_rfc3339(text.as_bytes()), Ok(time * 1_000_000 + micros), "{}", text);
    }

    #[test]
    fn decimal_times_are_floored_exactly(mantissa: i64, places in 0_u32..20, unit in 0_usize..4) {
        let (unit, per_micro, per_unit) = [
            (TimeUnit::S, 1, 1_000_000), (TimeUnit::Ms, 1, 1_000), (TimeUnit::Us, 1, 1), (TimeUnit::Ns, 1_000, 1),
        ][unit];
        let text = format!("{mantissa}e-{places}");
        let exact = (i128::from(mantissa) * per_unit).div_euclid(10_i128.pow(places) * per_micro);
        let expected = match i64::try_from(exact) {
            Ok(time) if (MIN_TIME..=MAX_TIME).contains(&time) => Ok(time),
            _ => Err(TimeError::OutOfRange),
        };
        prop_assert_eq!(parse_decimal_time(text.as_bytes(), unit), expected, "{}", text);
    }

    #[test]
    fn javascript_milliseconds_are_rounded_to_the_nearest(time in -4_000_000_000_000_000_i64..4_000_000_000_000_000) {
        prop_assert_eq!(from_ms_f64(time as f64 / 1_000.0), Ok(time));
    }

    #[test]
    fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "[-+0-9TZtz:. eE]{0,40}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = parse_rfc3339(bytes);
            let _ = parse_decimal_time(bytes, TimeUnit::Ns);
            let _ = parse_f64(bytes);
            let _ = Decimal::parse(bytes);
        }
    }
}
