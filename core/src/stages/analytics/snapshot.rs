//! Snapshot sections of analytics stages: the common section first, then keys in parts.

use super::AnalyticsStage;
use crate::error::SnapshotError;
use crate::keys::Keys;
use crate::snapshot::{Codec, StateReader, StateWriter};

/// The kind of a section.
const COMMON: u32 = 0;
const KEYS: u32 = 1;

/// Number of key positions in one section.
const KEYS_PER_PART: u32 = 8192;

/// The fields of a key that do not depend on the stage type.
#[derive(Default)]
struct KeyRow {
    key: u32,
    /// The time of its latest event.
    latest: i64,
}

impl AnalyticsStage {
    /// Writes the states of the keys at positions from `from` on, or the common section for `None`.
    #[inline]
    pub(super) fn save_section(
        &mut self,
        from: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        let Some(from) = from else {
            writer.section.u32(COMMON);
            self.common(writer)?;
            return Ok(writer.first_position(self.lifetimes.state.keys()));
        };
        let keys = self.lifetimes.state.keys().map(|key| (key, key));
        let (page, next) = writer.page(keys, from, KEYS_PER_PART);
        let latest = |key| KeyRow { key, latest: self.lifetimes.latest(key) };
        let rows = page.into_iter().map(|(_, key)| latest(key)).collect();
        writer.section.u32(KEYS);
        let keys = self.rows(rows, writer)?;
        for field in &mut self.fields {
            field.save(&keys, writer)?;
        }
        Ok(next)
    }

    /// Reads one section.
    #[inline]
    pub(super) fn load_section(
        &mut self,
        reader: &mut StateReader<'_>,
    ) -> Result<(), SnapshotError> {
        match reader.kind()? {
            COMMON => self.common(reader),
            KEYS => {
                let keys = self.rows(Vec::new(), reader)?;
                for field in &mut self.fields {
                    field.load(&keys, reader)?;
                }
                self.update_bytes(&keys);
                Ok(())
            }
            _ => Err(SnapshotError::Damaged("a section of an analytics stage has an unknown kind")),
        }
    }

    #[inline]
    fn common(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let stats = &mut self.stats;
        codec.counters([&mut stats.events, &mut stats.rows, &mut stats.key_limit])?;
        stats.limit_fields(&self.plan.caps, codec)?;
        self.lifetimes.state.fields(codec)
    }

    /// Writes `rows`, or reads them and begins the lifetimes of their keys. Returns the keys.
    #[inline]
    fn rows(
        &mut self,
        mut rows: Vec<KeyRow>,
        codec: &mut dyn Codec,
    ) -> Result<Vec<u32>, SnapshotError> {
        let mut columns = codec.rows(&mut rows)?;
        columns.ascending_key(|row| &mut row.key)?;
        if self.lifetimes.ttl().is_some() {
            columns.number(|row| &mut row.latest)?;
        }
        if let Some(keys) = codec.keys() {
            rows.iter().try_for_each(|row| self.restore(row, keys))?;
        }
        Ok(rows.into_iter().map(|row| row.key).collect())
    }

    #[inline]
    fn restore(&mut self, row: &KeyRow, keys: &mut Keys) -> Result<(), SnapshotError> {
        if self.lifetimes.is_alive(row.key) {
            return Err(SnapshotError::Damaged("a key has state twice in one stage"));
        }
        self.lifetimes.begin(row.key, row.latest, keys);
        self.reset(row.key, keys);
        Ok(())
    }
}
