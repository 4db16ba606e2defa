//! How many different values there are: counted while they are few, estimated by HyperLogLog when they are many.

use foldhash::fast::FixedState;
use hyperloglockless::HyperLogLog;

use super::slots::{Cell, Cells};
use crate::error::SnapshotError;
use crate::snapshot::{SectionReader, SectionWriter};

/// Different values that are counted exactly.
const MAX_EXACT: usize = 512;
/// Registers are two to the power of this: a standard error of 1.04 / sqrt(4096), 1.6 %.
const PRECISION: u8 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// The greatest number that a register can hold.
const MAX_REGISTER: u8 = 65;

/// Which form it has, and all that is in it, is a function of the set of values alone.
#[derive(Clone)]
pub(super) enum Distinct {
    /// The hashes of all values.
    Few(Hashes),
    Many(Box<HyperLogLog<FixedState>>),
}

/// A set of hashes: a table by their low bits, about half full at most.
#[derive(Clone)]
pub(super) struct Hashes {
    /// None, or a power of two; [`FREE`] where there is no hash.
    table: Vec<u64>,
    count: usize,
}

/// What no value has as its hash.
const FREE: u64 = 0;

impl Hashes {
    const EMPTY: Self = Self { table: Vec::new(), count: 0 };

    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.table.iter().copied().filter(|hash| *hash != FREE)
    }

    #[inline]
    fn add(&mut self, hash: u64) {
        if self.table.is_empty() || self.count * 2 > self.table.len() {
            self.grow();
        }
        let last = self.table.len() - 1;
        let mut place = usize::try_from(hash & last as u64).unwrap_or(0);
        while let Some(known) = self.table.get_mut(place).filter(|known| **known != hash) {
            if *known == FREE {
                *known = hash;
                self.count += 1;
                return;
            }
            place = (place + 1) & last;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let larger = Self { table: vec![FREE; (self.table.len() * 2).max(8)], count: 0 };
        let known = core::mem::replace(self, larger);
        known.iter().for_each(|hash| self.add(hash));
    }
}

impl Distinct {
    #[inline]
    fn add(&mut self, hash: u64) {
        match self {
            Self::Many(registers) => registers.insert_hash(hash),
            Self::Few(hashes) => {
                hashes.add(hash);
                if hashes.count > MAX_EXACT {
                    *self = Self::many(hashes);
                }
            }
        }
    }

