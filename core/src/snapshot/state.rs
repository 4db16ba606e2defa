//! The two directions of a [`Codec`]: writing the state of a stage to a section, and reading it.

use super::codec::Codec;
use super::{SectionReader, SectionWriter};
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};

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
    fn reads(&self) -> bool {
        false
    }

    fn word(&mut self, value: &mut u32) -> Result<(), SnapshotError> {
        self.section.u32(*value);
        Ok(())
    }

    fn double_word(&mut self, value: &mut u64) -> Result<(), SnapshotError> {
        self.section.u64(*value);
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

    fn section(
        &mut self,
        save: &mut dyn FnMut(&mut SectionWriter<'_>),
        _: &mut dyn FnMut(&mut SectionReader<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        save(&mut self.section);
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
    /// True if the section is the first one of its stage.
    is_first: bool,
}

impl<'a> StateReader<'a> {
    /// Creates a reader of `section`; `ids` gives the key at each position.
    pub(crate) fn new(section: SectionReader<'a>, ids: &'a [u32], keys: &'a mut Keys) -> Self {
        Self { section, ids, keys, is_first: true }
    }

    /// Returns the reader for a section that is the first one of its stage, or a later one.
    pub(crate) fn for_section(self, is_first: bool) -> Self {
        Self { is_first, ..self }
    }

    /// Reads the kind of a section. Kind 0 is that of the first section of a stage, and of no other.
    pub(crate) fn kind(&mut self) -> Result<u32, SnapshotError> {
        let kind = self.section.u32()?;
        match (kind == 0) == self.is_first {
            true => Ok(kind),
            false => Err(OUT_OF_ORDER),
        }
    }

    /// Checks that the section is the first one, for a stage that has only one.
    pub(crate) fn expect_first(&self) -> Result<(), SnapshotError> {
        if self.is_first { Ok(()) } else { Err(OUT_OF_ORDER) }
    }
}

impl Codec for StateReader<'_> {
    fn reads(&self) -> bool {
        true
    }

    fn word(&mut self, value: &mut u32) -> Result<(), SnapshotError> {
        *value = self.section.u32()?;
        Ok(())
    }

    fn double_word(&mut self, value: &mut u64) -> Result<(), SnapshotError> {
        *value = self.section.u64()?;
        Ok(())
    }

    fn key(&mut self, id: &mut u32) -> Result<u32, SnapshotError> {
        let position = self.section.u32()?;
        let found = self.ids.get(position as usize).copied();
        *id = found.ok_or(SnapshotError::Damaged(
            "a section refers to a key that is not in the section of keys",
        ))?;
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

    fn section(
        &mut self,
        _: &mut dyn FnMut(&mut SectionWriter<'_>),
        load: &mut dyn FnMut(&mut SectionReader<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        load(&mut self.section)
    }

    fn keys(&mut self) -> Option<&mut Keys> {
        Some(self.keys)
    }
}

const OUT_OF_ORDER: SnapshotError =
    SnapshotError::Damaged("the sections of a stage are out of order");
