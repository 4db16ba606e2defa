//! Partial state: the windows of one engine, sent as bytes and merged into those of another.
//!
//! [`Engine::partial`] writes the window state since the last call, with the watermark and the
//! counters, and removes it. [`Engine::merge`] adds it to another engine of the same pipeline:
//!
//! ```text
//!  edge engine A ──partial()──┐
//!                             ├──merge()──> central engine: fires the windows
//!  edge engine B ──partial()──┘            watermark = minimum over the sources
//! ```
//!
//! Each source numbers its partial states. A repeated one is ignored, a missing one is an error.

use std::collections::BTreeMap;

use super::source::ordinal_after;
use super::{Engine, Progress};
use crate::data::frame::Events;
use crate::error::{Error, SnapshotError};
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::NONE;
use crate::plan::{PartialSupport, Plan, StagePlan};
use crate::snapshot::{
    Kind, MAX_COUNT, PARTIAL_MAGIC, SectionReader, SectionWriter, Sections, StateReader,
    StateWriter, write_section,
};
use crate::spec::SpecError;
use crate::stages::WorkBudget;
use crate::stages::partial::{COUNTER_COUNT, PartialOrigin, counters_of};

/// The number of stage counters that stand before the rejection counters; the others follow them.
const LEADING_STAGE_COUNTERS: usize = 4;

/// The number of rejection counters between these. Reasons added later stand after all stage
/// counters.
const LEADING_REASONS: usize = 17;

/// The number of rejection counters that are written even if they are 0.
const REASONS_ALWAYS_WRITTEN: usize = 20;

/// The result of [`Engine::merge`].
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut edge = Engine::open(&spec, Options { emits_partials: true, ..Options::default() })?;
/// let mut center = Engine::open(&spec, Options::default())?;
/// let mut events = BatchBuilder::new(edge.plan());
/// events.push(1_000_000, "api", &[31.0])?;
/// events.push_to(&mut edge)?;
/// let partial = edge.partial("edge-1")?;
/// assert!(center.merge(&partial)?.is_new);
/// assert!(!center.merge(&partial)?.is_new); // a repetition changes nothing
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// True if this call merged the partial state. `false` if it was merged before, or not merged
    /// yet.
    pub is_new: bool,
    /// True if the call paused, as [`super::Pushed::full`] says: poll, then call again with the
    /// same bytes.
    pub full: bool,
}

/// The progress of partial state, sent and received.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Exchange {
    /// The sequence number of the next partial state to send.
    sequence: u64,
    /// The counters at the time of the last partial state that was sent.
    sent: Vec<u64>,
    /// The engines that partial state has come from, by name.
    pub(super) sources: BTreeMap<Box<[u8]>, PartialSource>,
}

/// An engine that sends partial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartialSource {
    /// The sequence number of its next partial state.
    next: u64,
    watermark: i64,
    /// True if its stream has ended, so that the watermark no longer waits for it.
    ended: bool,
}

/// The header of partial state.
struct PartialHeader {
    source: Box<[u8]>,
    sequence: u64,
    watermark: i64,
    accepted: u64,
    stage: [u64; COUNTER_COUNT],
    rejected: Vec<u64>,
}

/// Partial state cut into its sections. All are checked except the windows.
struct ParsedPartial {
    header: PartialHeader,
    keys: Vec<u8>,
    windows: Vec<u8>,
}

impl Exchange {
    /// Returns the least watermark of the sources that have not ended. If all have ended, returns
    /// the greatest watermark of any.
    #[inline]
    fn watermark(&self) -> i64 {
        let active = self.sources.values().filter(|source| !source.ended);
        let least = active.map(|source| source.watermark).min();
        let most = || self.sources.values().map(|source| source.watermark).max();
        least.or_else(most).unwrap_or(NO_WATERMARK)
    }

    #[inline]
    pub(super) fn is_used(&self) -> bool {
        *self != Self::default()
    }

