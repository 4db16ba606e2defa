//! The aggregation `distinct`: exact up to 512 different values, estimated by HyperLogLog beyond.

use foldhash::fast::FixedState;
use hyperloglockless::HyperLogLog;

use super::column::State;
use super::registry::{Definition, Input};
use super::slots::{Accumulator, FieldAccumulator};
use crate::data::frame::Order;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};

pub(super) const DISTINCT: Definition =
    Definition { input: Input::Values, ..Definition::new("distinct", State::Distinct) };

/// Maximum number of different values that are counted exactly.
const MAX_EXACT: usize = 512;
/// Bytes counted for a value that is counted exactly.
const HASH_BYTES: u64 = 16;
/// Base-2 logarithm of the number of registers: a standard error of 1.04 / sqrt(4096), 1.6 %.
const PRECISION: u8 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// Maximum value of a register.
const MAX_REGISTER: u8 = 65;

/// The number of different values. Variant and content depend only on the set of values, not on
/// their order.
#[derive(Clone)]
pub(super) enum Distinct {
    /// The hashes of all different values.
    Exact(HashTable),
    Estimated(Box<HyperLogLog<FixedState>>),
}

/// A set of hashes: an open-addressing table indexed by their low bits, at most about half full.
#[derive(Clone)]
pub(super) struct HashTable {
    /// Length 0 or a power of two; [`EMPTY_ENTRY`] marks a free entry.
    table: Vec<u64>,
    count: usize,
}

/// Marks a free entry; no value has this hash.
const EMPTY_ENTRY: u64 = 0;

impl HashTable {
    const EMPTY: Self = Self { table: Vec::new(), count: 0 };

    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.table.iter().copied().filter(|hash| *hash != EMPTY_ENTRY)
    }

    fn contains(&self, hash: u64) -> bool {
        let last = self.table.len().wrapping_sub(1);
        let mut index = usize::try_from(hash & last as u64).unwrap_or(0);
        while let Some(known) = self.table.get(index).filter(|known| **known != EMPTY_ENTRY) {
            if *known == hash {
                return true;
            }
            index = (index + 1) & last;
        }
        false
    }

    #[inline]
    fn add(&mut self, hash: u64) {
        if self.table.is_empty() || self.count * 2 > self.table.len() {
            self.grow();
        }
        let last = self.table.len() - 1;
        let mut index = usize::try_from(hash & last as u64).unwrap_or(0);
        while let Some(known) = self.table.get_mut(index).filter(|known| **known != hash) {
            if *known == EMPTY_ENTRY {
                *known = hash;
                self.count += 1;
                return;
            }
            index = (index + 1) & last;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let larger = Self { table: vec![EMPTY_ENTRY; (self.table.len() * 2).max(8)], count: 0 };
        let known = core::mem::replace(self, larger);
        known.iter().for_each(|hash| self.add(hash));
    }
}

impl Distinct {
    #[inline]
    fn add(&mut self, hash: u64) {
        match self {
            Self::Estimated(registers) => registers.insert_hash(hash),
            Self::Exact(hashes) => {
                hashes.add(hash);
                if hashes.count > MAX_EXACT {
                    *self = Self::estimated(hashes);
                }
            }
        }
    }

    /// Returns the HyperLogLog registers of more than [`MAX_EXACT`] hashes.
    #[cold]
    fn estimated(hashes: &HashTable) -> Self {
        // Values are inserted as hashes: this hasher is never called.
        let mut registers = HyperLogLog::with_hasher(PRECISION, FixedState::default());
        hashes.iter().for_each(|hash| registers.insert_hash(hash));
        Self::Estimated(Box::new(registers))
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn count(&self) -> f64 {
        match self {
            Self::Exact(hashes) => hashes.count as f64,
            // Rebuilt from the registers, because the crate's running sum depends on rounding, and
            // so on the order of values.
            Self::Estimated(known) => of_registers(known.iter().collect()).raw_count().round(),
        }
    }
}

/// Returns a HyperLogLog with the given registers.
#[expect(clippy::cast_precision_loss, reason = "powers of two")]
fn of_registers(registers: Box<[u8]>) -> HyperLogLog<FixedState> {
    let mut counts = [0_u32; MAX_REGISTER as usize + 1];
    for register in &registers {
        if let Some(count) = counts.get_mut(usize::from(*register)) {
            *count += 1;
        }
    }
    let zeros = counts.first().map_or(0, |count| *count as usize);
    // In descending order, so that the small terms are added first.
    let mut sum = 0.0;
    for (register, count) in counts.into_iter().enumerate().rev() {
        sum += f64::from(count) / (1_u128 << register) as f64;
    }
    HyperLogLog::from_parts(registers, FixedState::default(), zeros, sum)
}

impl Accumulator for Distinct {
    const EMPTY: Self = Self::Exact(HashTable::EMPTY);

