//! One description of a section's fields for both directions.
//!
//! A part of a stage lists its fields once, in a function that takes a `dyn` [`Codec`]: it is
//! compiled once, not for each direction. With a
//! [`StateWriter`](super::StateWriter) the function writes the fields; with a
//! [`StateReader`](super::StateReader) it replaces them by those that it reads. So the two
//! directions cannot differ:
//!
//! ```text
//! fn windows(&mut self, codec: &mut dyn Codec)       StateWriter: numbers, columns -> bytes
//!     codec.number(&mut self.watermark)?             StateReader: bytes -> numbers, columns
//!     let mut columns = codec.rows(&mut windows)?
//!     columns.key(|window| &mut window.key)?         key id <-> position in the section of keys
//!     columns.number(|window| &mut window.count)?
//! ```

use super::read::{MAX_COUNT, check_count, double, flag};
use super::{SectionReader, SectionWriter};
use crate::error::SnapshotError;
use crate::keys::Keys;

/// Writes fields to a section, or reads them from one.
///
/// Only reading fails.
pub(crate) trait Codec {
    /// Returns true if fields are read.
    fn reads(&self) -> bool;

    /// Writes a number of 4 bytes, or replaces it by the next one.
    fn word(&mut self, value: &mut u32) -> Result<(), SnapshotError>;

    /// Writes a number of 8 bytes, or replaces it by the next one.
    fn double_word(&mut self, value: &mut u64) -> Result<(), SnapshotError>;

    /// Writes the key `id` as its position, or replaces it by the id of the next position. Returns
    /// the position.
    fn key(&mut self, id: &mut u32) -> Result<u32, SnapshotError>;

    /// Writes `length` and returns it, or returns the length that is read: the number of entries
    /// that follow, each of at least one byte.
    fn length(&mut self, length: usize) -> Result<usize, SnapshotError>;

    /// Fails if fewer than `count` times `size` bytes are left to read.
    fn expect(&self, count: usize, size: usize) -> Result<(), SnapshotError>;

    /// Returns true if optional fields at the end of a section follow: `present` when writing, and
    /// when reading, if the section has more bytes.
    fn has_more(&self, present: bool) -> bool;

    /// Writes bytes after their length, or replaces them.
    fn bytes(&mut self, bytes: &mut Box<[u8]>) -> Result<(), SnapshotError>;

    /// Calls `save` with the section that is written, or `load` with the one that is read.
    fn section(
        &mut self,
        save: &mut dyn FnMut(&mut SectionWriter<'_>),
        load: &mut dyn FnMut(&mut SectionReader<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError>;

    /// Returns the key dictionary if fields are read: what was read is then put in its place.
    fn keys(&mut self) -> Option<&mut Keys>;
}

impl dyn Codec + '_ {
    /// Writes `value`, or replaces it by the next number.
    pub(crate) fn number<T: Number>(&mut self, value: &mut T) -> Result<(), SnapshotError> {
        value.field(self)
    }

    /// Writes or reads each of `numbers`.
    pub(crate) fn numbers<'a, T: Number + 'a>(
        &mut self,
        numbers: impl IntoIterator<Item = &'a mut T>,
    ) -> Result<(), SnapshotError> {
        numbers.into_iter().try_for_each(|number| self.number(number))
    }

    /// Writes or reads each of `counters`. A counter that is read is at most [`MAX_COUNT`].
    pub(crate) fn counters<'a>(
        &mut self,
        counters: impl IntoIterator<Item = &'a mut u64>,
    ) -> Result<(), SnapshotError> {
        counters.into_iter().try_for_each(|counter| {
            if !self.reads() {
                *counter = (*counter).min(MAX_COUNT);
            }
            self.number(counter)?;
            if self.reads() { check_count(*counter).map(drop) } else { Ok(()) }
        })
    }

    /// Writes the number of `rows`, or reads it. The columns follow.
    pub(crate) fn rows<'a, R: Default>(
        &'a mut self,
        rows: &'a mut Vec<R>,
    ) -> Result<Columns<'a, R>, SnapshotError> {
        let count = self.length(rows.len())?;
        Ok(Columns { rows, count, codec: self })
    }

    /// Writes the list `numbers` after its length, or replaces it.
    pub(crate) fn list<T: Number + Default>(
        &mut self,
        numbers: &mut Vec<T>,
    ) -> Result<(), SnapshotError> {
        self.rows(numbers)?.number(|number| number)
    }

    /// Writes or reads the optional `fields` at the end of a section, which are there if `state`
    /// `has_them`.
    pub(crate) fn optional<S>(
        &mut self,
        state: &mut S,
        has_them: impl Fn(&S) -> bool,
        fields: impl FnOnce(&mut S, &mut Self) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        if !self.has_more(has_them(state)) {
            return Ok(());
        }
        fields(state, self)?;
        if has_them(state) {
            Ok(())
        } else {
            Err(SnapshotError::Damaged("a section ends with fields that it would not have"))
        }
    }

    /// Writes or reads `part`, which has its own pair of functions.
    pub(crate) fn part<P>(
        &mut self,
        part: &mut P,
        save: impl Fn(&P, &mut SectionWriter<'_>),
        load: impl Fn(&mut P, &mut SectionReader<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        if self.reads() {
            self.section(&mut |_| (), &mut |section| load(part, section))
        } else {
            self.section(&mut |section| save(part, section), &mut |_| Ok(()))
        }
    }
}

/// Rows that are written column by column, or added by reading.
pub(crate) struct Columns<'a, R> {
    /// Empty before the first column is read.
    rows: &'a mut Vec<R>,
    count: usize,
    codec: &'a mut (dyn Codec + 'a),
}

