//! Merged or incrementally updated parts of a window equal the window computed at once.

use std::collections::VecDeque;

use super::running_values::RunningValues;
use super::value_range::ValueRange;
use super::value_set::ValueSet;
use super::{ALWAYS_EXACT, PercentileState};
use crate::aggregates::slots::Accumulator;
use crate::data::stats::StageStats;
use crate::snapshot::{Kind, write_section};
use crate::spec::Percentile;

/// A value, by the number of its part and its position in the stream.
type Shape = fn(u64, u64) -> f64;

fn spread(at: u64) -> u64 {
    at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}

fn number(at: u64, modulus: u64) -> f64 {
    f64::from(u32::try_from(spread(at) % modulus).unwrap())
}

const SHAPES: [Shape; 9] = [
    |_, at| number(at, 1_000_000) / 1e3 - 300.0,
    |_, at| number(at, 40) - 20.0,
    |_, at| number(at, 300) * 0.5,
    // Many different values in few buckets.
    |_, at| 1000.0 + number(at, 600),
    |_, at| 1000.0 + number(at, 5_000) / 1e3,
    // More octaves than are kept.
    |_, at| f64::from_bits((spread(at) % 900 + 100) << 52) * if at % 3 == 0 { -1.0 } else { 1.0 },
    |_, at| f64::from(u32::try_from(at).unwrap()),
    |_, at| -1.0 / (1.0 + number(at, 3_000)),
    // Few and many different values in turn.
    |part, at| number(at, if part / 12 % 2 == 0 { 30 } else { 100_000 }),
];

fn part(shape: Shape, part: u64, count: u64) -> ValueSet {
    set((0..count).map(|at| shape(part, part * 1_000 + at) + 0.0))
}

fn bytes(set: &ValueSet) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_section(&mut bytes, Kind::Stage, |writer| set.save(writer));
    bytes
}

#[test]
fn running_values_equal_the_merged_parts_of_the_window() {
    let asked: Vec<Percentile> =
        ["0", "1", "50", "77.7", "95", "100"].map(|text| text.parse().unwrap()).to_vec();
    for (shape, counts) in SHAPES.iter().flat_map(|shape| {
        [[3, 1, 7, 0], [70, 40, 2, 90], [0, 600, 900, 0], [130, 130, 130, 700]]
            .map(|counts| (*shape, counts))
    }) {
        let (mut window, mut running) = (VecDeque::new(), RunningValues::default());
        for at in 0..60_u64 {
            // Windows of up to 20 parts, then of fewer, then of more again.
            let length = if at % 30 < 20 { 20 } else { 5 };
            let next = part(shape, at, counts[usize::try_from(at % 4).unwrap()]);
            running.add(&next);
            window.push_back(next);
            while window.len() > length {
                running.remove(&window.pop_front().unwrap());
            }
            if running.needs_recount() {
                running = RunningValues::from_sets(window.iter());
            }
            let (mut whole, mut range) = (ValueSet::EMPTY, ValueRange::EMPTY);
            for part in &window {
                whole.merge(part, ALWAYS_EXACT);
                range.merge(&ValueRange::of_set(part));
            }
            assert_eq!(bytes(&running.to_set(range)), bytes(&whole));
            let (mut stats, mut found) = (StageStats::default(), vec![f64::NAN; asked.len()]);
            whole.seal(&asked, &mut stats);
            assert_eq!(running.percentiles(&asked, range, &mut found), stats.folded_values);
            if !running.is_empty() {
                let due: Vec<f64> =
                    asked.iter().map(|percentile| whole.percentile(*percentile, &asked)).collect();
                assert_eq!(found, due);
            }
        }
    }
}

fn set(values: impl Iterator<Item = f64>) -> ValueSet {
    let mut set = ValueSet::EMPTY;
    values.for_each(|value| set.add(value, ALWAYS_EXACT));
    set
}

#[test]
fn merged_parts_equal_the_whole() {
    let shapes: [fn(u32) -> f64; 4] = [
        |at| f64::from(at * 7919 % 1013) - 300.0,
        |at| f64::from(at % 40),
        |at| f64::from(at % 300) * 0.5,
        |at| f64::from_bits((u64::from(at % 900) + 100) << 52),
    ];
    for value in shapes {
        for (count, cut) in [
            (0, 0),
            (7, 3),
            (512, 200),
            (513, 1),
            (600, 600),
            (1500, 700),
            (3000, 40),
            (3000, 1400),
        ] {
            let whole = set((0..count).map(value));
            for (left, right) in [(0..cut, cut..count), (cut..count, 0..cut)] {
                let mut merged = set(left.map(value));
                merged.merge(&set(right.map(value)), 512);
                assert_eq!(bytes(&merged), bytes(&whole), "{count} {cut}");
            }
        }
    }
}
