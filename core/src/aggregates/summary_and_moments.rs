//! A [`Summary`] and moments of the same values in one cache line.

use super::add::add_present;
use super::column::State;
use super::slots::{Accumulator, BySlot, FieldAccumulator};
use super::summary::{Summary, SummaryValues};
use super::{definition, moments, summary};
use crate::data::frame::Order;
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::statistics::OnlineVariance;

/// A summary and moments in one cache line: with many keys, each event causes one cache miss.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct SummaryAndMoments {
    summary: Summary,
    moments: OnlineVariance,
}

impl SummaryAndMoments {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.summary.add(value);
        self.moments.add(value);
    }
}

impl Accumulator for SummaryAndMoments {
    const EMPTY: Self = Self { summary: Summary::EMPTY, moments: OnlineVariance::EMPTY };

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.summary.merge(&later.summary);
        self.moments.merge(&later.moments);
    }

    /// Writes all summaries, then all moments, as for two separate columns.
    #[inline]
    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        Summary::save(states.clone().map(|state| state.summary), writer);
        <OnlineVariance as Accumulator>::save(states.map(|state| state.moments), writer);
    }

    #[inline]
    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let summaries = Summary::load(count, reader)?;
        let moments = <OnlineVariance as Accumulator>::load(count, reader)?;
        let states = summaries.into_iter().zip(moments);
        Ok(states.map(|(summary, moments)| Self { summary, moments }).collect())
    }
}

impl FieldAccumulator for SummaryAndMoments {
    const STATES: &[State] = &[State::Summary, State::Moments];
    const SLOT_BYTES: u64 = Summary::SLOT_BYTES + OnlineVariance::SLOT_BYTES;

    fn add(accumulators: &mut [Self], slots: &[u32], values: &[f64], _: Order<'_>) {
        add_present(accumulators, slots, values, Self::add);
    }

    fn result(&self, output: &WindowOutput) -> f64 {
        match definition(output.op).state {
            State::Moments => self.moments.result(output),
            _ => self.summary.result(output),
        }
    }

    fn results<'a>(
        column: &BySlot<Self>,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) {
        match definition(output.op).state {
            State::Moments => {
                moments::append_results(column, output, |state| &state.moments, slots, numbers);
            }
            _ => summary::append_results(column, output.op, |state| &state.summary, slots, numbers),
        }
    }

    /// Reads one number of the accumulator of each key: independent loads, so cache misses overlap.
    #[inline(never)]
    fn prefetch(accumulators: &[Self], slots: &[u32], keys: &[u32]) {
        let slot = |key: &u32| slots.get(*key as usize).copied().unwrap_or(u32::MAX);
        let number =
            |slot: u32| accumulators.get(slot as usize).map_or(0, |state| state.summary.count());
        core::hint::black_box(keys.iter().map(slot).map(number).fold(0, u64::wrapping_add));
    }
}