impl<R: Default> Columns<'_, R> {
    /// Writes or reads the number `field` of each row.
    pub(crate) fn number<T: Number>(
        &mut self,
        field: impl Fn(&mut R) -> &mut T,
    ) -> Result<(), SnapshotError> {
        self.add_rows(T::BYTES)?;
        self.rows.iter_mut().try_for_each(|row| self.codec.number(field(row)))
    }

    /// Writes or reads the key `field` of each row.
    pub(crate) fn key(&mut self, field: impl Fn(&mut R) -> &mut u32) -> Result<(), SnapshotError> {
        self.add_rows(u32::BYTES)?;
        self.rows.iter_mut().try_for_each(|row| self.codec.key(field(row)).map(drop))
    }

    /// Does the same for keys in the order of their positions, each once.
    pub(crate) fn ascending_key(
        &mut self,
        field: impl Fn(&mut R) -> &mut u32,
    ) -> Result<(), SnapshotError> {
        self.ordered_key(field, |before, position| before < position)
    }

    /// Does the same for keys in the order of their positions.
    pub(crate) fn grouped_key(
        &mut self,
        field: impl Fn(&mut R) -> &mut u32,
    ) -> Result<(), SnapshotError> {
        self.ordered_key(field, |before, position| before <= position)
    }

    /// Does the same for keys of which each two neighbours are in order.
    fn ordered_key(
        &mut self,
        field: impl Fn(&mut R) -> &mut u32,
        in_order: fn(u32, u32) -> bool,
    ) -> Result<(), SnapshotError> {
        self.add_rows(u32::BYTES)?;
        let mut before = None;
        for row in self.rows.iter_mut() {
            let position = self.codec.key(field(row))?;
            let follows = before.is_none_or(|before| in_order(before, position));
            if self.codec.reads() && !follows {
                return Err(SnapshotError::Damaged("the keys of a section are out of order"));
            }
            before = Some(position);
        }
        Ok(())
    }

    /// Adds the rows that are read, once it is known that the first column has their entries.
    fn add_rows(&mut self, size: usize) -> Result<(), SnapshotError> {
        self.codec.expect(self.count, size)?;
        self.rows.resize_with(self.count, R::default);
        Ok(())
    }
}

/// A number of fixed size.
pub(crate) trait Number: Copy {
    /// Its size in a section.
    const BYTES: usize;

    /// Writes the number, or replaces it by the next one.
    fn field(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError>;
}

impl Number for u32 {
    const BYTES: usize = 4;

    fn field(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.word(self)
    }
}

impl Number for u64 {
    const BYTES: usize = 8;

    fn field(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.double_word(self)
    }
}

impl Number for i64 {
    const BYTES: usize = 8;

