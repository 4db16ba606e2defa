//! The engine: a state machine that takes batches and hands out rows, and does nothing by itself.

mod definitions;
mod exchange;
mod flow;
mod frames;
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
use crate::data::reject::RejectReason;
use crate::data::rows::{RowColumn, Rows};
use crate::data::stats::{ReasonCount, Stats};
use crate::error::Error;
use crate::event_time::watermark::{END_OF_TIME, NO_WATERMARK};
use crate::keys::Keys;
use crate::plan::{Limit, Plan, Shown};
use crate::spec::PipelineSpec;
use crate::stages::{self, Stage};
use polled::PolledKeys;
use source::Source;

/// Rows that wait between two stages before the later one takes them.
const LINK_ROWS: usize = 4096;

/// What the caller decides at open; nothing of it changes results, but for where they come out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The seed of the key table. Give a random one where keys come from strangers: a known one invites flooding.
    pub table_seed: u64,
    /// Whether dropped events are kept for [`Engine::drops`].
    pub report_drops: bool,
    /// Whether the windows of the first stage that has some go out by [`Engine::partial`], and so never fire here.
    pub emits_partials: bool,
}

/// Key ids of the caller's own choice, for [`Engine::define_keys`].
#[derive(Debug, Clone, Copy)]
pub struct KeyDefinitions<'a> {
    /// Whether all ids that were defined before are forgotten first.
    pub reset: bool,
    /// The ids; dense ones are best, they index a table.
    pub ids: &'a [u32],
    /// Where the encoded key ([`crate::key`]) of each id starts in `bytes`, and the end of the last one.
    pub offsets: &'a [u32],
    /// The encoded keys, end to end.
    pub bytes: &'a [u8],
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Events that were taken, from the front of the batch.
    pub consumed: usize,
    /// Whether the result buffer is full: poll, and take the dropped events if they are reported; then push the rest (or
    /// an empty batch, if there is none).
    pub full: bool,
}

/// Whether something was done completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All of it.
    Done,
    /// The result buffer is full: poll, then call again.
    Full,
}

/// Runs one pipeline over one stream of events.
///
/// Results are a function of the pipeline and of the events in their order alone: how they are cut into batches, when the
/// engine is polled, and whether it was restored from a snapshot in between change nothing.
/// ```
/// use stream_processor_core::{Batch, Column, Engine, KeyColumn, Options, PipelineSpec, Progress};
///
/// let spec = PipelineSpec::from_json(r#"{"source": {"value": "latency"}, "stages":
///     [{"type": "window", "window": "tumbling", "size": "1s", "aggregations": ["count", "avg"]}]}"#)?;
/// let mut engine = Engine::open(&spec, Options::default())?;
/// let batch = Batch {
///     timestamps: &[100_000, 900_000, 1_500_000],
///     keys: KeyColumn::Unkeyed,
///     columns: &[Column::F64(&[1.0, 2.0, 5.0])],
///     identities: &[],
///     ordinals: None,
///     watermarks: None,
///     partitions: None,
/// };
/// assert_eq!(engine.push(&batch)?.consumed, 3);
/// assert_eq!(engine.poll(100).map(|rows| rows.len()), Some(1)); // the first second is over
/// assert_eq!(engine.finish()?, Progress::Done);
/// assert_eq!(engine.poll(100).map(|rows| rows.len()), Some(1));
/// # Ok::<(), stream_processor_core::Error>(())
/// ```
pub struct Engine {
    plan: Plan,
    options: Options,
    keys: Keys,
    source: Source,
    stages: Vec<Box<dyn Stage>>,
    /// What each stage has made and the next has not taken; the last one waits for the caller.
    links: Vec<Frame>,
    /// Events, or a watermark, that were taken when the result buffer filled up.
    pending: Option<Frame>,
    drops: Drops,
    exchange: exchange::Exchange,
    finished: bool,
    /// Calls that each [`Limit`] has ended.
    refusals: [u64; 3],
    /// Goes up with every change, so that a snapshot in progress notices.
    revision: u64,
    /// The keys of the rows that were last handed out.
    polled: PolledKeys,
}

