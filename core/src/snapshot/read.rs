//! Reads sections. Any bytes are handled: malformed ones give an error.

use super::{HEADER_BYTES, Kind};
use crate::error::SnapshotError;

const CUT_SHORT: SnapshotError = SnapshotError::Damaged("a section ends early");

/// The greatest number that a counter or an ordinal of a snapshot may have: far beyond any real
/// one, and small enough that counting on cannot overflow.
pub(crate) const MAX_COUNT: u64 = 1 << 62;

/// Returns `count`.
///
/// # Errors
/// `count` exceeds [`MAX_COUNT`].
pub(crate) fn check_count(count: u64) -> Result<u64, SnapshotError> {
    match count {
        0..=MAX_COUNT => Ok(count),
        _ => Err(SnapshotError::Damaged("a counter is greater than 2^62")),
    }
}

/// Returns the flag that was written as `word`.
pub(super) fn flag(word: u32) -> Result<bool, SnapshotError> {
    match word {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(SnapshotError::Damaged("a flag is neither 0 nor 1")),
    }
}

/// Returns the double with the bits `bits`; there is one NaN.
pub(super) fn double(bits: u64) -> Result<f64, SnapshotError> {
    let value = f64::from_bits(bits);
    match value.is_nan() && bits != f64::NAN.to_bits() {
        true => Err(SnapshotError::Damaged("a number is not the canonical NaN")),
        false => Ok(value),
    }
}

/// Returns the payload of `bytes`, which are one section of the kind `wanted`, of at most `limit`
/// bytes.
pub(crate) fn read_section(
    bytes: &[u8],
    wanted: Kind,
    limit: u64,
) -> Result<Vec<u8>, SnapshotError> {
    let mut sections = Sections::new(limit);
    sections.push(bytes);
    match sections.next()? {
        Some((kind, payload)) if kind == wanted => match sections.is_empty() {
            true => Ok(payload),
            false => Err(SnapshotError::Damaged("bytes follow its last section")),
        },
        Some(_) => Err(SnapshotError::NotASnapshot),
        None => Err(SnapshotError::Damaged("it ends before its last section is complete")),
    }
}

/// Splits a stream of bytes, in pieces of any size, into checked sections.
pub(crate) struct Sections {
    bytes: Vec<u8>,
    /// Number of consumed bytes at the front.
    done: usize,
    limit: u64,
}

impl Sections {
    /// Creates a splitter for sections of at most `limit` bytes each.
    pub(crate) fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), done: 0, limit }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.done);
        self.done = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns true if no bytes of an incomplete section are buffered.
    pub(crate) fn is_empty(&self) -> bool {
        self.done == self.bytes.len()
    }

    /// Returns the kind and payload of the next section, if it is complete.
    pub(crate) fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, SnapshotError> {
        let waiting = self.bytes.get(self.done..).unwrap_or_default();
        let Some(header) = waiting.get(..HEADER_BYTES) else { return Ok(None) };
        let mut reader = SectionReader::new(header);
        let (number, version) = (reader.u32()?, reader.u32()?);
        let (length, checksum, reserved) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let known = Kind::ALL.iter().find(|(_, known, _)| *known == number);
        let Some((kind, _, newest)) = known else { return Err(SnapshotError::NotASnapshot) };
        if version == 0 || reserved != 0 {
            return Err(SnapshotError::Damaged("the header of a section is invalid"));
        }
        if version > *newest {
            return Err(SnapshotError::NewerVersion {
                section: number,
                found: version,
                known: *newest,
            });
        }
        if length > self.limit {
            return Err(SnapshotError::TooLarge { limit: self.limit });
        }
        let length = usize::try_from(length).map_err(|_| CUT_SHORT)?;
        let end = HEADER_BYTES.checked_add(length).ok_or(CUT_SHORT)?;
        let padded = end.checked_next_multiple_of(8).ok_or(CUT_SHORT)?;
        if waiting.len() < padded {
            return Ok(None);
        }
        let payload = waiting.get(HEADER_BYTES..end).unwrap_or_default().to_vec();
        let padding = waiting.get(end..padded).unwrap_or_default();
        if padding.iter().any(|byte| *byte != 0) {
            return Err(SnapshotError::Damaged("the padding of a section is not zero"));
        }
        self.done += padded;
        if super::checksum::checksum(&payload) != checksum {
            return Err(SnapshotError::Damaged(
                "the checksum of a section does not match its bytes",
            ));
        }
        Ok(Some((*kind, payload)))
    }
}