    #[cold]
    fn many(hashes: &Hashes) -> Self {
        // Everything is handed over hashed: this hasher is never asked.
        let mut registers = HyperLogLog::with_hasher(PRECISION, FixedState::default());
        hashes.iter().for_each(|hash| registers.insert_hash(hash));
        Self::Many(Box::new(registers))
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn count(&self) -> f64 {
        match self {
            Self::Few(hashes) => hashes.count as f64,
            // Made anew, for its sum carries the roundings of the order in which the values came.
            Self::Many(known) => of_registers(known.iter().collect()).raw_count().round(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "powers of two")]
fn of_registers(registers: Box<[u8]>) -> HyperLogLog<FixedState> {
    let mut counts = [0_u32; MAX_REGISTER as usize + 1];
    for register in &registers {
        if let Some(count) = counts.get_mut(usize::from(*register)) {
            *count += 1;
        }
    }
    let zeros = counts.first().map_or(0, |count| *count as usize);
    // From the greatest register on: the small terms first.
    let mut sum = 0.0;
    for (register, count) in counts.into_iter().enumerate().rev() {
        sum += f64::from(count) / (1_u128 << register) as f64;
    }
    HyperLogLog::from_parts(registers, FixedState::default(), zeros, sum)
}

impl Cell for Distinct {
    const EMPTY: Self = Self::Few(Hashes::EMPTY);

    fn merge(&mut self, later: &Self) {
        match (&mut *self, later) {
            (Self::Few(hashes), _) if hashes.count == 0 => *self = later.clone(),
            (_, Self::Few(more)) => more.iter().for_each(|hash| self.add(hash)),
            (Self::Few(hashes), Self::Many(_)) => {
                let hashes = core::mem::replace(hashes, Hashes::EMPTY);
                *self = later.clone();
                hashes.iter().for_each(|hash| self.add(hash));
            }
            (Self::Many(registers), Self::Many(more)) => {
                // Both have the same number of registers.
                let _ = registers.union(more);
            }
        }
    }

    fn save(cells: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        for cell in cells {
            match cell {
                Self::Few(hashes) => {
                    writer.u32(0);
                    let mut sorted: Vec<u64> = hashes.iter().collect();
                    crate::util::sort::unsigned(&mut sorted);
                    writer.length(sorted.len());
                    writer.u64s(sorted.into_iter());
                }
                Self::Many(registers) => {
                    writer.u32(1);
                    writer.raw(registers.parts().0);
                }
            }
        }
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        (0..count).map(|_| load(reader)).collect()
    }
}

fn load(reader: &mut SectionReader<'_>) -> Result<Distinct, SnapshotError> {
    const DAMAGED: SnapshotError = SnapshotError::Damaged("the state of a distinct count is wrong");
    match reader.u32()? {
        0 => {
            let length = reader.length()?;
            let hashes: Vec<u64> = reader.u64s(length)?.collect();
            let ascend = hashes.is_sorted_by(|a, b| a < b);
            if !ascend || length > MAX_EXACT || hashes.first() == Some(&FREE) {
                return Err(DAMAGED);
            }
            let mut few = Hashes::EMPTY;
            hashes.into_iter().for_each(|hash| few.add(hash));
            Ok(Distinct::Few(few))
        }
        1 => {
            let registers = reader.raw(REGISTERS)?;
            if registers.iter().any(|register| *register > MAX_REGISTER) {
                return Err(DAMAGED);
            }
            Ok(Distinct::Many(Box::new(of_registers(registers.into()))))
        }
        _ => Err(DAMAGED),
    }
}

/// The distinct values of each slot.
pub(super) type Distincts = Cells<Distinct>;

impl Distincts {
    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        for (slot, value) in slots.iter().zip(values) {
            if value.is_nan() {
                continue;
            }
            if let Some(distinct) = self.0.get_mut(*slot as usize) {
                distinct.add(hash(*value));
            }
        }
    }

    /// What the values of `slot` count for in the bytes of a stage.
    pub(super) fn variable_bytes(&self, slot: usize) -> u64 {
        match self.0.get(slot) {
            Some(Distinct::Few(hashes)) => 16 * hashes.count as u64,
            Some(Distinct::Many(_)) => REGISTERS as u64,
            None => 0,
        }
    }

    pub(super) fn result(&self, slot: usize) -> f64 {
        self.0.get(slot).map_or(f64::NAN, Distinct::count)
    }
}

/// A hash that is the same everywhere, so that parts from anywhere can be merged, and no two values but one pair have
/// the same: Steele, Lea and Flood's SplitMix64 of the bits. −0 is 0.
fn hash(value: f64) -> u64 {
    let mut bits = (value + 0.0).to_bits().wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits ^ (bits >> 31)).max(FREE + 1)
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
        let cells = [distinct.clone()];
        write_section(&mut bytes, Kind::Stage, |writer| Distinct::save(cells.into_iter(), writer));
        bytes
    }

    #[test]
    fn the_hash_is_that_of_every_runtime() {
        assert_eq!(hash(0.0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(hash(-0.0), hash(0.0));
        assert_eq!(hash(1.0), 0x88D7_C35B_BBF3_EDED);
        assert_eq!(hash(-2.5e300), 0xD227_4233_5BDC_66D6);
    }

    #[test]
    fn few_values_are_counted_and_many_are_within_three_standard_errors() {
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
            Distinct::Few(hashes) => hashes.table.capacity() * size_of::<u64>(),
            Distinct::Many(registers) => registers.len(),
        };
        let of = |count: u32| bytes(&distinct((0..count).chain(0..count)));
        assert_eq!((of(1), of(512), of(513)), (64, 8192, 4096));
        assert!((0..600).all(|count| of(count) <= 8192));
    }

    #[test]
    fn parts_are_the_whole() {
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
    fn order_does_not_matter_to_the_last_bit_even_where_terms_are_tiny() {
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
        assert!(matches!(up, Distinct::Many(_)));
        assert_eq!(bytes_of(&up), bytes_of(&down));
        assert_eq!(up.count().to_bits(), down.count().to_bits());
    }

    #[test]
    fn saved_counts_load_and_changed_bytes_do_no_harm() {
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
