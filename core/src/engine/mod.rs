//! The engine: a synchronous state machine that takes batches of events and hands out rows.
//!
//! An [`Engine`] owns everything that one run of a pipeline needs:
//!
//! | field | type | owns |
//! |---|---|---|
//! | `plan` | [`Plan`] | the resolved pipeline; never changes |
//! | `keys` | `Keys` | the key dictionary: encoded keys by dense id |
//! | `source` | `Source` | event time, ordinals and counters of the input, column buffers |
//! | `stages` | `dyn Stage` | the operators, each with its own state |
//! | `stage_outputs` | `Frame` | the output of each stage; the last one holds the result rows |
//! | `pending` | `Frame` | input that was accepted but not yet processed |
//! | `drops` | `Drops` | dropped events that wait for the caller |
//! | `exchange` | `Exchange` | progress of partial state, sent and received |
//!
//! A call of [`Engine::push`] passes through the files of this folder in this order:
//!
//! ```text
//!  push ──> source.rs        checks the shape of the batch, maps keys (and partitions:
//!    │                       definitions.rs) to dense ids
//!    ├────> push.rs          cuts the batch into chunks of 4,096 events
//!    │        ├> source.rs   stores the watermark in effect at each event, rejects bad events
//!    │        └> flow.rs     runs the chunk through the stages:
//!    │
//!    │          Events ─> stage 0 ─> stage_outputs[0] ─> stage 1 ─> … ─> result rows
//!    │
//!    └────> rewind.rs        if a limit refuses an event: restores the source to that event
//!
//!  poll ──> polled.rs        result rows, with their keys as bytes
//! ```
//!
//! `tick`, `advance_watermark` and `finish` move the watermark and call `flow.rs` without events.
//! If the result buffer is full, or the call has done its share of work (`stages/work.rs`), every
//! stage pauses at its cursor. The next call resumes there (`flow.rs`), so results do not depend on
//! when the caller polls.
//!
//! `state.rs` writes and reads snapshots section by section, with `frames.rs` for buffered rows.
//! `exchange.rs` sends and merges partial state. `own.rs` opens engines whose windows run
//! aggregators of the program.

mod definitions;
mod exchange;
mod flow;
mod frames;
#[cfg(feature = "custom-aggregators")]
mod own;
mod polled;
mod push;
mod rewind;
mod source;
mod state;

pub use exchange::Merged;
pub use state::{Restore, SnapshotCursor};

use crate::data::batch::Batch;
use crate::data::dropped::{Dropped, Drops};
use crate::data::frame::{Events, Frame};
use crate::data::limits_struck::LimitCounters;
use crate::data::reject::RejectReason;
use crate::data::rows::{RowColumn, Rows};
use crate::data::stats::{ReasonCount, Stats};
use crate::error::Error;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::Keys;
use crate::plan::{OutputSource, Plan};
use crate::spec::PipelineSpec;
use crate::stages::{self, Stage, WorkBudget};
use crate::time::{MAX_TIME, MIN_TIME};
use polled::PolledKeys;
use source::Source;

/// The number of rows that an output buffer between two stages holds before the earlier stage
/// pauses.
const STAGE_OUTPUT_ROWS: usize = 4096;

/// The caller's settings at open. They change where results come out, never what they are.
/// ```
/// use stream_processor_core::Options;
/// let options = Options { report_drops: true, ..Options::default() };
/// # assert!(options.report_drops);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The seed of the key table. Use a random seed for untrusted keys: with a known one, an
    /// attacker can provoke collisions.
    pub table_seed: u64,
    /// True if dropped events are kept for [`Engine::drops`].
    pub report_drops: bool,
    /// True if the first stage with windows sends them by [`Engine::partial`] instead of firing
    /// them here.
    pub emits_partials: bool,
}

