//! Snapshots of count windows: a common section, then the open windows in the order of their keys.

use super::{CountStage, CountWindow, Keys, NONE, SnapshotError};
use crate::snapshot::{Codec, StateReader, StateWriter};
use crate::stages::window::partial::empty_accumulators;
use crate::stages::window::windows::Windows;

/// The kind of a section.
const COMMON: u32 = 0;
const WINDOWS: u32 = 1;

/// Number of keys whose windows share a section.
const KEYS_PER_PART: u32 = 65_536;

impl CountStage {
    /// Writes the windows of the keys from position `from` on, or the common section for `None`.
    #[inline]
    pub(super) fn save_section(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        let all = self.open_slots().map(|slot| (self.window(slot).key, slot));
        let Some(from) = from else {
            let first = writer.first_position(all.map(|(key, _)| key));
            writer.section.u32(COMMON);
            self.common(writer)?;
            return Ok(first);
        };
        let (page, next) = writer.page(all, from, KEYS_PER_PART);
        writer.section.u32(WINDOWS);
        self.windows(page.into_iter().map(|(_, slot)| slot).collect(), writer)?;
        Ok(next)
    }

    /// Reads a section of a snapshot.
    #[inline]
    pub(super) fn load_section(
        &mut self,
        reader: &mut StateReader<'_>,
    ) -> Result<(), SnapshotError> {
        match reader.kind()? {
            COMMON => self.common(reader),
            WINDOWS => self.windows(Vec::new(), reader),
            _ => Err(SnapshotError::Damaged("a section of a window stage has an unknown kind")),
        }
    }

    #[inline]
    fn common(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.number(&mut self.output_watermark)?;
        let stats = &mut self.stats;
        codec.counters([
            &mut stats.events,
            &mut stats.rows,
            &mut stats.key_limit,
            &mut stats.value_limit,
            &mut stats.folded_values,
        ])?;
        stats.limit_fields(&self.plan.caps, codec)?;
        self.keyed.fields(codec)?;
        let is_ending = |stage: &Self| stage.is_ending;
        codec.optional(
            self,
            |stage| is_ending(stage) || !stage.staging.is_empty(),
            |stage, codec| {
                let empty = empty_accumulators(&stage.accumulators);
                stage.staging.fields(&empty, true, codec)?;
                codec.optional(stage, is_ending, |stage, codec| codec.number(&mut stage.is_ending))
            },
        )
    }

    /// Writes the windows in `slots`, or reads windows into new slots.
    #[inline]
    fn windows(&mut self, mut slots: Vec<u32>, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let mut windows: Vec<_> = slots.iter().map(|slot| self.window(*slot)).collect();
        let mut columns = codec.rows(&mut windows)?;
        columns.ascending_key(|window| &mut window.key)?;
        columns.number(|window| &mut window.count)?;
        columns.number(|window| &mut window.first)?;
        columns.number(|window| &mut window.last)?;
        if let Some(keys) = codec.keys() {
            let restored = windows.into_iter().map(|window| self.restore(window, keys));
            slots = restored.collect::<Result<_, _>>()?;
        }
        self.accumulators.fields(&slots, codec)?;
        if codec.reads() {
            slots.into_iter().for_each(|slot| self.measure_slot(slot));
        }
        Ok(())
    }

    /// Adds a window that was read, and returns its slot.
    #[inline]
    fn restore(&mut self, window: CountWindow, keys: &mut Keys) -> Result<u32, SnapshotError> {
        if self.slots.get(window.key as usize).is_some_and(|slot| *slot != NONE) {
            return Err(SnapshotError::Damaged("a key has the same window twice"));
        }
        keys.retain(window.key);
        Ok(self.insert(window, keys))
    }
}