    fn merge(&mut self, later: &Self) {
        match (&mut *self, later) {
            (Self::Exact(hashes), _) if hashes.count == 0 => *self = later.clone(),
            (_, Self::Exact(more)) => more.iter().for_each(|hash| self.add(hash)),
            (Self::Exact(hashes), Self::Estimated(_)) => {
                let hashes = core::mem::replace(hashes, HashTable::EMPTY);
                *self = later.clone();
                hashes.iter().for_each(|hash| self.add(hash));
            }
            (Self::Estimated(registers), Self::Estimated(more)) => {
                // Cannot fail: both have the same number of registers.
                let _ = registers.union(more);
            }
        }
    }

    #[inline]
    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        for state in states {
            match state {
                Self::Exact(hashes) => {
                    writer.u32(0);
                    let mut sorted: Vec<u64> = hashes.iter().collect();
                    crate::util::sort::unsigned(&mut sorted);
                    writer.length(sorted.len());
                    writer.u64s(sorted.into_iter());
                }
                Self::Estimated(registers) => {
                    writer.u32(1);
                    writer.raw(registers.parts().0);
                }
            }
        }
    }

    #[inline]
    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        (0..count).map(|_| load(reader)).collect()
    }
}

#[inline]
fn load(reader: &mut SectionReader<'_>) -> Result<Distinct, SnapshotError> {
    const DAMAGED: SnapshotError =
        SnapshotError::Damaged("the state of a distinct count is inconsistent");
    match reader.u32()? {
        0 => {
            let length = reader.length()?;
            let hashes: Vec<u64> = reader.u64s(length)?.collect();
            let ascend = hashes.is_sorted_by(|a, b| a < b);
            if !ascend || length > MAX_EXACT || hashes.first() == Some(&EMPTY_ENTRY) {
                return Err(DAMAGED);
            }
            let mut exact = HashTable::EMPTY;
            hashes.into_iter().for_each(|hash| exact.add(hash));
            Ok(Distinct::Exact(exact))
        }
        1 => {
            let registers = reader.raw(REGISTERS)?;
            if registers.iter().any(|register| *register > MAX_REGISTER) {
                return Err(DAMAGED);
            }
            Ok(Distinct::Estimated(Box::new(of_registers(registers.into()))))
        }
        _ => Err(DAMAGED),
    }
}

impl FieldAccumulator for Distinct {
    const STATES: &[State] = &[State::Distinct];
    const SLOT_BYTES: u64 = 32;
    const MERGES_IN_ANY_ORDER: bool = true;
    const OWNS_HEAP: bool = true;
    const MAX_GROWTH: u64 = HASH_BYTES;

    fn add(accumulators: &mut [Self], slots: &[u32], values: &[f64], _: Order<'_>) {
        for (slot, value) in slots.iter().zip(values) {
            if value.is_nan() {
                continue;
            }
            if let Some(distinct) = accumulators.get_mut(*slot as usize) {
                distinct.add(hash(*value));
            }
        }
    }

    fn result(&self, _: &WindowOutput) -> f64 {
        self.count()
    }

    fn variable_bytes(&self) -> u64 {
        match self {
            Self::Exact(hashes) => HASH_BYTES * hashes.count as u64,
            Self::Estimated(_) => REGISTERS as u64,
        }
    }

    fn grows(&self, value: f64) -> bool {
        match self {
            Self::Exact(hashes) => hashes.count < MAX_EXACT && !hashes.contains(hash(value)),
            Self::Estimated(_) => false,
        }
    }
}