/// Key ids chosen by the caller, for [`Engine::define_keys`].
/// ```
/// use stream_processor_core::{Engine, KeyDefinitions, Options, PipelineSpec, key};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut bytes = Vec::new();
/// key::push_str(&mut bytes, "api");
/// let end = u32::try_from(bytes.len()).expect("a short key");
/// engine.define_keys(&KeyDefinitions { reset: false, ids: &[0], offsets: &[0, end], bytes: &bytes })?;
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct KeyDefinitions<'a> {
    /// True if all earlier definitions are removed first.
    pub reset: bool,
    /// The ids. Dense ids are best, because they index a table.
    pub ids: &'a [u32],
    /// The offset in `bytes` where the encoded key ([`crate::key`]) of each id starts, then the end
    /// of the last one.
    pub offsets: &'a [u32],
    /// The encoded keys, concatenated.
    pub bytes: &'a [u8],
}

/// The result of [`Engine::push`].
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec, Pushed};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut events = BatchBuilder::new(engine.plan());
/// events.push(1_000_000, "api", &[31.0])?;
/// assert_eq!(events.push_to(&mut engine)?, Pushed { consumed: 1, full: false });
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The number of events that were taken, from the front of the batch.
    pub consumed: usize,
    /// True if the call paused: the result buffer is full, or the call has done as much as
    /// `limits.max_call_work` allows. Poll, and take the dropped events if they are reported. Then
    /// push the remaining events (or an empty batch, if none remain).
    pub full: bool,
}

/// The result of a call that may pause: at a full result buffer, or when it has done as much as
/// `limits.max_call_work` allows.
/// ```
/// use stream_processor_core::{Engine, Options, PipelineSpec, Progress};
/// let spec = PipelineSpec::from_json(r#"{"source": {"key": "service", "value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "10s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// while engine.finish()? == Progress::Full {
///     while engine.poll(1_000).is_some() {}
/// }
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The call is complete.
    Done,
    /// The call is not complete: poll, then call again.
    Full,
}

/// Runs one pipeline over one stream of events.
///
/// Results depend only on the pipeline and the events in their order. Batch boundaries, the times
/// of polls, and a restore from a snapshot change nothing.
/// ```
/// use stream_processor_core::{BatchBuilder, Engine, Options, PipelineSpec, Progress};
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let mut events = BatchBuilder::new(engine.plan());
/// for (time, latency) in [(100_000, 1.0), (900_000, 2.0), (1_500_000, 5.0)] {
///     events.push(time, (), &[latency])?;
/// }
/// assert_eq!(events.push_to(&mut engine)?.consumed, 3);
/// assert_eq!(engine.poll(100).and_then(|rows| rows.number(0, "avg")), Some(1.5)); // the first second
/// assert_eq!(engine.finish()?, Progress::Done);
/// assert_eq!(engine.poll(100).and_then(|rows| rows.number(0, "avg")), Some(5.0));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
pub struct Engine {
    plan: Plan,
    options: Options,
    keys: Keys,
    source: Source,
    stages: Vec<Box<dyn Stage>>,
    /// The output buffer of each stage; the last one holds the rows that wait to be polled.
    stage_outputs: Vec<Frame>,
    /// Events, or a watermark, that were accepted but not yet processed.
    pending: Option<Frame>,
    drops: Drops,
    exchange: exchange::Exchange,
    finished: bool,
    /// The number of calls that each [`Limit`](crate::plan::Limit) has ended.
    refusals: [u64; 3],
    /// The work that the current call may still do.
    work: WorkBudget,
    /// The number of events that pass the stages at once.
    chunk_events: usize,
    /// Incremented by every change, so that a snapshot in progress detects it.
    revision: u64,
    /// The encoded keys of the rows that were polled last.
    polled: PolledKeys,
    /// True if windows run aggregators of the program, whose state cannot be written.
    #[cfg(feature = "custom-aggregators")]
    has_own_state: bool,
}

impl Engine {
    /// Creates an engine at the beginning of a stream.
    ///
    /// # Errors
    /// [`Error::Spec`] if the pipeline is inconsistent; see [`Plan::new`].
    #[inline]
    pub fn open(spec: &PipelineSpec, options: Options) -> Result<Self, Error> {
        Self::of_plan(Plan::new(spec)?, options)
    }