    fn field(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let mut bits = self.cast_unsigned();
        codec.double_word(&mut bits)?;
        *self = bits.cast_signed();
        Ok(())
    }
}

/// Written as 0 or 1.
impl Number for bool {
    const BYTES: usize = 4;

    fn field(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let mut word = u32::from(*self);
        codec.word(&mut word)?;
        *self = flag(word)?;
        Ok(())
    }
}

/// NaN is written as one canonical NaN.
impl Number for f64 {
    const BYTES: usize = 8;

    fn field(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let mut bits = if self.is_nan() { f64::NAN } else { *self }.to_bits();
        codec.double_word(&mut bits)?;
        *self = double(bits)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NONE;
    use crate::snapshot::{StateReader, StateWriter};

    /// A part of a stage with a number, rows and optional fields.
    #[derive(Debug, Default, PartialEq)]
    struct Part {
        watermark: i64,
        rows: Vec<(u32, f64)>,
        more: Option<bool>,
    }

    impl Part {
        fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
            codec.number(&mut self.watermark)?;
            let mut columns = codec.rows(&mut self.rows)?;
            columns.ascending_key(|row| &mut row.0)?;
            columns.number(|row| &mut row.1)?;
            codec.optional(
                &mut self.more,
                |more| *more == Some(true),
                |more, codec| codec.number(more.get_or_insert_default()),
            )
        }
    }

    fn written(part: &mut Part, positions: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut section = SectionWriter::new(&mut bytes);
        part.fields(&mut StateWriter::new(&mut section, positions)).unwrap();
        bytes
    }

    fn read(bytes: &[u8], ids: &[u32]) -> Result<Part, SnapshotError> {
        let mut keys = Keys::new(0, u32::MAX);
        let mut reader = StateReader::new(SectionReader::new(bytes), ids, &mut keys);
        let mut part = Part::default();
        part.fields(&mut reader)?;
        reader.section.end()?;
        Ok(part)
    }

    #[test]
    fn fields_that_were_written_are_read() {
        for more in [None, Some(true)] {
            let rows = vec![(5, 1.5), (3, -0.0), (9, f64::MAX)];
            let mut part = Part { watermark: -7, rows, more };
            let mut positions = [NONE; 10];
            (positions[5], positions[3], positions[9]) = (0, 1, 2);
            let bytes = written(&mut part, &positions);
            assert_eq!(read(&bytes, &[5, 3, 9]), Ok(part));
            assert!((0..bytes.len()).all(|cut| {
                let is_complete = more.is_some() && cut + bool::BYTES == bytes.len();
                read(&bytes[..cut], &[5, 3, 9]).is_ok() == is_complete
            }));
        }
    }

    #[test]
    fn keys_out_of_order_or_out_of_range_are_refused() {
        let mut part = Part { watermark: 0, rows: vec![(0, 1.0), (1, 2.0)], more: None };
        assert!(read(&written(&mut part, &[0, 1]), &[4, 6]).is_ok());
        for positions in [[1, 0], [1, 1], [0, 2]] {
            assert!(read(&written(&mut part, &positions), &[4, 6]).is_err(), "{positions:?}");
        }
    }

    #[test]
    fn optional_fields_that_would_not_be_written_are_refused() {
        let mut bytes = written(&mut Part { more: Some(true), ..Part::default() }, &[]);
        assert!(read(&bytes, &[]).is_ok());
        let without = written(&mut Part::default(), &[]).len();
        bytes[without..].fill(0);
        assert!(read(&bytes, &[]).is_err());
    }

    #[test]
    fn number_of_rows_beyond_the_section_allocates_nothing() {
        let mut bytes = vec![0; 16];
        bytes[8] = 60;
        bytes.extend([0; 64]);
        let mut keys = Keys::new(0, u32::MAX);
        let mut reader = StateReader::new(SectionReader::new(&bytes[8..]), &[], &mut keys);
        let mut rows: Vec<u64> = Vec::new();
        assert!(
            (&mut reader as &mut dyn Codec).rows(&mut rows).unwrap().number(|row| row).is_err()
        );
        assert_eq!(rows.capacity(), 0);
    }
}
