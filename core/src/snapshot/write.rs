//! Writes sections.

use super::checksum::checksum;
use super::{HEADER_BYTES, Kind, MAX_COUNT};

/// Writes the payload of a section.
pub(crate) struct SectionWriter<'a> {
    bytes: &'a mut Vec<u8>,
}

/// Appends a section of `kind` to `bytes`; `payload` writes its content.
pub(crate) fn write_section<T>(
    bytes: &mut Vec<u8>,
    kind: Kind,
    payload: impl FnOnce(&mut SectionWriter<'_>) -> T,
) -> T {
    let start = bytes.len();
    bytes.resize(start + HEADER_BYTES, 0);
    let result = payload(&mut SectionWriter::new(bytes));
    let body = bytes.get(start + HEADER_BYTES..).unwrap_or_default();
    let (number, version) = kind.number_and_version();
    let length = body.len() as u64;
    let checksum = checksum(body);
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(&version.to_le_bytes());
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&checksum.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    if let Some(place) = bytes.get_mut(start..start + HEADER_BYTES) {
        place.copy_from_slice(&header);
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    result
}

impl<'a> SectionWriter<'a> {
    /// Creates a writer that appends to `bytes`.
    pub(crate) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Returns a writer that appends to the same section.
    pub(super) fn reborrow(&mut self) -> SectionWriter<'_> {
        SectionWriter { bytes: self.bytes }
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn length(&mut self, value: usize) {
        self.u64(value as u64);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn u32s(&mut self, values: impl Iterator<Item = u32>) {
        values.for_each(|value| self.u32(value));
    }

    pub(crate) fn u64s(&mut self, values: impl Iterator<Item = u64>) {
        values.for_each(|value| self.u64(value));
    }

    /// Writes a counter: at most [`MAX_COUNT`], which is what a reader takes.
    pub(crate) fn count(&mut self, value: u64) {
        self.u64(value.min(MAX_COUNT));
    }

    /// Writes counters as [`SectionWriter::count`] does.
    pub(crate) fn counts(&mut self, values: impl Iterator<Item = u64>) {
        values.for_each(|value| self.count(value));
    }

    pub(crate) fn i64s(&mut self, values: impl Iterator<Item = i64>) {
        values.for_each(|value| self.i64(value));
    }

    /// Writes doubles. NaN is written as one canonical NaN, so that equal state gives equal bytes
    /// on every machine.
    pub(crate) fn f64s(&mut self, values: impl Iterator<Item = f64>) {
        let canonical = |value: f64| if value.is_nan() { f64::NAN } else { value };
        self.u64s(values.map(|value| canonical(value).to_bits()));
    }
}