/// Returns the hash of a value: SplitMix64 (Steele, Lea and Flood 2014) of its bits, with −0 as 0.
///
/// The hash is the same on every machine, so that partials from anywhere can be merged. It is a
/// bijection, but for one pair of values that share a hash.
fn hash(value: f64) -> u64 {
    let mut bits = (value + 0.0).to_bits().wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits ^ (bits >> 31)).max(EMPTY_ENTRY + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{HEADER_BYTES, Kind, write_section};

    fn distinct(values: impl Iterator<Item = u32>) -> Distinct {
        let mut distinct = Distinct::EMPTY;
        values.for_each(|value| distinct.add(hash(f64::from(value) * 0.37)));
        distinct
    }

    fn bytes_of(distinct: &Distinct) -> Vec<u8> {
        let mut bytes = Vec::new();
        let states = [distinct.clone()];
        write_section(&mut bytes, Kind::Stage, |writer| Distinct::save(states.into_iter(), writer));
        bytes
    }

    #[test]
    fn hashes_are_the_same_in_every_runtime() {
        assert_eq!(hash(0.0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(hash(-0.0), hash(0.0));
        assert_eq!(hash(1.0), 0x88D7_C35B_BBF3_EDED);
        assert_eq!(hash(-2.5e300), 0xD227_4233_5BDC_66D6);
    }

    #[test]
    fn up_to_512_values_are_exact_and_more_within_three_standard_errors() {
        for count in [0, 1, 7, 511, 512] {
            assert_eq!(distinct((0..count).chain(0..count)).count(), f64::from(count));
        }
        for count in [513, 600, 1000, 5000, 20_000, 100_000, 1_000_000] {
            let found = distinct(0..count).count();
            let error = found / f64::from(count) - 1.0;
            assert!(error.abs() < 3.0 * 1.04 / 64.0, "{count}: {found}");
        }
    }

    #[test]
    fn memory_stays_within_its_bound() {
        let bytes = |distinct: &Distinct| match distinct {
            Distinct::Exact(hashes) => hashes.table.capacity() * size_of::<u64>(),
            Distinct::Estimated(registers) => registers.len(),
        };
        let of = |count: u32| bytes(&distinct((0..count).chain(0..count)));
        assert_eq!((of(1), of(512), of(513)), (64, 8192, 4096));
        assert!((0..600).all(|count| of(count) <= 8192));
    }

    #[test]
    fn merged_parts_equal_the_whole() {
        for (count, cut) in
            [(0, 0), (9, 4), (512, 1), (513, 256), (3000, 2900), (3000, 100), (9000, 4000)]
        {
            let whole = distinct(0..count);
            let shared = cut.min(50);
            for (left, right) in [(0..cut, cut - shared..count), (cut - shared..count, 0..cut)] {
                let mut merged = distinct(left);
                merged.merge(&distinct(right));
                assert_eq!(bytes_of(&merged), bytes_of(&whole));
                assert_eq!(merged.count().to_bits(), whole.count().to_bits());
            }
        }
    }

    #[test]
    fn estimate_does_not_depend_on_order_to_the_last_bit() {
        let hashes: Vec<u64> = (0..60_u64)
            .map(|shift| (shift % 16) << 60 | 1 << shift)
            .chain((1..600).map(|at| at << 52))
            .collect();
        let of = |hashes: &mut dyn Iterator<Item = &u64>| {
            let mut distinct = Distinct::EMPTY;
            hashes.for_each(|hash| distinct.add(*hash));
            distinct
        };
        let (up, down) = (of(&mut hashes.iter()), of(&mut hashes.iter().rev()));
        assert!(matches!(up, Distinct::Estimated(_)));
        assert_eq!(bytes_of(&up), bytes_of(&down));
        assert_eq!(up.count().to_bits(), down.count().to_bits());
    }

    #[test]
    fn counts_round_trip_and_damaged_bytes_do_not_panic() {
        for count in [0, 100, 2000] {
            let saved = distinct(0..count);
            let mut bytes = bytes_of(&saved);
            let payload = &mut bytes[HEADER_BYTES..];
            let loaded = load(&mut SectionReader::new(payload)).unwrap();
            assert_eq!(loaded.count(), saved.count());
            for at in (0..payload.len()).step_by(61) {
                let before = payload[at];
                for changed in [before ^ 1, before ^ 0x80, 0, 0xff] {
                    payload[at] = changed;
                    if let Ok(mut distinct) = load(&mut SectionReader::new(payload)) {
                        distinct.merge(&saved);
                        assert!(distinct.count().is_finite());
                    }
                }
                payload[at] = before;
            }
        }
    }
}
