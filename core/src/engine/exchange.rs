//! Partial state: the windows of one engine go out as bytes and are added to those of another.

use std::collections::BTreeMap;

use super::{Engine, Progress};
use crate::data::frame::Events;
use crate::error::{Error, SnapshotError};
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::NONE;
use crate::plan::{Plan, StagePlan};
use crate::snapshot::{Kind, PARTIAL_MAGIC, SectionReader, SectionWriter, Sections, write_section};
use crate::spec::SpecError;
use crate::stages::partial::{COUNTER_COUNT, PartialOrigin, counters_of};

/// So many counters of the stage stand in front of the reasons for which events were refused, the others behind them.
const STAGE_FIRST: usize = 4;

/// So many reasons stand between them; those that came later stand behind all counters of the stage.
const REASONS_BETWEEN: usize = 17;

/// What became of partial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Whether this call has taken it; if not, it had been taken before.
    pub is_new: bool,
    /// Whether the result buffer is full: poll, then call again with the same bytes.
    pub full: bool,
}

/// What has gone out as partial state, and what has come in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Exchange {
    /// The number of the next partial state that goes out.
    sequence: u64,
    /// What the counters were when the last one did.
    sent: Vec<u64>,
    /// The engines that partial state has come from, by name.
    pub(super) sources: BTreeMap<Box<[u8]>, Remote>,
}

/// An engine that sends partial state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    /// The number of its next partial state.
    next: u64,
    watermark: i64,
    /// Whether nobody waits for it any more: its stream has ended.
    ended: bool,
}

/// The head of partial state.
struct Head {
    source: Box<[u8]>,
    sequence: u64,
    watermark: i64,
    accepted: u64,
    stage: [u64; COUNTER_COUNT],
    rejected: Vec<u64>,
}

/// Partial state in pieces, all checked but for the windows themselves.
struct Parsed {
    head: Head,
    keys: Vec<u8>,
    windows: Vec<u8>,
}

impl Exchange {
    /// What all engines have reached; where all have ended, the most that one had.
    fn watermark(&self) -> i64 {
        let waited = self.sources.values().filter(|source| !source.ended);
        let least = waited.map(|source| source.watermark).min();
        let most = || self.sources.values().map(|source| source.watermark).max();
        least.or_else(most).unwrap_or(NO_WATERMARK)
    }

    pub(super) fn is_used(&self) -> bool {
        *self != Self::default()
    }

    pub(super) fn save(&self, writer: &mut SectionWriter<'_>) {
        writer.u64(self.sequence);
        writer.length(self.sent.len());
        writer.u64s(self.sent.iter().copied());
        writer.length(self.sources.len());
        for (name, source) in &self.sources {
            writer.length(name.len());
            writer.raw(name);
            writer.u64(source.next);
            writer.i64(source.watermark);
            writer.u32(u32::from(source.ended));
        }
    }

    pub(super) fn load(
        &mut self,
        reader: &mut SectionReader<'_>,
        max_sources: u32,
    ) -> Result<(), SnapshotError> {
        self.sequence = reader.u64()?;
        let counters = reader.length()?;
        self.sent = reader.u64s(counters)?.collect();
        let sources = reader.length()?;
        if sources > max_sources as usize {
            return Err(SnapshotError::Damaged("more sources than limits.max_partitions"));
        }
        for _ in 0..sources {
            let length = reader.length()?;
            let name = reader.raw(length)?.into();
            let (next, watermark, ended) = (reader.u64()?, reader.i64()?, reader.u32()? != 0);
            self.sources.insert(name, Remote { next, watermark, ended });
        }
        Ok(())
    }
}

/// The place of the first stage with windows, whose state goes out as partial state.
///
/// # Errors
/// A pipeline without such a stage, or where its windows cannot be added up.
pub(super) fn window_stage(plan: &Plan) -> Result<usize, SpecError> {
    let found = plan.stages.iter().position(StagePlan::has_windows);
    let place = found.ok_or_else(|| {
        SpecError::new(
            "stages",
            "partial state is that of windows: add a stage with `type = \"window\"`",
        )
    })?;
    match plan.stages.get(place) {
        Some(StagePlan::Count(plan)) if plan.count.is_some() => {
            let message = "windows of a count of events depend on the order of arrival and do not go out as partial state: \
                           only windows by time, sessions and global windows do";
            Err(SpecError::new(format!("stages[{place}].window"), message))
        }
        _ => Ok(place),
    }
}