    #[inline]
    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.sequence);
        writer.length(self.sent.len());
        writer.counts(self.sent.iter().copied());
        writer.length(self.sources.len());
        for (name, source) in &self.sources {
            writer.length(name.len());
            writer.raw(name);
            writer.u64(source.next);
            writer.i64(source.watermark);
            writer.u32(u32::from(source.ended));
        }
    }

    #[inline]
    pub(super) fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        max_sources: u32,
    ) -> Result<(), SnapshotError> {
        self.sequence = reader.u64()?;
        let counters = reader.length()?;
        self.sent = reader.counts(counters)?.collect();
        let sources = reader.length()?;
        if sources > max_sources as usize {
            return Err(SnapshotError::Damaged(
                "sources of partial state exceed limits.max_partitions",
            ));
        }
        for _ in 0..sources {
            let length = reader.length()?;
            let name: Box<[u8]> = reader.raw(length)?.into();
            let (next, watermark, ended) = (reader.u64()?, reader.i64()?, reader.flag()?);
            let is_sorted = self.sources.last_key_value().is_none_or(|(last, _)| *last < name);
            if !is_sorted || watermark == END_OF_TIME {
                return Err(SnapshotError::Damaged(
                    "sources of partial state are out of order, or one has no valid watermark",
                ));
            }
            self.sources.insert(name, PartialSource { next, watermark, ended });
        }
        Ok(())
    }
}

/// Returns the index of the first stage with windows, whose state is sent as partial state.
///
/// # Errors
/// The pipeline has no such stage, or its windows cannot be merged.
#[inline]
pub(super) fn window_stage(plan: &Plan) -> Result<usize, SpecError> {
    let support = |plan: &StagePlan| plan.stage.partial_support();
    let found = plan.stages.iter().position(|plan| support(plan) != PartialSupport::NoWindows);
    let stage_index = found.ok_or_else(|| {
        SpecError::new(
            "stages",
            "partial state is that of windows: add a stage with `type = \"window\"`",
        )
    })?;
    match plan.stages.get(stage_index).map(support) {
        Some(PartialSupport::NotMergeable) => {
            let message = "windows of a count of events depend on the order of arrival and do not go out as partial state: \
                           only windows by time, sessions and global windows do";
            Err(SpecError::new(format!("stages[{stage_index}].window"), message))
        }
        _ => Ok(stage_index),
    }
}

impl Engine {
    /// Removes the state of all windows and returns it, with the watermark, as bytes for
    /// [`Engine::merge`] of an engine of the same pipeline. This engine continues without that
    /// state. `source` names this engine among all senders. Only this engine and engines restored
    /// from its snapshots may use the name, never a new engine.
    ///
    /// # Errors
    /// [`Error::PartialsMismatch`] if the engine was not opened with
    /// [`super::Options::emits_partials`]. [`SnapshotError::TooLarge`] beyond
    /// `limits.max_snapshot_bytes`, and [`Error::KeyTooLong`] for a longer `source` than
    /// `limits.max_key_bytes`; then nothing is removed.
    #[inline]
    pub fn partial(&mut self, source: &str) -> Result<Vec<u8>, Error> {
        if !self.options.emits_partials {
            return Err(Error::PartialsMismatch(
                "the engine fires its windows itself: open it with the option emits_partials",
            ));
        }
        let stage_index = window_stage(&self.plan)?;
        self.check_length(source.len())?;
        self.revision += 1;
        // A call that returns all state cannot pause.
        self.work = WorkBudget::unlimited();
        if self.resume()? == Progress::Full {
            return Err(Error::PartialsMismatch("dropped events wait: take them, then call again"));
        }
        let counters = self.counters(stage_index);
        let new = counters.iter().enumerate().map(|(at, count)| {
            count.saturating_sub(self.exchange.sent.get(at).copied().unwrap_or(0))
        });
        let new: Vec<u64> = new.collect();
        let Self { stages, keys, plan, exchange, .. } = self;
        let Some(stage) = stages.get_mut(stage_index) else { return Ok(Vec::new()) };
        let watermark = stage.input_watermark();
        let mut bytes = Vec::new();
        write_section(&mut bytes, Kind::Pipeline, |writer| {
            writer.raw(&PARTIAL_MAGIC);
            writer.raw(plan.identity.as_bytes());
        });
        write_section(&mut bytes, Kind::Partial, |writer| {
            writer.length(source.len());
            writer.raw(source.as_bytes());
            writer.u64(exchange.sequence);
            writer.i64(watermark);
            writer.length(new.len());
            writer.counts(new.into_iter());
        });
        let Some(parts) = stage.partial_state() else { return Ok(Vec::new()) };
        let mut used = vec![false; keys.id_bound()];
        parts.for_each_key(&mut |key| {
            if let Some(used) = used.get_mut(key as usize) {
                *used = true;
            }
        });
        let (mut positions, mut order) = keys.canonical();
        order.retain(|key| used.get(*key as usize).copied().unwrap_or(false));
        positions.fill(NONE);
        for (position, key) in (0..).zip(&order) {
            if let Some(slot) = positions.get_mut(*key as usize) {
                *slot = position;
            }
        }
        write_section(&mut bytes, Kind::Keys, |writer| {
            writer.length(order.len());
            for key in &order {
                writer.length(keys.bytes(*key).len());
                writer.raw(keys.bytes(*key));
            }
        });
        write_section(&mut bytes, Kind::Stage, |writer| {
            parts.write_partial(&mut StateWriter::new(writer, &positions))
        })?;
        write_section(&mut bytes, Kind::End, |writer| writer.u64(4));
        let limit = plan.limits.max_snapshot_bytes;
        if bytes.len() as u64 > limit {
            return Err(SnapshotError::TooLarge { limit }.into());
        }
        parts.clear_windows(keys);
        exchange.sequence = exchange.sequence.saturating_add(1);
        exchange.sent = counters;
        keys.reclaim();
        Ok(bytes)
    }