impl Engine {
    /// An engine at the beginning of a stream.
    ///
    /// # Errors
    /// [`Error::Spec`] where the pipeline does not fit together; see [`Plan::new`].
    pub fn open(spec: &PipelineSpec, options: Options) -> Result<Self, Error> {
        let plan = Plan::new(spec)?;
        let mut keys = Keys::new(options.table_seed);
        let source = Source::new(&plan, &mut keys, options.table_seed);
        let mut stages: Vec<_> = (0..)
            .zip(&plan.stages)
            .map(|(index, plan)| stages::build(index, plan, options.table_seed))
            .collect();
        if options.emits_partials {
            let place = exchange::window_stage(&plan)?;
            let windows = stages.remove(place);
            stages.insert(place, stages::collecting_partials(windows));
        }
        let result_rows = plan.limits.max_result_rows as usize;
        let last = plan.stages.len().saturating_sub(1);
        let capacity = |place| if place == last { result_rows } else { LINK_ROWS };
        let links = plan.stages.iter().enumerate();
        let links = links
            .map(|(place, stage)| {
                let ways = plan.ways_behind(place);
                Frame::new(stage.columns(), ways, capacity(place))
            })
            .collect();
        Ok(Self {
            plan,
            options,
            keys,
            source,
            stages,
            links,
            pending: None,
            drops: Drops::new(options.report_drops),
            exchange: exchange::Exchange::default(),
            finished: false,
            refusals: [0; 3],
            revision: 0,
            polled: PolledKeys::default(),
        })
    }

