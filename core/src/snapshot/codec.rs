//! One description of a section's fields for both directions.
//!
//! A part of a stage lists its fields once, in a function that is generic over [`Codec`]. With a
//! [`StateWriter`] the function writes the fields; with a [`StateReader`] it replaces them by those
//! that it reads. So the two directions cannot differ:
//!
//! ```text
//! fn windows<C: Codec>(&mut self, codec: &mut C)     StateWriter: numbers, columns -> bytes
//!     codec.number(&mut self.watermark)?             StateReader: bytes -> numbers, columns
//!     let mut columns = codec.rows(&mut windows)?
//!     columns.key(|window| &mut window.key)?         key id <-> position in the section of keys
//!     columns.number(|window| &mut window.count)?
//! ```

use super::{SectionReader, SectionWriter};
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};

/// Writes fields to a section, or reads them from one.
///
/// Only reading fails.
pub(crate) trait Codec: Sized {
    /// True if fields are read.
    const READS: bool;

    /// Writes `value`, or replaces it by the next number.
    fn number<T: Number>(&mut self, value: &mut T) -> Result<(), SnapshotError>;

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

    /// Writes or reads `part`, which has its own pair of functions.
    fn part<P>(
        &mut self,
        part: &mut P,
        save: impl FnOnce(&P, &mut SectionWriter<'_>),
        load: impl FnOnce(&mut P, &mut SectionReader<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError>;

    /// Returns the key dictionary if fields are read: what was read is then put in its place.
    fn keys(&mut self) -> Option<&mut Keys>;

    /// Writes or reads each of `numbers`.
    fn numbers<'a, T: Number + 'a>(
        &mut self,
        numbers: impl IntoIterator<Item = &'a mut T>,
    ) -> Result<(), SnapshotError> {
        numbers.into_iter().try_for_each(|number| self.number(number))
    }

    /// Writes the number of `rows`, or reads it. The columns follow.
    fn rows<'a, R: Default>(
        &'a mut self,
        rows: &'a mut Vec<R>,
    ) -> Result<Columns<'a, R, Self>, SnapshotError> {
        let count = self.length(rows.len())?;
        Ok(Columns { rows, count, codec: self })
    }

    /// Writes the list `numbers` after its length, or replaces it.
    fn list<T: Number + Default>(&mut self, numbers: &mut Vec<T>) -> Result<(), SnapshotError> {
        self.rows(numbers)?.number(|number| number)
    }
}

/// Rows that are written column by column, or added by reading.
pub(crate) struct Columns<'a, R, C> {
    /// When reading, empty before the first column.
    rows: &'a mut Vec<R>,
    count: usize,
    codec: &'a mut C,
}