impl Engine {
    /// Takes out the state of all windows, with the watermark, as bytes for [`Engine::merge`] of an engine of the same
    /// pipeline; this one goes on without it. `source` names this engine among all that send there: a name is used by one
    /// engine and those restored from its snapshots, never by one that begins anew.
    ///
    /// # Errors
    /// [`Error::PartialsMismatch`] where the engine was not opened with [`super::Options::emits_partials`];
    /// [`SnapshotError::TooLarge`] beyond `limits.max_snapshot_bytes`, which takes nothing out.
    pub fn partial(&mut self, source: &str) -> Result<Vec<u8>, Error> {
        if !self.options.emits_partials {
            return Err(Error::PartialsMismatch(
                "the engine fires its windows itself: open it with the option emits_partials",
            ));
        }
        let place = window_stage(&self.plan)?;
        self.revision += 1;
        if self.resume()? == Progress::Full {
            return Err(Error::PartialsMismatch("dropped events wait: take them, then call again"));
        }
        let counters = self.counters(place);
        let new = counters.iter().enumerate().map(|(at, count)| {
            count.saturating_sub(self.exchange.sent.get(at).copied().unwrap_or(0))
        });
        let new: Vec<u64> = new.collect();
        let Self { stages, keys, plan, exchange, .. } = self;
        let Some(stage) = stages.get_mut(place) else { return Ok(Vec::new()) };
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
            writer.u64s(new.into_iter());
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
            if let Some(place) = positions.get_mut(*key as usize) {
                *place = position;
            }
        }
        write_section(&mut bytes, Kind::Keys, |writer| {
            writer.length(order.len());
            for key in &order {
                writer.length(keys.bytes(*key).len());
                writer.raw(keys.bytes(*key));
            }
        });
        write_section(&mut bytes, Kind::Stage, |writer| parts.write_partial(&positions, writer));
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

    /// Adds partial state that [`Engine::partial`] of an engine of the same pipeline gave, as if its events came now. Each
    /// source counts for the watermark as a partition does. The partial states of one source are to come in their order;
    /// one that was taken already is ignored.
    ///
    /// # Errors
    /// [`Error::Snapshot`] for bytes that are no partial state of this pipeline, [`Error::PartialGap`] where an earlier one
    /// is missing, [`Error::TooManyPartitions`] for one source more than `limits.max_partitions`,
    /// [`Error::PartialsMismatch`] where the engine takes events itself; [`Error::LimitReached`] for a window that found no
    /// room and is dropped, of this block or of one before: call again with the same bytes, which goes on behind it.
    pub fn merge(&mut self, partial: &[u8]) -> Result<Merged, Error> {
        if self.finished {
            return Err(Error::Finished);
        }
        let place = window_stage(&self.plan)?;
        if self.options.emits_partials
            || (self.exchange.sources.is_empty() && self.source.accepted() > 0)
        {
            return Err(Error::PartialsMismatch(
                "an engine takes either events or partial state: give the events to one that emits partials",
            ));
        }
        let Parsed { head, keys, windows } = self.parse(partial)?;
        let known = self.exchange.sources.get(&head.source).copied();
        let expected = known.map_or(0, |source| source.next);
        let limit = self.plan.limits.max_partitions;
        if head.sequence > expected {
            return Err(Error::PartialGap { expected, found: head.sequence });
        }
        if known.is_none() && self.exchange.sources.len() >= limit as usize {
            return Err(Error::TooManyPartitions { limit });
        }
        self.revision += 1;
        let is_full = self.resume()? == Progress::Full
            || self.drops.waiting().len() >= self.plan.limits.max_dropped_events as usize;
        if is_full || head.sequence < expected {
            return Ok(Merged { is_new: false, full: is_full });
        }
        let mut ids = Vec::new();
        let mut reader = SectionReader::new(&keys);
        super::state::load_keys(self, &mut reader, &mut ids)?;
        reader.end()?;
        let ordinal = self.source.next_ordinal;
        let Self { stages, keys, .. } = self;
        let Some(parts) = stages.get_mut(place).and_then(|stage| stage.partial_state()) else {
            return Ok(Merged { is_new: false, full: false });
        };
        let origin = PartialOrigin { source: &head.source, sequence: head.sequence, ordinal };
        let taken = parts.stage_partial(origin, &mut SectionReader::new(&windows), &ids, keys)?;
        parts.add_counters(head.stage);
        self.source.next_ordinal = ordinal.saturating_add(taken);
        self.count_merged(head);
        let flowed = self.flow_merged();
        self.keys.reclaim();
        Ok(Merged { is_new: true, full: flowed? == Progress::Full })
    }