/// Reads the payload of a section.
pub(crate) struct SectionReader<'a> {
    bytes: &'a [u8],
}

impl<'a> SectionReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], SnapshotError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(CUT_SHORT)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Returns the number of bytes that are left.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Fails if fewer than `count` times `size` bytes are left.
    pub(super) fn expect(&self, count: usize, size: usize) -> Result<(), SnapshotError> {
        let length = count.checked_mul(size).ok_or(CUT_SHORT)?;
        if length > self.bytes.len() { Err(CUT_SHORT) } else { Ok(()) }
    }

    /// Returns all remaining bytes.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, SnapshotError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, SnapshotError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, SnapshotError> {
        self.array().map(i64::from_le_bytes)
    }

    /// Reads the number of entries that follow, each of which takes at least one byte.
    pub(crate) fn length(&mut self) -> Result<usize, SnapshotError> {
        let length = usize::try_from(self.u64()?).map_err(|_| CUT_SHORT)?;
        if length > self.bytes.len() { Err(CUT_SHORT) } else { Ok(length) }
    }

    pub(crate) fn u32s(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = u32> + 'a, SnapshotError> {
        Ok(self.arrays(count)?.map(u32::from_le_bytes))
    }

    pub(crate) fn u64s(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = u64> + 'a, SnapshotError> {
        Ok(self.arrays(count)?.map(u64::from_le_bytes))
    }

    pub(crate) fn i64s(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = i64> + 'a, SnapshotError> {
        Ok(self.arrays(count)?.map(i64::from_le_bytes))
    }

    pub(crate) fn f64s(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = f64> + 'a, SnapshotError> {
        let bits = Self { bytes: self.bytes }.u64s(count)?;
        let is_canonical = |bits: u64| double(bits).is_ok();
        if !bits.fold(true, |all, bits| all & is_canonical(bits)) {
            return Err(SnapshotError::Damaged("a number is not the canonical NaN"));
        }
        Ok(self.arrays(count)?.map(f64::from_le_bytes))
    }

    /// Reads counters or ordinals, each at most [`MAX_COUNT`].
    pub(crate) fn counts(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = u64> + 'a, SnapshotError> {
        let counts = Self { bytes: self.bytes }.u64s(count)?;
        counts.max().map_or(Ok(0), check_count)?;
        self.u64s(count)
    }

    /// Reads a counter or an ordinal, at most [`MAX_COUNT`].
    pub(crate) fn count(&mut self) -> Result<u64, SnapshotError> {
        self.u64().and_then(check_count)
    }

    /// Reads a double.
    pub(crate) fn f64(&mut self) -> Result<f64, SnapshotError> {
        self.u64().and_then(double)
    }

    /// Reads a flag: 0 or 1.
    pub(crate) fn flag(&mut self) -> Result<bool, SnapshotError> {
        self.u32().and_then(flag)
    }

    /// Checks that no bytes remain.
    pub(crate) fn end(self) -> Result<(), SnapshotError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(SnapshotError::Damaged("a section has bytes after its last field"))
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(CUT_SHORT)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn arrays<const N: usize>(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = [u8; N]> + 'a, SnapshotError> {
        let length = count.checked_mul(N).ok_or(CUT_SHORT)?;
        let (chunks, _) = self.raw(length)?.as_chunks::<N>();
        Ok(chunks.iter().copied())
    }
}