impl<R: Default, C: Codec> Columns<'_, R, C> {
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
        self.add_rows(u32::BYTES)?;
        let mut before = None;
        for row in self.rows.iter_mut() {
            let position = Some(self.codec.key(field(row))?);
            if C::READS && before >= position {
                return Err(SnapshotError::Damaged("the keys of a part are out of order"));
            }
            before = position;
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

    fn write(self, writer: &mut SectionWriter<'_>);

    fn read(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError>;
}

impl Number for u32 {
    const BYTES: usize = 4;

    fn write(self, writer: &mut SectionWriter<'_>) {
        writer.u32(self);
    }

    fn read(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        reader.u32()
    }
}

impl Number for u64 {
    const BYTES: usize = 8;

    fn write(self, writer: &mut SectionWriter<'_>) {
        writer.u64(self);
    }

    fn read(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        reader.u64()
    }
}

impl Number for i64 {
    const BYTES: usize = 8;

    fn write(self, writer: &mut SectionWriter<'_>) {
        writer.i64(self);
    }

    fn read(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        reader.i64()
    }
}

/// Written as 0 or 1, true if it is not 0.
impl Number for bool {
    const BYTES: usize = 4;

    fn write(self, writer: &mut SectionWriter<'_>) {
        writer.u32(u32::from(self));
    }

    fn read(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        Ok(reader.u32()? != 0)
    }
}

/// NaN is written as one canonical NaN.
impl Number for f64 {
    const BYTES: usize = 8;

    fn write(self, writer: &mut SectionWriter<'_>) {
        writer.f64s(core::iter::once(self));
    }

    fn read(reader: &mut SectionReader<'_>) -> Result<Self, SnapshotError> {
        reader.u64().map(f64::from_bits)
    }
}

/// Writes the state of a stage to a section.
pub(crate) struct StateWriter<'a> {
    pub(crate) section: SectionWriter<'a>,
    /// The position of each key by id.
    positions: &'a [u32],
}

impl<'a> StateWriter<'a> {
    /// Creates a writer that appends to `section`; keys are written as `positions[id]`.
    pub(crate) fn new(section: &'a mut SectionWriter<'_>, positions: &'a [u32]) -> Self {
        Self { section: section.reborrow(), positions }
    }

    /// Returns the position of `key`, [`NONE`] if the snapshot does not contain it.
    pub(crate) fn position(&self, key: u32) -> u32 {
        self.positions.get(key as usize).copied().unwrap_or(NONE)
    }

    /// Returns the position of the first of `keys`.
    pub(crate) fn first_position(&self, keys: impl Iterator<Item = u32>) -> Option<i64> {
        keys.map(|key| self.position(key)).filter(|at| *at != NONE).min().map(i64::from)
    }

    /// Selects the entries of one section from `entries`, each a key and a slot: those of the
    /// positions from `from` on, less than `size` behind it.
    ///
    /// Returns them as position and slot, sorted, and the `from` of the next section.
    pub(crate) fn page(
        &self,
        entries: impl Iterator<Item = (u32, u32)>,
        from: i64,
        size: u32,
    ) -> (Vec<(u32, u32)>, Option<i64>) {
        let from = u32::try_from(from).unwrap_or(NONE);
        let end = from.saturating_add(size);
        let (mut page, mut next) = (Vec::new(), NONE);
        for (position, slot) in entries.map(|(key, slot)| (self.position(key), slot)) {
            if position >= end {
                next = next.min(position);
            } else if position >= from {
                page.push((position, slot));
            }
        }
        crate::util::sort::pairs(&mut page);
        (page, Some(next).filter(|next| *next != NONE).map(i64::from))
    }
}

impl Codec for StateWriter<'_> {
    const READS: bool = false;

    fn number<T: Number>(&mut self, value: &mut T) -> Result<(), SnapshotError> {
        value.write(&mut self.section);
        Ok(())
    }

    fn key(&mut self, id: &mut u32) -> Result<u32, SnapshotError> {
        let position = self.position(*id);
        self.section.u32(position);
        Ok(position)
    }

    fn length(&mut self, length: usize) -> Result<usize, SnapshotError> {
        self.section.length(length);
        Ok(length)
    }

    fn expect(&self, _: usize, _: usize) -> Result<(), SnapshotError> {
        Ok(())
    }

    fn has_more(&self, present: bool) -> bool {
        present
    }

    fn bytes(&mut self, bytes: &mut Box<[u8]>) -> Result<(), SnapshotError> {
        self.section.length(bytes.len());
        self.section.raw(bytes);
        Ok(())
    }

    fn part<P>(
        &mut self,
        part: &mut P,
        save: impl FnOnce(&P, &mut SectionWriter<'_>),
        _: impl FnOnce(&mut P, &mut SectionReader<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        save(part, &mut self.section);
        Ok(())
    }

    fn keys(&mut self) -> Option<&mut Keys> {
        None
    }
}

/// Reads the state of a stage from a section.
pub(crate) struct StateReader<'a> {
    pub(crate) section: SectionReader<'a>,
    /// The id of the key at each position.
    ids: &'a [u32],
    keys: &'a mut Keys,
}

impl<'a> StateReader<'a> {
    /// Creates a reader of `section`; `ids` gives the key at each position.
    pub(crate) fn new(section: SectionReader<'a>, ids: &'a [u32], keys: &'a mut Keys) -> Self {
        Self { section, ids, keys }
    }
}

impl Codec for StateReader<'_> {
    const READS: bool = true;

    fn number<T: Number>(&mut self, value: &mut T) -> Result<(), SnapshotError> {
        *value = T::read(&mut self.section)?;
        Ok(())
    }

    fn key(&mut self, id: &mut u32) -> Result<u32, SnapshotError> {
        let position = self.section.u32()?;
        let found = self.ids.get(position as usize).copied();
        *id = found.ok_or(SnapshotError::Damaged("the state of a key that is not there"))?;
        Ok(position)
    }

    fn length(&mut self, _: usize) -> Result<usize, SnapshotError> {
        self.section.length()
    }

    fn expect(&self, count: usize, size: usize) -> Result<(), SnapshotError> {
        self.section.expect(count, size)
    }

    fn has_more(&self, _: bool) -> bool {
        !self.section.is_at_end()
    }

    fn bytes(&mut self, bytes: &mut Box<[u8]>) -> Result<(), SnapshotError> {
        let length = self.section.length()?;
        *bytes = self.section.raw(length)?.into();
        Ok(())
    }

    fn part<P>(
        &mut self,
        part: &mut P,
        _: impl FnOnce(&P, &mut SectionWriter<'_>),
        load: impl FnOnce(&mut P, &mut SectionReader<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        load(part, &mut self.section)
    }

    fn keys(&mut self) -> Option<&mut Keys> {
        Some(self.keys)
    }
}
