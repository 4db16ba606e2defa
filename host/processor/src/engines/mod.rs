//! The engines of a processor: one for each shape of aggregators, under one watermark.
//!
//! Nearly always all aggregators have the same outputs, and there is one engine. Where they differ
//! by key, each shape has an engine of its own, and the first one, the leader, has the event time of
//! the whole stream:
//!
//! ```text
//!  event ──> KeyShapes ──> leader      takes its own events, observes the times of all others
//!                    └───> follower    takes its events under the leader's watermark
//!  results <── the least row of all engines, in the order of rows of one stream
//! ```
//!
//! Results stay in the engines until they are read, so that a full result buffer pauses them
//! (`shape_engine.rs`). `shapes.rs` finds the engine of a key, `row.rs` reads rows, `batch.rs` takes
//! many events at once, `totals.rs` sums counters, and `snapshot.rs` writes and reads everything.

mod batch;
mod difference;
mod row;
mod shape_engine;
mod shapes;
mod snapshot;
mod totals;

pub(crate) use shapes::Aggregators;

use crate::builder::KEY;
use crate::engine::spec::{Aggregation, Stage, Time, Watermark, Window};
use crate::engine::{self, Engine, PipelineSpec, Plan, RejectReason};
use crate::error::Error;
use crate::result::WindowResult;
use batch::EventColumns;
use shape_engine::{ShapeEngine, ShapePipeline, Step, options};
use shapes::{KeyShapes, MAX_KEY_BYTES};

/// The parts that a processor is built from.
pub(crate) struct Setup {
    /// The pipeline without stages.
    pub(crate) pipeline: PipelineSpec,
    /// The windows, without aggregations.
    pub(crate) window: Window,
    pub(crate) aggregators: Aggregators,
    /// The number of results that may wait.
    pub(crate) buffer: u32,
}

impl Setup {
    /// Returns the pipeline with the aggregations of `shape`, for other runtimes.
    pub(crate) fn spec(&self, shape: &[Aggregation]) -> PipelineSpec {
        let window = Window { aggregations: shape.to_vec(), ..self.window.clone() };
        PipelineSpec { stages: vec![Stage::Window(window)], ..self.pipeline.clone() }
    }

    fn pipeline_of(&self, shape: Vec<Aggregation>) -> ShapePipeline {
        let own = self.aggregators.own();
        ShapePipeline::new(&self.pipeline, &self.window, shape, own, self.buffer)
    }

    fn open(&self, shape: Vec<Aggregation>) -> Result<ShapeEngine, engine::Error> {
        let own = self.aggregators.own();
        if own.is_none() {
            // Without the count that may be added: a shape without aggregations is an error.
            Plan::new(&self.spec(&shape))?;
        }
        self.pipeline_of(shape).open(|spec| match own {
            Some(own) => Engine::open_with(spec, options(), own.clone()),
            None => Engine::open(spec, options()),
        })
    }
}

/// The engines of a processor.
pub(crate) struct Engines {
    setup: Setup,
    keys: KeyShapes,
    /// The leader first.
    list: Vec<ShapeEngine>,
    /// The number of events so far, counted if there are several engines.
    ordinal: u64,
    columns: EventColumns,
    is_finished: bool,
    /// An error of a step that a reader continued.
    deferred: Option<Error>,
}

impl Engines {
    /// Opens the leader. Returns the pipeline for other runtimes too.
    pub(crate) fn open(setup: Setup) -> Result<(Self, Option<PipelineSpec>), Error> {
        let shape = setup.aggregators.first().transpose()?;
        let leader = setup.open(shape.clone().unwrap_or_default())?;
        let spec = shape.map(|shape| setup.spec(&shape));
        Ok((Self::of(setup, vec![leader]), spec))
    }

    fn of(setup: Setup, list: Vec<ShapeEngine>) -> Self {
        let mut keys = KeyShapes::new(setup.pipeline.limits.max_keys);
        keys.insert("", 0);
        Self {
            keys,
            setup,
            list,
            ordinal: 0,
            columns: EventColumns::default(),
            is_finished: false,
            deferred: None,
        }
    }

    /// Processes one event.
    #[inline]
    pub(crate) fn push(&mut self, key: &str, time: i64, value: f64) -> Result<(), Error> {
        check(value)?;
        self.check_room()?;
        let index = self.engine_of(key)?;
        match self.list.as_mut_slice() {
            [only] => Ok(only.push(key, time, value, None, None)?),
            _ => self.push_shared(index, key, time, value),
        }
    }

    /// Processes one event where several engines share the stream.
    fn push_shared(&mut self, index: usize, key: &str, time: i64, value: f64) -> Result<(), Error> {
        if self.is_finished {
            return Err(engine::Error::Finished.into());
        }
        let Some((leader, followers)) = self.list.split_first_mut() else { return Ok(()) };
        let ordinal = Some(self.ordinal);
        match index.checked_sub(1).and_then(|index| followers.get_mut(index)) {
            None => leader.push(key, time, value, ordinal, None)?,
            Some(follower) => {
                let before = leader.engine.watermark();
                let marked = is_marked(&self.setup.pipeline.time, value);
                if leader.engine.observe(time, marked).is_some() {
                    // Counted by the leader, as it counts its own events.
                    return Ok(());
                }
                follower.push(key, time, value, ordinal, Some(before))?;
                leader.advance(leader.engine.watermark())?;
            }
        }
        self.ordinal += 1;
        self.advance_followers()
    }

    /// Advances the followers to the leader's watermark.
    fn advance_followers(&mut self) -> Result<(), Error> {
        let Some((leader, followers)) = self.list.split_first_mut() else { return Ok(()) };
        let watermark = leader.engine.watermark();
        for follower in followers {
            if follower.engine.watermark() < watermark {
                follower.advance(watermark)?;
            }
        }
        Ok(())
    }

