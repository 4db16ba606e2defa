//! The `key_by` stage: replaces the key by some of its fields.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::key;
use crate::keys::{Keys, NONE};
use crate::plan::KeyByPlan;
use crate::snapshot::{Codec, StateReader, StateWriter};

/// State of one `key_by` stage.
pub(crate) struct KeyByStage {
    plan: KeyByPlan,
    /// New key id by old key id, for keys of this batch. Key ids change their meaning between
    /// batches.
    new_ids: Vec<u32>,
    /// Old keys that have an entry in `new_ids`.
    cached: Vec<u32>,
    /// The new key of each event.
    ids: Vec<u32>,
    /// Scratch space to build a key.
    key: Vec<u8>,
    stats: StageStats,
}

impl KeyByStage {
    pub(crate) fn new(plan: KeyByPlan) -> Self {
        let stats = StageStats { r#type: "key_by", ..StageStats::default() };
        Self { plan, new_ids: vec![], cached: vec![], ids: vec![], key: vec![], stats }
    }

    /// Computes the new key of each of `old`.
    fn map_keys(&mut self, old: &[u32], keys: &mut Keys) {
        self.new_ids.resize(self.new_ids.len().max(keys.id_bound()), NONE);
        self.ids.clear();
        for id in old {
            let Some(new_id) = self.new_ids.get_mut(*id as usize) else { continue };
            if *new_id == NONE {
                self.key.clear();
                for place in &self.plan.places {
                    self.key.extend_from_slice(key::field_bytes(keys.bytes(*id), *place));
                }
                *new_id = keys.intern(&self.key);
                self.cached.push(*id);
            }
            self.ids.push(*new_id);
        }
        for id in self.cached.drain(..) {
            if let Some(new_id) = self.new_ids.get_mut(id as usize) {
                *new_id = NONE;
            }
        }
    }

    /// Writes or reads the fields of its section.
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.counters([&mut self.stats.events])?;
        self.stats.rows = self.stats.events;
        Ok(())
    }
}

impl Stage for KeyByStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let end = events.timestamps.len().min(*cursor + out.room());
        let range = *cursor..end;
        self.map_keys(events.keys.get(range.clone()).unwrap_or_default(), context.keys);
        out.push_run(&Events { keys: &[], ..*events }, range.clone(), context.keys);
        self.ids.iter().for_each(|id| context.keys.retain(*id));
        out.keys.extend_from_slice(&self.ids);
        self.stats.events += range.len() as u64;
        self.stats.rows += range.len() as u64;
        *cursor = end;
        let done = end == events.timestamps.len();
        if done {
            out.watermark = events.watermark;
        }
        done
    }

    #[inline]
    fn stats(&self, _keys: &Keys) -> StageStats {
        self.stats.clone()
    }

    #[inline]
    fn save(
        &mut self,
        _: Option<i64>,
        writer: &mut StateWriter<'_>,
    ) -> Result<Option<i64>, SnapshotError> {
        self.fields(writer)?;
        Ok(None)
    }

    #[inline]
    fn load(&mut self, reader: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        reader.expect_first()?;
        self.fields(reader)
    }
}
