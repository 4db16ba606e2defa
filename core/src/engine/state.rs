//! Snapshot and restore: the whole state of an engine, section by section.
//!
//! A snapshot is canonical: equal state gives equal bytes. Keys are written once, sorted by their
//! bytes, and all other sections refer to a key by its position in that list. The sections:
//!
//! ```text
//!  Pipeline  Source  [Time]  [Exchange]  Keys  Stage…  Frame…  Frame (pending)  Drops  End
//! ```

use super::frames::{PENDING, load_drops, load_frame, save_drops, save_frame};
use super::source::MAX_NEXT_ORDINAL;
use super::{Engine, Options};
use crate::error::{Error, SnapshotError};
use crate::event_time::watermark::END_OF_TIME;
use crate::snapshot::{
    Kind, MAGIC, SectionReader, SectionWriter, Sections, StateReader, StateWriter, write_section,
};
use crate::spec::PipelineSpec;

/// The number of rejection reasons in the first snapshot version.
const VERSION_1_REASONS: usize = 13;
/// Stands for "no stage" and "no window".
const NONE: u32 = u32::MAX;

/// The position of a snapshot in progress. It is valid as long as the engine does not change.
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut cursor = engine.begin_snapshot();
/// let mut section = Vec::new();
/// while engine.write_section(&mut cursor, &mut section)? {
///     // Store the section.
///     section.clear();
/// }
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SnapshotCursor {
    next: Step,
    revision: u64,
    /// The position of each key by id; `order` has the ids by position.
    positions: Vec<u32>,
    order: Vec<u32>,
    sections: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Pipeline,
    Source,
    Time,
    Exchange,
    Keys,
    Stage(usize, Option<i64>),
    StageOutput(usize),
    Pending,
    Drops,
    End,
    Done,
}

impl Engine {
    /// Begins a snapshot. Read it with [`Engine::write_section`] before the engine is used again.
    #[inline]
    pub fn begin_snapshot(&mut self) -> SnapshotCursor {
        self.discard_polled();
        // Consumed rows must not retain keys that the snapshot would then contain.
        let Self { stage_outputs, pending, keys, .. } = self;
        stage_outputs.iter_mut().chain(pending).for_each(|frame| frame.discard_consumed(keys));
        let (positions, order) = self.keys.canonical();
        let revision = self.revision;
        SnapshotCursor { next: Step::Pipeline, revision, positions, order, sections: 0, bytes: 0 }
    }

    /// Appends the next section of a snapshot to `bytes`. Returns `false` if there are no more
    /// sections.
    ///
    /// # Errors
    /// [`SnapshotError::Outdated`] if the engine has changed, [`SnapshotError::TooLarge`] beyond
    /// the limit. [`Error::CustomState`] for an engine with aggregators of the program.
    #[inline]
    pub fn write_section(
        &mut self,
        cursor: &mut SnapshotCursor,
        bytes: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        #[cfg(feature = "custom-aggregators")]
        if self.has_own_state {
            return Err(Error::CustomState);
        }
        if cursor.revision != self.revision {
            return Err(SnapshotError::Outdated.into());
        }
        if cursor.next == Step::Done {
            return Ok(false);
        }
        let before = bytes.len();
        cursor.next = self.write_step(cursor, bytes)?;
        cursor.sections += 1;
        cursor.bytes += (bytes.len() - before) as u64;
        let limit = self.plan.limits.max_snapshot_bytes;
        if cursor.bytes > limit {
            return Err(SnapshotError::TooLarge { limit }.into());
        }
        Ok(true)
    }

