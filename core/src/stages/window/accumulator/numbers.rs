//! Count, sum, extremes and variance: as far as outputs need them, and in one place where they need all.

use super::moments::{Moment, Moments};
use super::slots::{Cell, Cells, Slots, add_present};
use super::summary::{Summaries, Summary};
use crate::error::SnapshotError;
use crate::plan::WindowOutput;
use crate::snapshot::{SectionReader, SectionWriter};
use crate::spec::Operation;

/// Bytes of a [`Summary`] in the bytes of a stage, and those of a [`Moment`].
const SUMMARY_BYTES: u64 = 40;
const MOMENT_BYTES: u64 = 24;

/// What is kept of the values of a field as numbers of one size.
#[derive(Clone)]
pub(super) enum Numbers {
    None,
    Summaries(Summaries),
    Moments(Moments),
    Both(Cells<Both>),
}

/// One cache line: where keys are many, each event waits for memory once.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Both {
    summary: Summary,
    moment: Moment,
}

impl Both {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.summary.add(value);
        self.moment.add(value);
    }
}

impl Cell for Both {
    const EMPTY: Self = Self { summary: Summary::EMPTY, moment: Moment::EMPTY };

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.summary.merge(&later.summary);
        self.moment.merge(&later.moment);
    }

    /// One after the other, as if they were apart.
    fn save(cells: impl Iterator<Item = Self> + Clone, writer: &mut SectionWriter<'_>) {
        Summary::save(cells.clone().map(|both| both.summary), writer);
        Moment::save(cells.map(|both| both.moment), writer);
    }

    fn load(count: usize, reader: &mut SectionReader<'_>) -> Result<Vec<Self>, SnapshotError> {
        let summaries = Summary::load(count, reader)?;
        let both = summaries.into_iter().zip(Moment::load(count, reader)?);
        Ok(both.map(|(summary, moment)| Self { summary, moment }).collect())
    }
}

/// Does `$do` with the list, whichever it is.
macro_rules! with {
    ($numbers:expr, $list:ident => $do:expr, $none:expr) => {
        match $numbers {
            Numbers::None => $none,
            Numbers::Summaries($list) => $do,
            Numbers::Moments($list) => $do,
            Numbers::Both($list) => $do,
        }
    };
}

impl Numbers {
    /// What operations need of which `any` says that there is one.
    pub(super) fn new(any: impl Fn(fn(Operation) -> bool) -> bool) -> Self {
        match (any(Summaries::serve), any(Moments::serve)) {
            (true, true) => Self::Both(Cells::default()),
            (true, false) => Self::Summaries(Cells::default()),
            (false, true) => Self::Moments(Cells::default()),
            (false, false) => Self::None,
        }
    }

    /// What every slot counts for in the bytes of a stage.
    pub(super) fn slot_bytes(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Summaries(_) => SUMMARY_BYTES,
            Self::Moments(_) => MOMENT_BYTES,
            Self::Both(_) => SUMMARY_BYTES + MOMENT_BYTES,
        }
    }

    /// Has the memory look for the slots of `keys`, which stand in `slots` by key.
    pub(super) fn read_ahead(&self, slots: &[u32], keys: &[u32]) {
        if let Self::Both(list) = self {
            read_ahead(&list.0, slots, keys);
        }
    }

    pub(super) fn add(&mut self, slots: &[u32], values: &[f64]) {
        match self {
            Self::None => {}
            Self::Summaries(list) => list.add(slots, values),
            Self::Moments(list) => list.add(slots, values),
            Self::Both(list) => add_present(&mut list.0, slots, values, Both::add),
        }
    }

    /// Appends the value of `output` for each of `slots`; false: it is not one of those that come quickly.
    pub(super) fn results<'a>(
        &self,
        output: &WindowOutput,
        slots: impl Iterator<Item = &'a u32>,
        numbers: &mut Vec<f64>,
    ) -> bool {
        let (op, population) = (output.op, output.population);
        match self {
            Self::Summaries(list) if Summaries::serve(op) => {
                return list.summaries(op, |summary| summary, slots, numbers);
            }
            Self::Both(list) if Summaries::serve(op) => {
                return list.summaries(op, |both| &both.summary, slots, numbers);
            }
            Self::Moments(list) if Moments::serve(op) => {
                list.moments(op, population, |moment| moment, slots, numbers);
            }
            Self::Both(list) if Moments::serve(op) => {
                list.moments(op, population, |both| &both.moment, slots, numbers);
            }
            _ => return false,
        }
        true
    }

    /// The value of `output` for `slot`, which is none of another kind.
    pub(super) fn result(&self, slot: usize, output: &WindowOutput) -> f64 {
        let (op, population) = (output.op, output.population);
        let found = match self {
            Self::None => None,
            Self::Summaries(list) => list.0.get(slot).map(|summary| summary.result(op)),
            Self::Moments(list) => list.0.get(slot).map(|moment| moment.result(op, population)),
            Self::Both(list) => list.0.get(slot).map(|both| match op {
                op if Moments::serve(op) => both.moment.result(op, population),
                op => both.summary.result(op),
            }),
        };
        found.unwrap_or(f64::NAN)
    }
}

/// Reads a number of what each of `keys` has.
#[inline(never)]
fn read_ahead(list: &[Both], slots: &[u32], keys: &[u32]) {
    let slot = |key: &u32| slots.get(*key as usize).copied().unwrap_or(u32::MAX);
    let number = |slot: u32| list.get(slot as usize).map_or(0, |both| both.summary.count());
    core::hint::black_box(keys.iter().map(slot).map(number).fold(0, u64::wrapping_add));
}

impl Slots for Numbers {
    fn reset(&mut self, slot: usize) {
        with!(self, list => list.reset(slot), ());
    }

    fn empty(&self, slots: usize) -> Self {
        match self {
            Self::None => Self::None,
            Self::Summaries(list) => Self::Summaries(list.empty(slots)),
            Self::Moments(list) => Self::Moments(list.empty(slots)),
            Self::Both(list) => Self::Both(list.empty(slots)),
        }
    }

    fn pick(&self, slots: &[u32]) -> Self {
        match self {
            Self::None => Self::None,
            Self::Summaries(list) => Self::Summaries(list.pick(slots)),
            Self::Moments(list) => Self::Moments(list.pick(slots)),
            Self::Both(list) => Self::Both(list.pick(slots)),
        }
    }

    fn merge(&mut self, slots: &[u32], later: &Self) {
        match (self, later) {
            (Self::Summaries(list), Self::Summaries(later)) => list.merge(slots, later),
            (Self::Moments(list), Self::Moments(later)) => list.merge(slots, later),
            (Self::Both(list), Self::Both(later)) => list.merge(slots, later),
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
