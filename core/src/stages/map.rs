//! The `map` stage: computes columns from other columns, event by event.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame, FrameColumn};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::expression::compute;
use crate::keys::Keys;
use crate::plan::MapPlan;
use crate::snapshot::{SectionReader, SectionWriter};

/// State of one `map` stage.
pub(crate) struct MapStage {
    plan: MapPlan,
    stats: StageStats,
}

impl MapStage {
    pub(crate) fn new(plan: MapPlan) -> Self {
        Self { plan, stats: StageStats { r#type: "map", ..StageStats::default() } }
    }
}

impl Stage for MapStage {
    fn process(
        &mut self,
        events: &Events<'_>,
        cursor: &mut usize,
        context: &mut Context<'_>,
        out: &mut Frame,
    ) -> bool {
        let end = events.timestamps.len().min(*cursor + out.room());
        let range = *cursor..end;
        let first = out.len();
        out.push_run(events, range.clone(), context.keys);
        for (place, steps) in &self.plan.set {
            // `out` already holds the results of earlier assignments.
            let column = |column: usize| match out.columns.get(column) {
                Some(FrameColumn::Number(numbers)) => numbers.get(first..).unwrap_or_default(),
                _ => &[],
            };
            let values = compute(steps, range.len(), column);
            if let Some(FrameColumn::Number(numbers)) = out.columns.get_mut(*place) {
                // Replaces the input values, or those of an earlier assignment.
                numbers.truncate(first);
                numbers.extend(values);
            }
        }
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