    /// Merges partial state from [`Engine::partial`] of an engine of the same pipeline, as if its
    /// events arrived now. Each source counts for the watermark as a partition does. Merge the
    /// partial states of one source in order; one that was merged before is ignored.
    ///
    /// # Errors
    /// [`Error::Snapshot`] for bytes that are not partial state of this pipeline.
    /// [`Error::PartialGap`] if an earlier partial state of the source is missing.
    /// [`Error::TooManyPartitions`] for more sources than `limits.max_partitions`, and
    /// [`Error::KeyTooLong`] for a key or source longer than `limits.max_key_bytes`.
    /// [`Error::PartialsMismatch`] if the engine takes events itself. [`Error::LimitReached`] if a
    /// limit dropped a window of this or an earlier partial state: call again with the same bytes
    /// to continue after it.
    #[inline]
    pub fn merge(&mut self, partial: &[u8]) -> Result<Merged, Error> {
        if self.finished {
            return Err(Error::Finished);
        }
        #[cfg(feature = "custom-aggregators")]
        if self.has_own_state {
            return Err(Error::CustomState);
        }
        let stage_index = window_stage(&self.plan)?;
        if self.options.emits_partials
            || (self.exchange.sources.is_empty() && self.source.accepted() > 0)
        {
            return Err(Error::PartialsMismatch(
                "an engine takes either events or partial state: give the events to one that emits partials",
            ));
        }
        let ParsedPartial { header, keys, windows } = self.parse(partial)?;
        let known = self.exchange.sources.get(&header.source).copied();
        if known.is_none() {
            self.check_length(header.source.len())?;
        }
        let expected = known.map_or(0, |source| source.next);
        let limit = self.plan.limits.max_partitions;
        if header.sequence > expected {
            return Err(Error::PartialGap { expected, found: header.sequence });
        }
        if known.is_none() && self.exchange.sources.len() >= limit as usize {
            return Err(Error::TooManyPartitions { limit });
        }
        self.begin_call();
        let is_full = self.resume()? == Progress::Full
            || self.drops.waiting().len() >= self.plan.limits.max_dropped_events as usize;
        if is_full || header.sequence < expected {
            return Ok(Merged { is_new: false, full: is_full });
        }
        self.check_key_lengths(&keys)?;
        let mut ids = Vec::new();
        let mut reader = SectionReader::new(&keys);
        super::state::load_keys(self, &mut reader, &mut ids)?;
        reader.end()?;
        let ordinal = self.source.next_ordinal;
        let Self { stages, keys, .. } = self;
        let Some(parts) = stages.get_mut(stage_index).and_then(|stage| stage.partial_state())
        else {
            return Ok(Merged { is_new: false, full: false });
        };
        let origin = PartialOrigin { source: &header.source, sequence: header.sequence, ordinal };
        let windows = SectionReader::new(&windows);
        let taken = parts.stage_partial(origin, &mut StateReader::new(windows, &ids, keys))?;
        parts.add_counters(header.stage);
        self.source.next_ordinal = ordinal_after(ordinal, taken);
        self.count_merged(header);
        let flowed = self.flow_merged();
        self.keys.reclaim();
        Ok(Merged { is_new: true, full: flowed? == Progress::Full })
    }

    /// Returns the counters of the stream before its windows and in them.
    #[inline]
    fn counters(&self, stage_index: usize) -> Vec<u64> {
        let stage = self.stages.get(stage_index).map(|stage| counters_of(&stage.stats(&self.keys)));
        let stage = stage.unwrap_or_default();
        let mut counters = vec![self.source.accepted()];
        counters.extend(stage.iter().take(LEADING_STAGE_COUNTERS));
        counters.extend(self.source.rejected.iter().take(LEADING_REASONS));
        counters.extend(stage.iter().skip(LEADING_STAGE_COUNTERS));
        counters.extend(self.source.rejected.iter().skip(LEADING_REASONS));
        // Newer reasons are written only if counted, so that equal state keeps giving the same bytes.
        let always = 1 + COUNTER_COUNT + REASONS_ALWAYS_WRITTEN;
        let counted = counters.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        counters.truncate(counted.max(always));
        counters
    }