    /// What there is to count of a stream before its windows and in them.
    fn counters(&self, place: usize) -> Vec<u64> {
        let stage = self.stages.get(place).map(|stage| counters_of(&stage.stats(&self.keys)));
        let stage = stage.unwrap_or_default();
        let mut counters = vec![self.source.accepted()];
        counters.extend(stage.iter().take(STAGE_FIRST));
        counters.extend(self.source.rejected.iter().take(REASONS_BETWEEN));
        counters.extend(stage.iter().skip(STAGE_FIRST));
        counters.extend(self.source.rejected.iter().skip(REASONS_BETWEEN));
        counters
    }

    fn count_merged(&mut self, head: Head) {
        self.source.accepted = self.source.accepted.saturating_add(head.accepted);
        for (known, more) in self.source.rejected.iter_mut().zip(head.rejected) {
            *known = known.saturating_add(more);
        }
        let new = Remote { next: 0, watermark: NO_WATERMARK, ended: false };
        let source = self.exchange.sources.entry(head.source).or_insert(new);
        source.next = head.sequence.saturating_add(1);
        source.ended = head.watermark == END_OF_TIME;
        if !source.ended {
            source.watermark = source.watermark.max(head.watermark);
        }
    }

    /// Moves the watermark: what was merged is added, judged by the one before.
    fn flow_merged(&mut self) -> Result<Progress, Error> {
        self.source.advance(self.exchange.watermark());
        self.flow(&Events::none(self.source.watermark()))
    }

    /// Cuts partial state into its sections and checks what does not depend on the state of this engine.
    fn parse(&self, partial: &[u8]) -> Result<Parsed, SnapshotError> {
        let mut sections = Sections::new(self.plan.limits.max_snapshot_bytes);
        sections.push(partial);
        let mut next = |wanted: Kind| match sections.next()? {
            Some((kind, payload)) if kind == wanted => Ok(payload),
            Some(_) if wanted == Kind::Pipeline => Err(SnapshotError::NotAPartial),
            Some(_) => Err(SnapshotError::Damaged("sections are out of order")),
            None => Err(SnapshotError::Damaged("it ends early")),
        };
        let pipeline = next(Kind::Pipeline)?;
        let Some(identity) = pipeline.strip_prefix(&PARTIAL_MAGIC) else {
            return Err(SnapshotError::NotAPartial);
        };
        if !self.plan.agrees_with(identity) {
            return Err(SnapshotError::OtherPipeline);
        }
        let head = read_head(&next(Kind::Partial)?, self.source.rejected.len())?;
        let (keys, windows) = (next(Kind::Keys)?, next(Kind::Stage)?);
        let end = next(Kind::End)?;
        let mut reader = SectionReader::new(&end);
        if reader.u64()? != 4 || !sections.is_empty() {
            return Err(SnapshotError::Damaged("sections are missing"));
        }
        reader.end()?;
        Ok(Parsed { head, keys, windows })
    }
}

/// Reads what a block says beside its windows, where there are so many `reasons` to refuse events.
fn read_head(payload: &[u8], reasons: usize) -> Result<Head, SnapshotError> {
    let mut reader = SectionReader::new(payload);
    let length = reader.length()?;
    let source = reader.raw(length)?.into();
    let (sequence, watermark) = (reader.u64()?, reader.i64()?);
    let count = reader.length()?;
    let mut counters = reader.u64s(count)?;
    let accepted = counters.next().unwrap_or(0);
    let mut stage: Vec<u64> = counters.by_ref().take(STAGE_FIRST).collect();
    let mut rejected: Vec<u64> = counters.by_ref().take(REASONS_BETWEEN).collect();
    stage.extend(counters.by_ref().take(COUNTER_COUNT - STAGE_FIRST));
    rejected.extend(counters.take(reasons.saturating_sub(REASONS_BETWEEN)));
    // Blocks of earlier versions end before the last of them.
    let stage = core::array::from_fn(|at| stage.get(at).copied().unwrap_or(0));
    reader.end()?;
    Ok(Head { source, sequence, watermark, accepted, stage, rejected })
}
