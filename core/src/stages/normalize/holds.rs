//! How far the passed-on watermark is held back: to before the earliest row with values that may still come.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use super::series::{Lane, Series};
use crate::plan::NormalizePlan;

/// A lower bound for each series that holds the watermark back. It is looked at again only when it is the lowest.
#[derive(Debug, Default)]
pub(super) struct Holds {
    bounds: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Holds {
    /// Takes note of series `of`, which is not among them, if it holds.
    pub(super) fn add(
        &mut self,
        of: u32,
        series: &mut Series,
        plan: &NormalizePlan,
        lanes: &[Lane],
    ) {
        if let Some(hold) = series.hold(plan, lanes) {
            series.holds = true;
            self.bounds.push(Reverse((hold, of)));
        }
    }

    /// Returns the lowest hold of all series but `but`.
    pub(super) fn lowest_but(
        &mut self,
        but: u32,
        series: &mut [Series],
        plan: &NormalizePlan,
        lanes: &[Lane],
    ) -> Option<i64> {
        let lowest = self.lowest(series, plan, lanes);
        match self.bounds.peek() {
            Some(Reverse((_, of))) if *of == but => {
                let own = self.bounds.pop()?;
                let of_others = self.lowest(series, plan, lanes);
                self.bounds.push(own);
                of_others
            }
            _ => lowest,
        }
    }

    /// The lowest hold of all.
    pub(super) fn lowest(
        &mut self,
        series: &mut [Series],
        plan: &NormalizePlan,
        lanes: &[Lane],
    ) -> Option<i64> {
        let fields = plan.fields.len();
        loop {
            let Reverse((bound, of)) = *self.bounds.peek()?;
            let first = of as usize * fields;
            let lanes = lanes.get(first..first + fields).unwrap_or_default();
            let one = series.get_mut(of as usize)?;
            match one.hold(plan, lanes) {
                Some(hold) if hold <= bound => return Some(bound),
                Some(hold) => {
                    self.bounds.pop();
                    self.bounds.push(Reverse((hold, of)));
                }
                None => {
                    self.bounds.pop();
                    one.holds = false;
                }
            }
        }
    }
}