    /// Returns the whole snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::TooLarge`] beyond `limits.max_snapshot_bytes`. [`Error::CustomState`] for an
    /// engine with aggregators of the program.
    #[inline]
    pub fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        let mut cursor = self.begin_snapshot();
        let mut bytes = Vec::new();
        while self.write_section(&mut cursor, &mut bytes)? {}
        Ok(bytes)
    }

    /// Creates an engine that continues from `snapshot`. The caller has to define its key ids
    /// again.
    ///
    /// # Errors
    /// [`Error::Spec`] for an inconsistent pipeline, [`Error::Snapshot`] for bytes that are not a
    /// snapshot of it.
    #[inline]
    pub fn restore(spec: &PipelineSpec, options: Options, snapshot: &[u8]) -> Result<Self, Error> {
        let mut restore = Restore::new(spec, options)?;
        restore.push(snapshot)?;
        restore.finish()
    }

    /// Writes one section and returns the next step.
    #[inline]
    fn write_step(
        &mut self,
        cursor: &SnapshotCursor,
        bytes: &mut Vec<u8>,
    ) -> Result<Step, SnapshotError> {
        Ok(match cursor.next {
            Step::Pipeline => {
                write_section(bytes, Kind::Pipeline, |writer| {
                    writer.raw(&MAGIC);
                    writer.raw(&self.identity());
                });
                Step::Source
            }
            Step::Source => {
                write_section(bytes, Kind::Source, |writer| self.save_source(writer));
                if self.source.time.is_simple() { self.after_time() } else { Step::Time }
            }
            Step::Time => {
                write_section(bytes, Kind::Time, |writer| self.source.time.save(writer));
                self.after_time()
            }
            Step::Exchange => {
                write_section(bytes, Kind::Exchange, |writer| self.exchange.save(writer));
                Step::Keys
            }
            Step::Keys => {
                write_section(bytes, Kind::Keys, |writer| self.save_keys(&cursor.order, writer));
                Step::Stage(0, None)
            }
            Step::Stage(index, from) => self.save_stage(index, from, cursor, bytes)?,
            Step::StageOutput(index) => {
                write_section(bytes, Kind::Frame, |writer| {
                    writer.u32(u32::try_from(index).unwrap_or(NONE));
                    if let Some(output) = self.stage_outputs.get(index) {
                        save_frame(output, &cursor.positions, writer);
                    }
                });
                if index + 1 < self.stage_outputs.len() {
                    Step::StageOutput(index + 1)
                } else {
                    Step::Pending
                }
            }
            Step::Pending => {
                write_section(bytes, Kind::Frame, |writer| {
                    writer.u32(PENDING);
                    writer.u32(u32::from(self.pending.is_some()));
                    if let Some(pending) = &self.pending {
                        save_frame(pending, &cursor.positions, writer);
                    }
                });
                Step::Drops
            }
            Step::Drops => {
                write_section(bytes, Kind::Drops, |writer| {
                    save_drops(self.drops.waiting(), writer)
                });
                Step::End
            }
            Step::End | Step::Done => {
                write_section(bytes, Kind::End, |writer| writer.u64(cursor.sections));
                Step::Done
            }
        })
    }

    #[inline]
    fn after_time(&self) -> Step {
        if self.exchange.is_used() { Step::Exchange } else { Step::Keys }
    }

    /// Returns the identity that a snapshot must match: the pipeline, and whether the engine emits
    /// partial state.
    #[inline]
    fn identity(&self) -> Vec<u8> {
        [self.plan.identity.as_bytes(), self.role()].concat()
    }

    #[inline]
    fn role(&self) -> &'static [u8] {
        if self.options.emits_partials { b" emits partials" } else { b"" }
    }

    #[inline]
    fn save_source(&self, writer: &mut SectionWriter<'_>) {
        writer.i64(self.source.watermark());
        writer.u64(self.source.next_ordinal);
        writer.i64(self.source.time.now());
        writer.count(self.source.accepted);
        writer.u32(u32::from(self.finished));
        // Reasons added after version 1 are written only if counted, so that equal state keeps
        // giving the same bytes.
        let counts = &self.source.rejected;
        let last = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let written = last.max(VERSION_1_REASONS.min(counts.len()));
        writer.length(written);
        writer.counts(counts.iter().take(written).copied());
        if self.plan.refuses {
            writer.counts(self.refusals.into_iter());
        }
    }

    #[inline]
    fn save_keys(&self, order: &[u32], writer: &mut SectionWriter<'_>) {
        writer.length(order.len());
        for id in order {
            let bytes = self.keys.bytes(*id);
            writer.length(bytes.len());
            writer.raw(bytes);
        }
    }

    #[inline]
    fn save_stage(
        &mut self,
        index: usize,
        from: Option<i64>,
        cursor: &SnapshotCursor,
        bytes: &mut Vec<u8>,
    ) -> Result<Step, SnapshotError> {
        let next = write_section(bytes, Kind::Stage, |writer| {
            writer.u32(u32::try_from(index).unwrap_or(NONE));
            match self.stages.get_mut(index) {
                Some(stage) => stage.save(from, &mut StateWriter::new(writer, &cursor.positions)),
                None => Ok(None),
            }
        });
        Ok(match next? {
            Some(from) => Step::Stage(index, Some(from)),
            None if index + 1 < self.stages.len() => Step::Stage(index + 1, None),
            None => Step::StageOutput(0),
        })
    }
}