    /// What this engine runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the caller decided at open.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// The stream's watermark, microseconds; [`NO_WATERMARK`] before the first event, [`END_OF_TIME`] at the end.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.source.watermark()
    }

    /// The host time from which [`Engine::tick`] has something to do; `None`: nothing waits for host time. What waits for
    /// the first tick has [`crate::time::MIN_TIME`]: any time will do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        self.source.time.next_deadline()
    }

    /// The place in the stream that the next event gets, where its batch names none.
    #[must_use]
    pub fn next_ordinal(&self) -> u64 {
        self.source.next_ordinal
    }

    /// Rows that wait to be polled.
    #[must_use]
    pub fn waiting_rows(&self) -> usize {
        self.links.last().map_or(0, |rows| rows.len() - rows.cursor)
    }

    /// What the engine has seen and done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let stages: Vec<_> = self.stages.iter().map(|stage| stage.stats(&self.keys)).collect();
        let sum = |count: fn(&crate::StageStats) -> u64| stages.iter().map(count).sum();
        let has_struck = |limit: Limit| {
            stages.iter().any(|stage| stage.has_struck(limit))
                || self.refusals.get(limit as usize).is_some_and(|times| *times > 0)
        };
        let struck = [
            ("key_limit", has_struck(Limit::Keys)),
            ("window_limit", has_struck(Limit::Windows)),
            ("state_limit", has_struck(Limit::Bytes)),
            ("partition_limit", self.source.has_rejected(RejectReason::PartitionLimit)),
            ("value_limit", stages.iter().any(|stage| stage.value_limit > 0)),
            ("entry_limit", stages.iter().any(|stage| stage.evicted > 0)),
            ("fill_limit", stages.iter().any(|stage| stage.fill_limit > 0)),
            ("buffer_limit", stages.iter().any(|stage| stage.buffer_limit > 0)),
        ];
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
            limits_struck: struck
                .into_iter()
                .filter(|(_, yes)| *yes)
                .map(|(name, _)| name)
                .collect(),
            watermark: Some(self.watermark())
                .filter(|watermark| *watermark != NO_WATERMARK && *watermark != END_OF_TIME),
            partitions: self.source.time.partition_stats(),
            stages,
        }
    }

    /// Gives keys ids of the caller's choice, for [`crate::KeyColumn::Ids`].
    ///
    /// # Errors
    /// [`Error::MalformedBlock`] and [`Error::InvalidKey`]; then nothing is defined.
    pub fn define_keys(&mut self, definitions: &KeyDefinitions<'_>) -> Result<(), Error> {
        let fields = self.plan.input.key.len();
        if fields == 0 {
            return Err(Error::KeysMismatch("the pipeline has no key: there is nothing to define"));
        }
        let keys = definitions::checked(definitions, fields)?;
        self.revision += 1;
        if definitions.reset {
            self.keys.undefine_all();
        }
        self.keys.define_all(definitions.ids, keys);
        Ok(())
    }

    /// Takes events, in the order of the stream, until the result buffer is full.
    ///
    /// Events with a time out of range or a missing required value are refused and counted, not an error.
    ///
    /// # Errors
    /// A batch of the wrong shape, a key id that is not defined, events after [`Engine::finish`]; [`Error::LimitReached`],
    /// which says how many events were taken before it.
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
            // The keys before one that is refused are there already.
            self.keys.reclaim();
        }
        admitted?;
        self.revision += 1;
        let pushed = self.push_admitted(batch);
        self.keys.reclaim();
        pushed
    }

    /// Moves the stream's watermark to `watermark`, microseconds, if that is forward: what a source without events knows.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: a row on its way to a later stage was refused; calling again goes on.
    pub fn advance_watermark(&mut self, watermark: i64) -> Result<Progress, Error> {
        self.revision += 1;
        let watermark = watermark.min(END_OF_TIME - 1);
        self.move_to(watermark)
    }

    /// Tells the engine the host's time, microseconds; it never goes back. Events count as having come at the time of the
    /// last tick before them: tick before every push where `time` has options that go by host time.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: a row on its way to a later stage was refused; calling again goes on.
    pub fn tick(&mut self, now: i64) -> Result<Progress, Error> {
        self.revision += 1;
        if self.resume()? == Progress::Full {
            return Ok(Progress::Full);
        }
        let before = self.watermark();
        let Self { source, plan, .. } = self;
        source.time.tick(now, |greatest| plan.closed_at(greatest));
        let moved = self.watermark();
        if moved == before { Ok(Progress::Done) } else { self.flow(&Events::none(moved)) }
    }

    /// Ends the stream: everything that is open fires. Calling it again goes on with it.
    ///
    /// # Errors
    /// [`Error::LimitReached`]: a row on its way to a later stage was refused; calling again goes on.
    pub fn finish(&mut self) -> Result<Progress, Error> {
        self.revision += 1;
        self.finished = true;
        self.move_to(END_OF_TIME)
    }

    /// Hands out at most `max_rows` of the rows that wait, the oldest first; `None` if there are none.
    pub fn poll(&mut self, max_rows: usize) -> Option<Rows<'_>> {
        let left = self.waiting_rows();
        if left == 0 {
            self.forget_polled();
        }
        let waiting = left.min(max_rows);
        if waiting == 0 {
            return None;
        }
        self.revision += 1;
        let Self { links, keys, polled, plan, .. } = self;
        let frame = links.last_mut()?;
        let range = frame.cursor..frame.cursor + waiting;
        frame.cursor = range.end;
        polled.set(frame.keys.get(range.clone()).unwrap_or_default(), keys);
        Some(Rows {
            firing: frame.firing.get(range.clone()).unwrap_or_default(),
            ranks: frame.ranks.get(range.clone()).unwrap_or_default(),
            key_offsets: &polled.offsets,
            key_bytes: &polled.bytes,
            columns: plan
                .shown
                .iter()
                .map(|shown| match shown {
                    Shown::Timestamp => {
                        RowColumn::Time(frame.timestamps.get(range.clone()).unwrap_or_default())
                    }
                    Shown::Column(column) => frame
                        .columns
                        .get(*column)
                        .map_or(RowColumn::Number(&[]), |column| column.rows(range.clone())),
                })
                .collect(),
        })
    }

    /// Hands out at most `max` dropped events, the oldest first, where [`Options::report_drops`] asked for them.
    pub fn drops(&mut self, max: usize) -> Vec<Dropped> {
        self.revision += 1;
        self.drops.take(max)
    }

    /// Counts an event that a reader refused before it could be pushed.
    pub fn count_rejected(&mut self, reason: RejectReason) {
        self.revision += 1;
        self.source.count_rejected(reason);
    }

    /// Lets go of the rows that were handed out, if they are at least as many as those that wait and would be moved.
    fn forget_polled(&mut self) {
        self.polled.clear();
        let enough = |rows: &&mut Frame| rows.cursor > 0 && rows.cursor >= rows.len() - rows.cursor;
        if let Some(rows) = self.links.last_mut().filter(enough) {
            rows.drop_done(&mut self.keys);
        }
    }
}
