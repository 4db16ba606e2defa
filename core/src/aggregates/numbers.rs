//! Accumulators of fixed size: [`Summary`], [`Moments`], or both in one cache line.

use super::moments::{Moments, MomentsBySlot};
use super::slots::{Accumulator, BySlot, SlotColumn, add_present};
use super::summary::{Summary, SummaryBySlot};
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;

/// Bytes of a [`Summary`] and of [`Moments`] in the memory budget.
const SUMMARY_BYTES: u64 = 40;
const MOMENT_BYTES: u64 = 24;

/// The fixed-size accumulators that the outputs of a field need.
#[derive(Clone)]
pub(super) enum Numbers {
    None,
    Summaries(SummaryBySlot),
    Moments(MomentsBySlot),
    SummaryAndMoments(BySlot<SummaryAndMoments>),
}

/// A summary and moments in one cache line: with many keys, each event causes one cache miss.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct SummaryAndMoments {
    summary: Summary,
    moments: Moments,
}

impl SummaryAndMoments {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.summary.add(value);
        self.moments.add(value);
    }
}

impl Accumulator for SummaryAndMoments {
    const EMPTY: Self = Self { summary: Summary::EMPTY, moments: Moments::EMPTY };

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.summary.merge(&later.summary);
        self.moments.merge(&later.moments);
    }

    /// Writes all summaries, then all moments, as for two separate columns.
    fn save(states: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        Summary::save(states.clone().map(|state| state.summary), writer);
        Moments::save(states.map(|state| state.moments), writer);
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let summaries = Summary::load(count, reader)?;
        let state = summaries.into_iter().zip(Moments::load(count, reader)?);
        Ok(state.map(|(summary, moments)| Self { summary, moments }).collect())
    }
}

/// Evaluates `$do` with the column of any variant as `$list`, and `$none` without a column.
macro_rules! with {
    ($numbers:expr, $list:ident => $do:expr, $none:expr) => {
        match $numbers {
            Numbers::None => $none,
            Numbers::Summaries($list) => $do,
            Numbers::Moments($list) => $do,
            Numbers::SummaryAndMoments($list) => $do,
        }
    };
}

impl Numbers {
    /// Creates the column for the operations of a field; `any` tests whether one of them has a
    /// property.
    pub(super) fn new(any: impl Fn(fn(Operation) -> bool) -> bool) -> Self {
        match (any(SummaryBySlot::supports), any(MomentsBySlot::supports)) {
            (true, true) => Self::SummaryAndMoments(BySlot::default()),
            (true, false) => Self::Summaries(BySlot::default()),
            (false, true) => Self::Moments(BySlot::default()),
            (false, false) => Self::None,
        }
    }

    /// Returns the fixed bytes of a slot for the memory budget.
    pub(super) fn slot_bytes(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Summaries(_) => SUMMARY_BYTES,
            Self::Moments(_) => MOMENT_BYTES,
            Self::SummaryAndMoments(_) => SUMMARY_BYTES + MOMENT_BYTES,
        }
    }

    /// Prefetches the accumulators of `keys`; `slots` maps a key to its slot.
    pub(super) fn prefetch(&self, slots: &[u32], keys: &[u32]) {
        if let Self::SummaryAndMoments(list) = self {
            prefetch(&list.0, slots, keys);
        }
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        match self {
            Self::None => {}
            Self::Summaries(list) => list.add(slots, values),
            Self::Moments(list) => list.add(slots, values),
            Self::SummaryAndMoments(list) => {
                add_present(&mut list.0, slots, values, SummaryAndMoments::add)
            }
        }
    }

    /// Appends the result of `output` for each of `slots`. Returns false, and appends nothing, if
    /// the output has no batch path.
    pub(super) fn results<'a>(
        &self,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) -> bool {
        let (op, population) = (output.op, output.population);
        match self {
            Self::Summaries(list) if SummaryBySlot::supports(op) => {
                return list.append_summaries(op, |summary| summary, slots, numbers);
            }
            Self::SummaryAndMoments(list) if SummaryBySlot::supports(op) => {
                return list.append_summaries(op, |state| &state.summary, slots, numbers);
            }
            Self::Moments(list) if MomentsBySlot::supports(op) => {
                list.append_moments(op, population, |moments| moments, slots, numbers);
            }
            Self::SummaryAndMoments(list) if MomentsBySlot::supports(op) => {
                list.append_moments(op, population, |state| &state.moments, slots, numbers);
            }
            _ => return false,
        }
        true
    }

    /// Returns the result of `output` for `slot`, an output computed from a summary or moments.
    pub(super) fn result(&self, slot: usize, output: &WindowOutput) -> f64 {
        let (op, population) = (output.op, output.population);
        let found = match self {
            Self::None => None,
            Self::Summaries(list) => list.0.get(slot).map(|summary| summary.result(op)),
            Self::Moments(list) => list.0.get(slot).map(|moments| moments.result(op, population)),
            Self::SummaryAndMoments(list) => list.0.get(slot).map(|state| match op {
                op if MomentsBySlot::supports(op) => state.moments.result(op, population),
                op => state.summary.result(op),
            }),
        };
        found.unwrap_or(f64::NAN)
    }
}

/// Reads one number of the accumulator of each key: independent loads, so cache misses overlap.
#[inline(never)]
fn prefetch(list: &[SummaryAndMoments], slots: &[u32], keys: &[u32]) {
    let slot = |key: &u32| slots.get(*key as usize).copied().unwrap_or(u32::MAX);
    let number = |slot: u32| list.get(slot as usize).map_or(0, |state| state.summary.count());
    core::hint::black_box(keys.iter().map(slot).map(number).fold(0, u64::wrapping_add));
}

impl SlotColumn for Numbers {
    fn reset(&mut self, slot: usize) {
        with!(self, list => list.reset(slot), ());
    }

    fn empty(&self, slots: usize) -> Self {
        match self {
            Self::None => Self::None,
            Self::Summaries(list) => Self::Summaries(list.empty(slots)),
            Self::Moments(list) => Self::Moments(list.empty(slots)),
            Self::SummaryAndMoments(list) => Self::SummaryAndMoments(list.empty(slots)),
        }
    }

    fn pick(&self, slots: &[u32]) -> Self {
        match self {
            Self::None => Self::None,
            Self::Summaries(list) => Self::Summaries(list.pick(slots)),
            Self::Moments(list) => Self::Moments(list.pick(slots)),
            Self::SummaryAndMoments(list) => Self::SummaryAndMoments(list.pick(slots)),
        }
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        match (self, later) {
            (Self::Summaries(list), Self::Summaries(later)) => list.merge(slots, later),
            (Self::Moments(list), Self::Moments(later)) => list.merge(slots, later),
            (Self::SummaryAndMoments(list), Self::SummaryAndMoments(later)) => {
                list.merge(slots, later)
            }
            _ => {}
        }
    }

    fn join(&mut self, slot: usize, later: usize) {
        with!(self, list => list.join(slot, later), ());
    }

    fn save(&self, slots: &[u32], writer: &mut SectionWriter<'_>) {
        with!(self, list => list.save(slots, writer), ());
    }

    fn load(&mut self, slots: &[u32], reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
        with!(self, list => list.load(slots, reader), Ok(()))
    }
}