    /// Advances the watermark.
    pub(crate) fn advance(&mut self, to: i64) -> Result<(), Error> {
        self.check_room()?;
        self.leader(Step::Advance(to))?;
        self.advance_followers()
    }

    /// Sets the host's time.
    pub(crate) fn tick(&mut self, now: i64) -> Result<(), Error> {
        self.check_room()?;
        self.leader(Step::Tick(now))?;
        self.advance_followers()
    }

    fn leader(&mut self, step: Step) -> Result<(), Error> {
        match self.list.first_mut() {
            Some(leader) => Ok(leader.step(step)?),
            None => Ok(()),
        }
    }

    /// Ends the stream. If the results do not fit, reading them continues.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        if !self.is_finished {
            self.check_room()?;
            self.is_finished = true;
            for engine in &mut self.list {
                engine.step(Step::Finish)?;
            }
        }
        match self.list.iter().any(|engine| engine.paused.is_some()) {
            true => Err(self.full(0)),
            false => self.deferred.take().map_or(Ok(()), Err),
        }
    }

    /// Returns the next result, if one waits.
    pub(crate) fn next_result(&mut self) -> Option<WindowResult> {
        for engine in &mut self.list {
            if let Err(error) = engine.fill() {
                self.deferred = Some(error.into());
            }
        }
        let order =
            |a: &&mut ShapeEngine, b: &&mut ShapeEngine| match (a.rows.front(), b.rows.front()) {
                (Some(a), Some(b)) => a.order(b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
        let engine = match self.list.as_mut_slice() {
            [only] => only,
            several => several.iter_mut().min_by(order)?,
        };
        engine.rows.pop_front().map(|row| row.result)
    }

    /// Returns true if the stream has ended and all results were taken.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_finished && self.waiting() == 0 && !self.is_paused()
    }

    /// Returns true if an event would be taken, as far as the result buffer is concerned.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting() < self.setup.buffer as usize && !self.is_paused()
    }

    /// Returns true if a reader would get a result.
    pub(crate) fn has_results(&self) -> bool {
        self.waiting() > 0 || self.is_paused()
    }

    /// Returns the host time at which [`Engines::tick`] has an effect.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.list.first()?.engine.next_deadline()
    }

    fn waiting(&self) -> usize {
        self.list.iter().map(ShapeEngine::waiting).sum()
    }

    fn is_paused(&self) -> bool {
        self.list.iter().any(|engine| engine.paused.is_some())
    }

    fn full(&self, consumed: usize) -> Error {
        Error::ResultsFull { consumed, waiting: self.waiting() }
    }

    #[inline]
    fn check_room(&mut self) -> Result<(), Error> {
        if !self.has_room() {
            return Err(self.full(0));
        }
        self.deferred.take().map_or(Ok(()), Err)
    }

    /// Returns the index of the engine of `key`, which is opened if its shape is new.
    #[inline]
    fn engine_of(&mut self, key: &str) -> Result<usize, Error> {
        match self.keys.get(key) {
            Some(index) => Ok(index),
            None => self.add_key(key).map_err(|error| of_key(key, error)),
        }
    }

    /// Returns the maximum length of an encoded key, which the engine would reject beyond it.
    fn max_key_bytes(&self) -> usize {
        MAX_KEY_BYTES.min(self.setup.pipeline.limits.max_key_bytes as usize)
    }

    /// Returns true if `key` is longer than the limit.
    fn is_too_long(&self, key: &str) -> bool {
        let max = self.max_key_bytes();
        // An encoded text has at least as many bytes.
        key.len() > max || {
            let mut encoded = Vec::new();
            engine::key::push_str(&mut encoded, key);
            encoded.len() > max
        }
    }

    #[cold]
    fn add_key(&mut self, key: &str) -> Result<usize, Error> {
        if self.is_too_long(key) {
            let max = self.max_key_bytes();
            let problem = format!("{} bytes: limits.max_key_bytes is {max}", key.len());
            return Err(engine::Error::InvalidField { field: KEY.to_owned(), problem }.into());
        }
        let index = match self.setup.aggregators.shape_of(key).transpose()? {
            None => 0,
            Some(shape) => match self.list.iter().position(|engine| engine.shape == shape) {
                Some(index) => index,
                None => self.add_engine(shape)?,
            },
        };
        self.keys.insert(key, index);
        Ok(index)
    }

    /// Opens an engine for one more shape, under the watermark of the stream.
    fn add_engine(&mut self, shape: Vec<Aggregation>) -> Result<usize, Error> {
        let mut engine = self.setup.open(shape)?;
        if let [leader] = self.list.as_slice() {
            self.ordinal = leader.engine.next_ordinal();
        }
        if let Some(leader) = self.list.first() {
            engine.advance(leader.engine.watermark())?;
        }
        self.list.push(engine);
        Ok(self.list.len() - 1)
    }
}

/// Returns the error of the key of an event that was not taken. A long key is shortened.
#[cold]
fn of_key(key: &str, error: Error) -> Error {
    const SHOWN: usize = 64;
    let shown = key.char_indices().nth(SHOWN).map_or(key, |(end, _)| key.split_at(end).0);
    let more = if shown.len() < key.len() { "…" } else { "" };
    Error::Key { key: format!("{shown}{more}"), consumed: 0, source: Box::new(error) }
}

/// Checks a value of an event.
#[inline]
fn check(value: f64) -> Result<(), Error> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(Error::Rejected { reason: RejectReason::NonFinite }),
    }
}

/// Returns true if `value` marks an event that moves the watermark.
fn is_marked(time: &Time, value: f64) -> bool {
    time.watermark == Watermark::Punctuated && value != 0.0
}