    #[inline]
    fn of_plan(plan: Plan, options: Options) -> Result<Self, Error> {
        let mut keys = Keys::new(options.table_seed, plan.limits.max_key_bytes);
        let source = Source::new(&plan, &mut keys, options.table_seed);
        let mut stages: Vec<_> = (0..)
            .zip(&plan.stages)
            .map(|(index, plan)| plan.stage.build(index, options.table_seed))
            .collect();
        if options.emits_partials {
            let index = exchange::window_stage(&plan)?;
            let windows = stages.remove(index);
            stages.insert(index, stages::collecting_partials(windows));
        }
        let result_rows = plan.limits.max_result_rows as usize;
        let last = plan.stages.len().saturating_sub(1);
        let event_work = stages.iter().map(|stage| stage.event_work()).fold(1, u64::saturating_add);
        let chunk_events = u64::from(plan.limits.max_call_work) / event_work;
        let chunk_events = usize::try_from(chunk_events).unwrap_or(usize::MAX);
        let chunk_events = chunk_events.clamp(1, push::CHUNK_EVENTS);
        let stage_rows = chunk_events.min(STAGE_OUTPUT_ROWS);
        let capacity = |index| if index == last { result_rows } else { stage_rows };
        let stage_plans = plan.stages.iter().enumerate();
        let stage_outputs = stage_plans
            .map(|(index, stage)| {
                let identity_columns = plan.identity_columns_after(index);
                Frame::new(&stage.layout, identity_columns, capacity(index))
            })
            .collect();
        Ok(Self {
            plan,
            options,
            keys,
            source,
            stages,
            stage_outputs,
            pending: None,
            drops: Drops::new(options.report_drops),
            exchange: exchange::Exchange::default(),
            finished: false,
            refusals: [0; 3],
            work: WorkBudget::unlimited(),
            chunk_events,
            revision: 0,
            polled: PolledKeys::default(),
            #[cfg(feature = "custom-aggregators")]
            has_own_state: false,
        })
    }