    /// Checks the lengths of the keys in the section `keys` of partial state.
    fn check_key_lengths(&self, keys: &[u8]) -> Result<(), Error> {
        let mut reader = SectionReader::new(keys);
        for _ in 0..reader.length()? {
            let length = reader.length()?;
            self.check_length(length)?;
            reader.raw(length)?;
        }
        Ok(())
    }

    /// Checks the length of a key or of the name of a source.
    fn check_length(&self, found: usize) -> Result<(), Error> {
        let limit = self.plan.limits.max_key_bytes;
        match found > limit as usize {
            true => Err(Error::KeyTooLong { found, limit }),
            false => Ok(()),
        }
    }

    #[inline]
    fn count_merged(&mut self, header: PartialHeader) {
        self.source.accepted = self.source.accepted.saturating_add(header.accepted).min(MAX_COUNT);
        for (known, more) in self.source.rejected.iter_mut().zip(header.rejected) {
            *known = known.saturating_add(more).min(MAX_COUNT);
        }
        let new = PartialSource { next: 0, watermark: NO_WATERMARK, ended: false };
        let source = self.exchange.sources.entry(header.source).or_insert(new);
        source.next = header.sequence.saturating_add(1);
        source.ended = header.watermark == END_OF_TIME;
        if !source.ended {
            source.watermark = source.watermark.max(header.watermark);
        }
    }

    /// Moves the watermark. Lateness of merged windows was decided by the watermark before.
    #[inline]
    fn flow_merged(&mut self) -> Result<Progress, Error> {
        self.source.advance(self.exchange.watermark());
        self.flow(&Events::none(self.source.watermark()))
    }

    /// Cuts partial state into its sections and checks everything that does not depend on this
    /// engine's state.
    #[inline]
    fn parse(&self, partial: &[u8]) -> Result<ParsedPartial, SnapshotError> {
        let mut sections = Sections::new(self.plan.limits.max_snapshot_bytes);
        sections.push(partial);
        let mut next = |wanted: Kind| match sections.next()? {
            Some((kind, payload)) if kind == wanted => Ok(payload),
            Some(_) if wanted == Kind::Pipeline => Err(SnapshotError::NotAPartial),
            Some(_) => Err(SnapshotError::Damaged("sections are out of order")),
            None => Err(SnapshotError::Damaged("it ends before its last section is complete")),
        };
        let pipeline = next(Kind::Pipeline)?;
        let Some(identity) = pipeline.strip_prefix(&PARTIAL_MAGIC) else {
            return Err(SnapshotError::NotAPartial);
        };
        if !self.plan.agrees_with(identity) {
            return Err(SnapshotError::OtherPipeline);
        }
        let header = read_header(&next(Kind::Partial)?, self.source.rejected.len())?;
        let (keys, windows) = (next(Kind::Keys)?, next(Kind::Stage)?);
        let end = next(Kind::End)?;
        let mut reader = SectionReader::new(&end);
        if reader.u64()? != 4 || !sections.is_empty() {
            return Err(SnapshotError::Damaged("a section is missing"));
        }
        reader.end()?;
        Ok(ParsedPartial { header, keys, windows })
    }
}

/// Reads the header of partial state; `reasons` is the number of rejection reasons.
#[inline]
fn read_header(payload: &[u8], reasons: usize) -> Result<PartialHeader, SnapshotError> {
    let mut reader = SectionReader::new(payload);
    let length = reader.length()?;
    let source = reader.raw(length)?.into();
    let (sequence, watermark) = (reader.u64()?, reader.i64()?);
    let count = reader.length()?;
    let mut counters = reader.counts(count)?;
    let accepted = counters.next().unwrap_or(0);
    let mut stage: Vec<u64> = counters.by_ref().take(LEADING_STAGE_COUNTERS).collect();
    let mut rejected: Vec<u64> = counters.by_ref().take(LEADING_REASONS).collect();
    stage.extend(counters.by_ref().take(COUNTER_COUNT - LEADING_STAGE_COUNTERS));
    rejected.extend(counters.take(reasons.saturating_sub(LEADING_REASONS)));
    // Partial state of earlier versions ends before the newest counters.
    let stage = core::array::from_fn(|at| stage.get(at).copied().unwrap_or(0));
    reader.end()?;
    Ok(PartialHeader { source, sequence, watermark, accepted, stage, rejected })
}
