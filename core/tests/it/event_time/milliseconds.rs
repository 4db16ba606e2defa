//! Columns of milliseconds are read like single values, bit for bit.

use proptest::prelude::*;
use stream_processor_core::time::{from_ms_f64, from_ms_in_place};

const NONE: i64 = i64::MAX;

fn assert_as_one_by_one(list: &[f64]) {
    let mut words: Vec<u64> = list.iter().map(|ms| ms.to_bits()).collect();
    from_ms_in_place(&mut words, NONE);
    for (ms, word) in list.iter().zip(words) {
        assert_eq!(word.cast_signed(), from_ms_f64(*ms).unwrap_or(NONE), "{ms:?}");
    }
}

/// Generates whole numbers of any size up to 2^53, and the limits of the fast path.
fn whole() -> impl Strategy<Value = f64> {
    let near = |end: i64| end - 3..=end + 3;
    // The year 2020, and 2^51 microseconds on both sides.
    let quick = [-673_963_013_685, 1_577_836_800_000, 3_829_636_613_685];
    let ends = prop_oneof![
        near(0),
        prop::sample::select(quick.to_vec()).prop_flat_map(near),
        near(1 << 51),
        near(-(1 << 51)),
        near(8_640_000_000_000_000)
    ];
    let any = (0..=53_u32).prop_flat_map(|bits| -(1_i64 << bits)..=1 << bits);
    prop_oneof![ends, any].prop_map(|whole| whole as f64)
}

/// Generates times of the usual range.
fn usual() -> impl Strategy<Value = f64> {
    (1_600_000_000_000_i64..1_800_000_000_000).prop_map(|whole| whole as f64)
}

fn number() -> impl Strategy<Value = f64> {
    let bits = any::<u64>().prop_map(f64::from_bits);
    let fraction = (whole(), 0..=8_000_u32).prop_map(|(ms, part)| ms + f64::from(part) / 8_000.0);
    let edges = [0.0005, 0.000_49, -0.0005, -0.0, 8.64e15, -8.64e15, f64::NAN, f64::INFINITY];
    prop_oneof![whole(), fraction, bits, prop::sample::select(edges.to_vec())]
}

proptest! {
    #[test]
    fn any_numbers_are_read_like_single_values(list in prop::collection::vec(number(), 0..40)) {
        assert_as_one_by_one(&list);
    }

    #[test]
    fn whole_numbers_are_read_like_single_values(list in prop::collection::vec(whole(), 0..40)) {
        assert_as_one_by_one(&list);
    }

    #[test]
    fn one_unusual_number_among_many_is_read_like_a_single_value(
        mut list in prop::collection::vec(usual(), 1..1_500),
        other in number(),
        at in any::<prop::sample::Index>(),
    ) {
        assert_as_one_by_one(&list);
        *at.get_mut(&mut list) = other;
        assert_as_one_by_one(&list);
    }
}
