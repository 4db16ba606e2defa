//! Another key for the stages behind: some fields of the one before.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::key;
use crate::keys::{Keys, NONE};
use crate::plan::KeyByPlan;
use crate::snapshot::{SectionReader, SectionWriter};

/// A change of key.
pub(super) struct KeyByStage {
    plan: KeyByPlan,
    /// The new key of each old one, as far as it was met in this batch: ids get new meanings between batches.
    known: Vec<u32>,
    /// The old keys in `known`.
    met: Vec<u32>,
    /// The new key of each event.
    ids: Vec<u32>,
    /// A key that is put together.
    key: Vec<u8>,
    stats: StageStats,
}

impl KeyByStage {
    pub(super) fn new(plan: KeyByPlan) -> Self {
        let stats = StageStats { r#type: "key_by", ..StageStats::default() };
        Self { plan, known: vec![], met: vec![], ids: vec![], key: vec![], stats }
    }

    /// Finds the new key of each of `old`.
    fn find(&mut self, old: &[u32], keys: &mut Keys) {
        self.known.resize(self.known.len().max(keys.id_bound()), NONE);
        self.ids.clear();
        for id in old {
            let Some(known) = self.known.get_mut(*id as usize) else { continue };
            if *known == NONE {
                self.key.clear();
                for place in &self.plan.places {
                    self.key.extend_from_slice(key::field_bytes(keys.bytes(*id), *place));
                }
                *known = keys.intern(&self.key);
                self.met.push(*id);
            }
            self.ids.push(*known);
        }
        for id in self.met.drain(..) {
            if let Some(known) = self.known.get_mut(id as usize) {
                *known = NONE;
            }
        }
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
        self.find(events.keys.get(range.clone()).unwrap_or_default(), context.keys);
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

    fn stats(&self, _keys: &Keys) -> StageStats {
        self.stats.clone()
    }

    fn save(
        &self,
        _from: Option<i64>,
        _positions: &[u32],
        writer: &mut SectionWriter<'_>,
    ) -> Option<i64> {
        writer.u64(self.stats.events);
        None
    }

    fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        _ids: &[u32],
        _keys: &mut Keys,
    ) -> Result<(), SnapshotError> {
        self.stats.events = reader.u64()?;
        self.stats.rows = self.stats.events;
        Ok(())
    }
}