    /// Returns the pipeline that this engine runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the options given at open.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// Returns the stream's watermark, microseconds: [`NO_WATERMARK`] before the first event,
    /// [`END_OF_TIME`] at the end.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.source.watermark()
    }

    /// Returns the earliest host time at which [`Engine::tick`] has an effect, or `None` if nothing
    /// waits for host time. Returns [`crate::time::MIN_TIME`] if the first tick has an effect at
    /// any time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.source.time.next_deadline()
    }

    /// Returns the ordinal of the next event, where its batch gives none.
    #[must_use]
    pub fn next_ordinal(&self) -> u64 {
        self.source.next_ordinal
    }

    /// Returns the number of rows that wait to be polled.
    #[must_use]
    pub fn waiting_rows(&self) -> usize {
        self.stage_outputs.last().map_or(0, |rows| rows.len() - rows.cursor)
    }

    /// Returns true if rows or dropped events must be taken before the engine can continue. Where a
    /// call returned that the buffer is full and this is false, the call ended because of
    /// `limits.max_call_work`.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let max_drops = self.plan.limits.max_dropped_events as usize;
        self.stage_outputs.last().is_some_and(|rows| rows.room() == 0)
            || self.drops.waiting().len() >= max_drops
    }

    /// Grants a call its work.
    fn begin_call(&mut self) {
        self.revision += 1;
        self.work = WorkBudget::new(self.plan.limits.max_call_work);
    }

    /// Returns the counters of the engine and its stages.
    #[must_use]
    #[inline]
    pub fn stats(&self) -> Stats {
        let stages: Vec<_> = self.stages.iter().map(|stage| stage.stats(&self.keys)).collect();
        let sum = |count: fn(&crate::StageStats) -> u64| stages.iter().map(count).sum();
        let limits = LimitCounters {
            stages: &stages,
            refusals: self.refusals,
            rejects_partitions: self.source.has_rejected(RejectReason::PartitionLimit),
        };
        let reasons = self.source.rejected();
        Stats {
            events: self.source.accepted(),
            rejected: reasons.iter().map(|ReasonCount { count, .. }| count).sum(),
            late_dropped: sum(|stage| stage.late_dropped),
            limit_dropped: sum(crate::StageStats::limit_dropped),
            limit_refused: self.refusals.iter().sum(),
            evicted_events: sum(|stage| stage.evicted_events),
            state_bytes: sum(|stage| stage.state_bytes),
            duplicates: sum(|stage| stage.duplicates),
            unjudged: sum(|stage| stage.unjudged),
            unassigned: sum(|stage| stage.unassigned),
            future: self.source.time.future,
            rows: stages.last().map_or(0, |stage| stage.rows),
            rejected_by_reason: reasons,
            limits_struck: limits.struck(),
            watermark: Some(self.watermark())
                .filter(|watermark| *watermark != NO_WATERMARK && *watermark != END_OF_TIME),
            partitions: self.source.time.partition_stats(),
            stages,
        }
    }

    /// Assigns ids chosen by the caller to keys, for [`crate::KeyColumn::Ids`]. Events whose key is
    /// longer than `limits.max_key_bytes` are rejected.
    ///
    /// Ids index a table: each must be less than 2 × `limits.max_dictionary_keys` + 4 × the number
    /// of defined ids, those of `definitions` included.
    ///
    /// # Errors
    /// [`Error::MalformedBlock`] and [`Error::InvalidKey`]; in both cases nothing is defined.
    pub fn define_keys(&mut self, definitions: &KeyDefinitions<'_>) -> Result<(), Error> {
        let fields = self.plan.input.key.len();
        if fields == 0 {
            return Err(Error::KeysMismatch("the pipeline has no key: there is nothing to define"));
        }
        let id_bound = definitions::id_bound(definitions, &self.keys, &self.plan.limits);
        let form = (fields, self.plan.input.on_null_key);
        let keys = definitions::checked(definitions, form, id_bound)?;
        self.revision += 1;
        if definitions.reset {
            self.keys.undefine(0..u32::MAX);
        }
        self.keys.define_all(definitions.ids, keys);
        Ok(())
    }

    /// Processes events in stream order until the batch ends or the result buffer is full.
    ///
    /// Events with a time out of range or without a required value are rejected and counted. They
    /// are not an error.
    ///
    /// # Errors
    /// Returns an error for a batch of the wrong shape, an undefined key id, or events after
    /// [`Engine::finish`]. [`Error::LimitReached`] says how many events were taken before the
    /// limit.
    pub fn push(&mut self, batch: &Batch<'_>) -> Result<Pushed, Error> {
        if self.finished {
            return Err(Error::Finished);
        }
        if !self.exchange.sources.is_empty() {
            return Err(Error::PartialsMismatch(
                "the engine takes partial state: give events to one that emits partials",
            ));
        }
        let admitted = self.source.admit(&self.plan, batch, &mut self.keys);
        if admitted.is_err() {
            // Keys before the refused one are already interned.
            self.keys.reclaim();
        }
        admitted?;
        self.begin_call();
        let pushed = self.push_admitted(batch);
        self.keys.reclaim();
        pushed
    }

    /// Moves the stream's watermark forward to `watermark`, microseconds. Does nothing if that is
    /// not forward. For sources that know the time without events.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: a later stage refused a row. Call again to continue.
    pub fn advance_watermark(&mut self, watermark: i64) -> Result<Progress, Error> {
        self.begin_call();
        let watermark = watermark.min(END_OF_TIME - 1);
        self.move_to(watermark)
    }

    /// Sets the host's time, microseconds; it never moves back. Events count as arrived at the time
    /// of the last tick before them. If `time` has options that use host time, tick before every
    /// push.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: a later stage refused a row. Call again to continue.
    pub fn tick(&mut self, now: i64) -> Result<Progress, Error> {
        self.begin_call();
        if self.resume()? == Progress::Full {
            return Ok(Progress::Full);
        }
        let before = self.watermark();
        let Self { source, plan, .. } = self;
        source.time.tick(now, |greatest| plan.closed_at(greatest));
        let moved = self.watermark();
        if moved == before { Ok(Progress::Done) } else { self.flow(&Events::none(moved)) }
    }

    /// Moves the stream's watermark as an event at `time`, microseconds, that another engine
    /// processes. Returns the reason if the event is rejected for its time: it is counted here, and
    /// the other engine must not take it.
    ///
    /// For engines that each process some keys of one stream under one watermark: one engine has
    /// the times of all events, and the others get its watermark ([`Batch::watermarks`]). `marked`
    /// says that `time.watermark_field` marks the event. Windows fire with the next call of
    /// [`Engine::advance_watermark`].
    pub fn observe(&mut self, time: i64, marked: bool) -> Option<RejectReason> {
        self.revision += 1;
        if !(MIN_TIME..=MAX_TIME).contains(&time) {
            self.source.count(Some(RejectReason::TimestampOutOfRange));
            return Some(RejectReason::TimestampOutOfRange);
        }
        let reason = self.source.time.observe_unpartitioned(time, marked);
        if reason.is_some() {
            self.source.count(reason);
        }
        reason
    }

    /// Ends the stream and fires all open windows. If the result buffer is full, poll and call
    /// again.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: a later stage refused a row. Call again to continue.
    pub fn finish(&mut self) -> Result<Progress, Error> {
        self.begin_call();
        self.finished = true;
        self.move_to(END_OF_TIME)
    }

    /// Returns up to `max_rows` waiting rows, the oldest first, or `None` if none wait.
    pub fn poll(&mut self, max_rows: usize) -> Option<Rows<'_>> {
        let left = self.waiting_rows();
        if left == 0 {
            self.discard_polled();
        }
        let waiting = left.min(max_rows);
        if waiting == 0 {
            return None;
        }
        self.revision += 1;
        let Self { stage_outputs, keys, polled, plan, .. } = self;
        let frame = stage_outputs.last_mut()?;
        let range = frame.cursor..frame.cursor + waiting;
        frame.cursor = range.end;
        polled.set(frame.keys.get(range.clone()).unwrap_or_default(), keys);
        Some(Rows {
            schema: Some(&plan.output),
            firing: frame.firing.get(range.clone()).unwrap_or_default(),
            ranks: frame.ranks.get(range.clone()).unwrap_or_default(),
            key_offsets: &polled.offsets,
            key_bytes: &polled.bytes,
            columns: plan
                .output_sources
                .iter()
                .map(|source| match source {
                    OutputSource::Timestamp => {
                        RowColumn::Time(frame.timestamps.get(range.clone()).unwrap_or_default())
                    }
                    OutputSource::Column(column) => frame
                        .columns
                        .get(*column)
                        .map_or(RowColumn::Number(&[]), |column| column.rows(range.clone())),
                })
                .collect(),
        })
    }

    /// Returns and removes up to `max` dropped events, the oldest first. They are kept only if
    /// [`Options::report_drops`] is set.
    pub fn drops(&mut self, max: usize) -> Vec<Dropped> {
        self.revision += 1;
        self.drops.take(max)
    }

    /// Counts an event that a reader rejected before it could be pushed.
    pub fn count_rejected(&mut self, reason: RejectReason) {
        self.revision += 1;
        self.source.count_rejected(reason);
    }

    /// Discards polled rows once they are at least as many as the waiting rows, which have to be
    /// moved.
    fn discard_polled(&mut self) {
        self.polled.clear();
        let enough = |rows: &&mut Frame| rows.cursor > 0 && rows.cursor >= rows.len() - rows.cursor;
        if let Some(rows) = self.stage_outputs.last_mut().filter(enough) {
            rows.discard_consumed(&mut self.keys);
        }
    }
}
