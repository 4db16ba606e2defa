//! The `map` stage: computes columns from other columns, event by event.

use super::{Context, Stage};
use crate::data::frame::{Events, Frame, FrameColumn};
use crate::data::stats::StageStats;
use crate::error::SnapshotError;
use crate::expression::compute;
use crate::keys::Keys;
use crate::plan::MapPlan;
use crate::snapshot::{Codec, StateReader, StateWriter};

/// The steps of an expression that take one unit of work.
const STEPS_PER_UNIT: u64 = 8;

/// State of one `map` stage.
pub(crate) struct MapStage {
    plan: MapPlan,
    stats: StageStats,
}

impl MapStage {
    pub(crate) fn new(plan: MapPlan) -> Self {
        Self { plan, stats: StageStats { r#type: "map", ..StageStats::default() } }
    }

    /// Writes or reads the fields of its section.
    fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        codec.counters([&mut self.stats.events])?;
        self.stats.rows = self.stats.events;
        Ok(())
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

    fn event_work(&self) -> u64 {
        let steps = self.plan.set.iter().map(|(_, steps)| steps.len() as u64);
        1 + steps.sum::<u64>() / STEPS_PER_UNIT
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