/// Restores an engine from a snapshot that arrives in pieces.
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec, Restore};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut cursor = engine.begin_snapshot();
/// let mut section = Vec::new();
/// let mut restore = Restore::new(&spec, Options::default())?;
/// while engine.write_section(&mut cursor, &mut section)? {
///     restore.push(&section)?;
///     section.clear();
/// }
/// let restored: Engine = restore.finish()?;
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
pub struct Restore {
    engine: Engine,
    sections: Sections,
    /// The engine's id of each key of the snapshot.
    ids: Vec<u32>,
    read: u64,
    /// The place of the last section in the order of a snapshot.
    last: Place,
}

/// The place of a section in the order of a snapshot; stages may have several sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Begin,
    Pipeline,
    Source,
    Time,
    Exchange,
    Keys,
    Stage(usize),
    StageOutput(usize),
    Pending,
    Drops,
    End,
}

impl Restore {
    /// Begins to restore a snapshot of the pipeline `spec`.
    ///
    /// # Errors
    /// [`Error::Spec`] if the pipeline is inconsistent.
    #[inline]
    pub fn new(spec: &PipelineSpec, options: Options) -> Result<Self, Error> {
        let engine = Engine::open(spec, options)?;
        let sections = Sections::new(engine.plan.limits.max_snapshot_bytes);
        Ok(Self { engine, sections, ids: Vec::new(), read: 0, last: Place::Begin })
    }

    /// Reads the next piece, of any length.
    ///
    /// # Errors
    /// [`Error::Snapshot`]; after it, this value cannot be used further.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sections.push(bytes);
        while let Some((kind, payload)) = self.sections.next()? {
            let mut reader = SectionReader::new(&payload);
            let place = self.place(kind, &payload)?;
            let before = core::mem::replace(&mut self.last, place);
            self.check_order(before)?;
            self.load(kind, before != self.last, &mut reader)?;
            reader.end()?;
            self.read += 1;
        }
        Ok(())
    }

    /// Returns the engine, once the snapshot is complete.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if part of it is missing.
    #[inline]
    pub fn finish(self) -> Result<Engine, Error> {
        if self.read == 0 && !self.sections.is_empty() {
            return Err(SnapshotError::NotASnapshot.into());
        }
        if self.last != Place::End || !self.sections.is_empty() {
            return Err(
                SnapshotError::Damaged("it ends before its last section is complete").into()
            );
        }
        self.check()?;
        Ok(self.engine)
    }

    /// Returns the place of a section.
    #[inline]
    fn place(&self, kind: Kind, payload: &[u8]) -> Result<Place, SnapshotError> {
        let mut reader = SectionReader::new(payload);
        Ok(match kind {
            Kind::Pipeline => Place::Pipeline,
            Kind::Source => Place::Source,
            Kind::Time => Place::Time,
            Kind::Exchange => Place::Exchange,
            Kind::Keys => Place::Keys,
            Kind::Stage => Place::Stage(reader.u32()? as usize),
            Kind::Frame => match reader.u32()? {
                PENDING => Place::Pending,
                index => Place::StageOutput(index as usize),
            },
            Kind::Drops => Place::Drops,
            Kind::End => Place::End,
            Kind::Partial | Kind::Deduplicator | Kind::Group => {
                return Err(SnapshotError::NotASnapshot);
            }
        })
    }

    /// Checks that the last section follows the one before it.
    #[inline]
    fn check_order(&self, before: Place) -> Result<(), SnapshotError> {
        let (stages, outputs) = (self.engine.stages.len(), self.engine.stage_outputs.len());
        let has_time = !self.engine.source.time.is_simple();
        let follows = match (before, self.last) {
            (Place::Begin, Place::Pipeline) | (Place::Pipeline, Place::Source) => true,
            (Place::Source, Place::Time) => has_time,
            (Place::Source, Place::Exchange | Place::Keys) => !has_time,
            (Place::Time, Place::Exchange | Place::Keys) | (Place::Exchange, Place::Keys) => true,
            (Place::Keys, Place::Stage(0)) => true,
            (Place::Stage(before), Place::Stage(stage)) => {
                (stage == before || stage == before + 1) && stage < stages
            }
            (Place::Stage(before), Place::StageOutput(0)) => before + 1 == stages,
            (Place::StageOutput(before), Place::StageOutput(output)) => {
                output == before + 1 && output < outputs
            }
            (Place::StageOutput(before), Place::Pending) => before + 1 == outputs,
            (Place::Pending, Place::Drops) | (Place::Drops, Place::End) => true,
            _ => false,
        };
        match follows {
            true => Ok(()),
            false => Err(SnapshotError::Damaged("sections are out of order, or one is missing")),
        }
    }

    /// Checks what depends on several sections.
    #[inline]
    fn check(&self) -> Result<(), SnapshotError> {
        let Engine { source, stages, pending, keys, .. } = &self.engine;
        let waiting = pending.as_ref().map(|frame| frame.watermark);
        let is_at_end = [Some(source.watermark()), waiting].contains(&Some(END_OF_TIME));
        if is_at_end && !self.engine.finished {
            return Err(SnapshotError::Damaged(
                "a watermark is at the end of time, but the stream has not ended",
            ));
        }
        if self.ids.iter().any(|id| !keys.is_retained(*id)) {
            return Err(SnapshotError::Damaged("a key belongs to no state"));
        }
        stages.iter().try_for_each(|stage| stage.check_restored(keys))
    }

    #[inline]
    fn load(
        &mut self,
        kind: Kind,
        is_first: bool,
        reader: &mut SectionReader<'_>,
    ) -> Result<(), SnapshotError> {
        let engine = &mut self.engine;
        match kind {
            Kind::Pipeline => {
                if reader.raw(MAGIC.len())? != MAGIC {
                    return Err(SnapshotError::NotASnapshot);
                }
                let pipeline = reader.rest().strip_suffix(engine.role());
                match pipeline.is_some_and(|pipeline| engine.plan.agrees_with(pipeline)) {
                    true => Ok(()),
                    false => Err(SnapshotError::OtherPipeline),
                }
            }
            Kind::Source => load_source(engine, reader),
            Kind::Time if engine.source.time.is_simple() => {
                Err(SnapshotError::Damaged("it has partitions, but the pipeline has none"))
            }
            Kind::Time => engine.source.time.load(reader),
            Kind::Exchange => engine.exchange.load(reader, engine.plan.limits.max_partitions),
            Kind::Partial | Kind::Deduplicator | Kind::Group => Err(SnapshotError::NotASnapshot),
            Kind::Keys => load_keys(engine, reader, &mut self.ids),
            Kind::Stage => {
                let index = reader.u32()? as usize;
                let stage = engine.stages.get_mut(index);
                let stage = stage.ok_or(SnapshotError::Damaged(
                    "a section belongs to a stage that the pipeline does not have",
                ))?;
                let section = SectionReader::new(reader.rest());
                let state = StateReader::new(section, &self.ids, &mut engine.keys);
                let mut state = state.for_section(is_first);
                stage.load(&mut state)?;
                state.section.end()
            }
            Kind::Frame => load_frame(engine, reader, &self.ids),
            Kind::Drops => {
                engine.drops.restore(load_drops(reader)?);
                Ok(())
            }
            Kind::End => match reader.u64()? == self.read {
                true => Ok(()),
                false => Err(SnapshotError::Damaged("a section is missing")),
            },
        }
    }
}

