//! One engine: all keys whose aggregators have the same outputs.

use std::collections::VecDeque;

use super::row::{ResultColumns, Row, output_name, with_count};
use super::shapes::Shape;
use crate::engine::aggregation::AggregatorFactory;
use crate::engine::spec::{Stage, Window};
use crate::engine::{
    Batch, Column, Engine, Error, KeyColumn, Options, PipelineSpec, Progress, watermark,
};

/// The number of rows that are read from the engine at once.
const ROWS: usize = 256;

/// An engine, the results that were read from it, and where it paused.
pub(super) struct ShapeEngine {
    pub(super) engine: Engine,
    pub(super) shape: Shape,
    pub(super) columns: ResultColumns,
    pub(super) rows: VecDeque<Row>,
    /// The step that the full result buffer ended. It continues when the reader has taken all
    /// results.
    pub(super) paused: Option<Step>,
    /// The number of windows that fired on time, as far as their results were read.
    pub(super) fired: u64,
}

/// A call of the engine that may pause at a full result buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Completes the events that were taken.
    Resume,
    /// Advances the watermark.
    Advance(i64),
    /// Sets the host's time.
    Tick(i64),
    /// Ends the stream.
    Finish,
}

/// The pipeline of one shape, as the engine runs it.
pub(super) struct ShapePipeline {
    pub(super) spec: PipelineSpec,
    shape: Shape,
    names: Vec<String>,
    count_name: String,
}

impl ShapePipeline {
    /// Completes `pipeline` with `window` and the aggregations of `shape`. `own` has the outputs of
    /// the program's own aggregators. `buffer` rows may wait.
    pub(super) fn new(
        pipeline: &PipelineSpec,
        window: &Window,
        shape: Shape,
        own: Option<&AggregatorFactory>,
        buffer: u32,
    ) -> Self {
        let own = own.into_iter().flat_map(|own| own.names().map(str::to_owned));
        let names: Vec<String> = shape.iter().map(output_name).chain(own).collect();
        let (aggregations, count_name) = with_count(&shape, &names);
        let mut spec = pipeline.clone();
        spec.stages = vec![Stage::Window(Window { aggregations, ..window.clone() })];
        spec.limits.max_result_rows = buffer;
        Self { spec, shape, names, count_name }
    }

    /// Opens an engine with `open`.
    pub(super) fn open(
        self,
        open: impl FnOnce(&PipelineSpec) -> Result<Engine, Error>,
    ) -> Result<ShapeEngine, Error> {
        let engine = open(&self.spec)?;
        let columns = ResultColumns::new(&engine.plan().output, self.names, &self.count_name);
        Ok(ShapeEngine {
            engine,
            shape: self.shape,
            columns,
            rows: VecDeque::new(),
            paused: None,
            fired: 0,
        })
    }
}

/// Returns options with a random seed: keys may come from anyone.
pub(super) fn options() -> Options {
    use std::hash::{BuildHasher, Hasher, RandomState};
    Options { table_seed: RandomState::new().build_hasher().finish(), ..Options::default() }
}

impl ShapeEngine {
    /// Returns the number of results that wait.
    pub(super) fn waiting(&self) -> usize {
        self.rows.len() + self.engine.waiting_rows()
    }

    /// Processes one event. If several engines share the stream, `ordinal` is the event's place in
    /// it. `watermark` is the one in effect, for engines without a time of their own.
    #[inline]
    pub(super) fn push(
        &mut self,
        key: &str,
        time: i64,
        value: f64,
        ordinal: Option<u64>,
        watermark: Option<i64>,
    ) -> Result<(), Error> {
        let end = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let ordinal = ordinal.map(|ordinal| [ordinal]);
        let watermark = watermark.map(|watermark| [watermark]);
        let event = Batch {
            timestamps: &[time],
            keys: KeyColumn::Text { offsets: &[0, end], bytes: key.as_bytes() },
            columns: &[Column::F64(&[value])],
            ordinals: ordinal.as_ref().map(<[u64; 1]>::as_slice),
            watermarks: watermark.as_ref().map(<[i64; 1]>::as_slice),
            ..Batch::default()
        };
        while self.push_batch(&event)? == 0 && self.paused.is_none() {}
        Ok(())
    }

    /// Processes a batch until the result buffer is full, or for one call of the engine. Returns the
    /// number of events taken.
    #[inline]
    pub(super) fn push_batch(&mut self, batch: &Batch<'_>) -> Result<usize, Error> {
        let pushed = self.engine.push(batch)?;
        if pushed.full {
            self.step(Step::Resume)?;
        }
        Ok(pushed.consumed)
    }

    /// Makes a step, as far as the result buffer has room.
    pub(super) fn step(&mut self, step: Step) -> Result<(), Error> {
        // A call may also pause because it has done its share of work.
        let mut progress = self.call(step)?;
        while progress == Progress::Full && !self.engine.is_full() {
            progress = self.call(step)?;
        }
        self.paused = (progress == Progress::Full).then_some(step);
        Ok(())
    }

    /// Calls the engine once.
    fn call(&mut self, step: Step) -> Result<Progress, Error> {
        Ok(match step {
            Step::Resume => {
                let columns = [Column::F64(&[])];
                let pushed = self.engine.push(&Batch { columns: &columns, ..Batch::default() })?;
                if pushed.full { Progress::Full } else { Progress::Done }
            }
            Step::Advance(watermark) => self.engine.advance_watermark(watermark)?,
            Step::Tick(now) => self.engine.tick(now)?,
            Step::Finish => self.engine.finish()?,
        })
    }

    /// Advances the watermark to `to`, if there is one.
    pub(super) fn advance(&mut self, to: i64) -> Result<(), Error> {
        if to == watermark::NO_WATERMARK { Ok(()) } else { self.step(Step::Advance(to)) }
    }

    /// Reads rows until one waits here, or none are left. Continues the step that paused.
    pub(super) fn fill(&mut self) -> Result<(), Error> {
        while self.rows.is_empty() && !self.read(ROWS) {
            let Some(step) = self.paused.take() else { break };
            self.step(step)?;
        }
        Ok(())
    }

    /// Reads up to `max` waiting rows. Returns `false` if there are none.
    pub(super) fn read(&mut self, max: usize) -> bool {
        let Some(rows) = self.engine.poll(max) else { return false };
        for index in 0..rows.len() {
            let row = self.columns.read(&rows, index);
            self.fired += u64::from(row.is_on_time());
            self.rows.push_back(row);
        }
        true
    }
}
