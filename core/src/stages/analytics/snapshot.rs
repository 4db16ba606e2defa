//! Snapshot sections of analytics stages: the common part first, then keys in parts.

use super::AnalyticsStage;
use crate::error::SnapshotError;
use crate::keys::{Keys, NONE};
use crate::snapshot::{SectionReader, SectionWriter};
use crate::util::lru::LruList;

/// Kinds of part.
const COMMON: u32 = 0;
const KEYS: u32 = 1;

/// Key positions in one part.
const KEYS_PER_PART: i64 = 8192;

impl AnalyticsStage {
    /// Writes the states of keys at positions from `from` on, or the common part for `None`.
    /// Returns the first position of the next part.
    pub(super) fn save_part(
        &self,
        from: Option<i64>,
        positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        let position = |key: u32| positions.get(key as usize).copied().unwrap_or(NONE);
        let Some(from) = from else {
            writer.u32(COMMON);
            let stats = &self.stats;
            writer.u64s([stats.events, stats.rows, stats.key_limit].into_iter());
            stats.save_limits(&self.plan.caps, writer);
            if let Some(lru) = &self.lifetimes.lru {
                lru.save(positions, writer);
            }
            return self.lifetimes.keys().map(|key| i64::from(position(key))).min();
        };
        writer.u32(KEYS);
        let end = from.saturating_add(KEYS_PER_PART);
        let all = self.lifetimes.keys().map(|key| (position(key), key));
        let mut part: Vec<(u32, u32)> =
            all.filter(|(position, _)| (from..end).contains(&i64::from(*position))).collect();
        crate::util::sort::pairs(&mut part);
        writer.length(part.len());
        writer.u32s(part.iter().map(|(position, _)| *position));
        if self.lifetimes.ttl().is_some() {
            writer.i64s(part.iter().map(|(_, key)| self.lifetimes.latest(*key)));
        }
        for field in &self.fields {
            field.save(&mut part.iter().map(|(_, key)| *key), writer);
        }
        let later = self.lifetimes.keys().map(|key| i64::from(position(key)));
        later.filter(|position| *position >= end).min()
    }

    /// Reads one part that [`Self::save_part`] wrote.
    pub(super) fn load_part(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        match reader.u32()? {
            COMMON => {
                self.stats.events = reader.u64()?;
                self.stats.rows = reader.u64()?;
                self.stats.key_limit = reader.u64()?;
                self.stats.load_limits(&self.plan.caps, reader)?;
                if self.lifetimes.lru.is_some() {
                    self.lifetimes.lru = Some(LruList::load(reader, ids)?);
                }
                Ok(())
            }
            KEYS => self.load_keys(reader, ids, keys),
            _ => Err(SnapshotError::Damaged("an unknown part of a stage")),
        }
    }

    fn load_keys(
        &mut self,
        reader: &mut SectionReader<'_>,
        ids: &[u32],
        keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        const UNKNOWN: SnapshotError = SnapshotError::Damaged("a state of a key that is not there");
        const TWICE: SnapshotError = SnapshotError::Damaged("two states of one key");
        let count = reader.length()?;
        let positions: Vec<u32> = reader.u32s(count)?.collect();
        let latest: Vec<i64> = match self.lifetimes.ttl() {
            Some(_) => reader.i64s(count)?.collect(),
            None => vec![0; count],
        };
        let mut loaded = Vec::with_capacity(count);
        for (position, latest) in positions.iter().zip(latest) {
            let key = ids.get(*position as usize).copied().ok_or(UNKNOWN)?;
            if self.lifetimes.is_alive(key) {
                return Err(TWICE);
            }
            self.lifetimes.begin(key, latest, keys);
            self.reset(key, keys);
            loaded.push(key);
        }
        for field in &mut self.fields {
            field.load(&loaded, reader)?;
        }
        self.update_bytes(&loaded);
        Ok(())
    }
}