#[inline]
fn load_source(engine: &mut Engine, reader: &mut SectionReader<'_>) -> Result<(), SnapshotError> {
    engine.source.advance(reader.i64()?);
    engine.source.next_ordinal = reader.u64()?;
    if engine.source.next_ordinal > MAX_NEXT_ORDINAL {
        return Err(SnapshotError::Damaged("the number of the next event is greater than 2^63"));
    }
    engine.source.time.load_now(reader.i64()?);
    engine.source.accepted = reader.count()?;
    engine.finished = reader.flag()?;
    // Reasons added after version 1 are there if they were counted.
    let reasons = reader.length()?;
    let rejected = &mut engine.source.rejected;
    let known = VERSION_1_REASONS.min(rejected.len())..=rejected.len();
    let counts: Vec<u64> = reader.counts(reasons)?.collect();
    let is_needed = reasons == VERSION_1_REASONS || counts.last().is_some_and(|last| *last > 0);
    if !known.contains(&reasons) || !is_needed {
        return Err(SnapshotError::Damaged("the number of rejection reasons is invalid"));
    }
    rejected.iter_mut().zip(counts).for_each(|(count, saved)| *count = saved);
    if engine.plan.refuses {
        for times in &mut engine.refusals {
            *times = reader.count()?;
        }
    }
    Ok(())
}

#[inline]
pub(super) fn load_keys(
    engine: &mut Engine,
    reader: &mut SectionReader<'_>,
    ids: &mut Vec<u32>,
) -> Result<(), SnapshotError> {
    let count = reader.length()?;
    let mut before: Option<&[u8]> = None;
    for _ in 0..count {
        let length = reader.length()?;
        let key = reader.raw(length)?;
        if before.is_some_and(|before| before >= key) {
            return Err(SnapshotError::Damaged("keys are out of order"));
        }
        if !engine.plan.is_key(key) {
            return Err(SnapshotError::Damaged(
                "a key does not have the fields of the pipeline's key",
            ));
        }
        ids.push(engine.keys.intern(key));
        before = Some(key);
    }
    Ok(())
}
