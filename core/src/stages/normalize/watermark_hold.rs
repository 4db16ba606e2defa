//! Watermark holds: a series keeps the output watermark before its earliest row that may still be
//! emitted.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use super::series::{FieldSeries, Series};
use crate::plan::NormalizePlan;

/// A lower bound of the hold of each series. A bound is updated only when it is the lowest.
#[derive(Debug, Default)]
pub(super) struct WatermarkHolds {
    bounds: BinaryHeap<Reverse<(i64, u32)>>,
}

impl WatermarkHolds {
    /// Adds series `series_id`, which must not have an entry, if it holds the watermark back.
    pub(super) fn add(
        &mut self,
        series_id: u32,
        series: &mut Series,
        plan: &NormalizePlan,
        field_series: &[FieldSeries],
    ) {
        if let Some(hold) = series.watermark_hold(plan, field_series) {
            series.in_watermark_holds = true;
            self.bounds.push(Reverse((hold, series_id)));
        }
    }

    /// Returns the lowest hold of all series other than `except`.
    pub(super) fn lowest_except(
        &mut self,
        except: u32,
        series: &mut [Series],
        plan: &NormalizePlan,
        field_series: &[FieldSeries],
    ) -> Option<i64> {
        let lowest = self.lowest(series, plan, field_series);
        match self.bounds.peek() {
            Some(Reverse((_, series_id))) if *series_id == except => {
                let own = self.bounds.pop()?;
                let of_others = self.lowest(series, plan, field_series);
                self.bounds.push(own);
                of_others
            }
            _ => lowest,
        }
    }

    /// Returns the lowest hold of all series.
    pub(super) fn lowest(
        &mut self,
        series: &mut [Series],
        plan: &NormalizePlan,
        field_series: &[FieldSeries],
    ) -> Option<i64> {
        let fields = plan.fields.len();
        loop {
            let Reverse((bound, series_id)) = *self.bounds.peek()?;
            let first = series_id as usize * fields;
            let field_series = field_series.get(first..first + fields).unwrap_or_default();
            let one = series.get_mut(series_id as usize)?;
            match one.watermark_hold(plan, field_series) {
                Some(hold) if hold <= bound => return Some(bound),
                Some(hold) => {
                    self.bounds.pop();
                    self.bounds.push(Reverse((hold, series_id)));
                }
                None => {
                    self.bounds.pop();
                    one.in_watermark_holds = false;
                }
            }
        }
    }
}
