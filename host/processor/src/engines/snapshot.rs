//! Snapshots of a processor: the engines with their pipelines, and the results that were read from
//! them but not taken.
//!
//! All numbers are little-endian; a text or block has its length before it:
//!
//! ```text
//!  magic, is_finished: u8, engines: u32
//!  for each engine: pipeline as JSON, snapshot of the engine, fired: u64, rows: u32
//!    for each row: firing, rank, start, end, flags, revision, event_count, key, values
//! ```

use std::sync::Arc;

use super::difference::first_difference;
use super::row::{ResultColumns, Row};
use super::shape_engine::{ShapeEngine, Step, options};
use super::{Engines, Setup};
use crate::engine::spec::{Aggregation, Stage};
use crate::engine::{self, Engine, PipelineSpec, SnapshotError};
use crate::error::Error;
use crate::result::{AggregationResult, Window, WindowResult};

const MAGIC: &[u8] = b"processor snapshot 1\n";

/// Stands for a bound that a window does not have.
const NO_TIME: i64 = i64::MIN;

impl Engines {
    /// Returns the whole state as bytes.
    pub(crate) fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(u8::from(self.is_finished));
        put_length(&mut bytes, self.list.len());
        for engine in &mut self.list {
            put_block(&mut bytes, self.setup.spec(&engine.shape).to_json().as_bytes());
            put_block(&mut bytes, &engine.engine.snapshot()?);
            bytes.extend(engine.fired.to_le_bytes());
            put_length(&mut bytes, engine.rows.len());
            engine.rows.iter().for_each(|row| put_row(&mut bytes, row));
        }
        Ok(bytes)
    }

    /// Opens the engines of a snapshot. Returns the pipeline for other runtimes too.
    pub(crate) fn restore(setup: Setup, bytes: &[u8]) -> Result<(Self, PipelineSpec), Error> {
        let first = setup.aggregators.first().ok_or(Error::CustomState)??;
        let bytes = bytes.strip_prefix(MAGIC).ok_or(damage(SnapshotError::NotASnapshot))?;
        let mut reader = Reader(bytes);
        let is_finished = reader.take(1)? == [1];
        let mut list = Vec::new();
        for _ in 0..reader.length()? {
            list.push(read_engine(&setup, &mut reader)?);
        }
        let spec = setup.spec(&first);
        let leader: Option<&ShapeEngine> = list.first();
        let Some(leader) = leader else { return Err(damaged("it has no engine")) };
        if leader.shape != first {
            return Err(other(&spec, &setup.spec(&leader.shape)));
        }
        if !reader.0.is_empty() {
            return Err(damaged("bytes follow its end"));
        }
        let mut engines = Self::of(setup, list);
        engines.ordinal =
            engines.list.iter().map(|one| one.engine.next_ordinal()).max().unwrap_or_default();
        engines.continue_paused(is_finished)?;
        Ok((engines, spec))
    }

    /// Continues what the full result buffer had ended.
    fn continue_paused(&mut self, is_finished: bool) -> Result<(), Error> {
        self.is_finished = is_finished;
        for engine in &mut self.list {
            engine.step(if is_finished { Step::Finish } else { Step::Resume })?;
        }
        if is_finished { Ok(()) } else { self.advance_followers() }
    }
}

fn read_engine(setup: &Setup, reader: &mut Reader<'_>) -> Result<ShapeEngine, Error> {
    let spec = std::str::from_utf8(reader.block()?).map_err(|_| damaged("a pipeline"))?;
    let spec = PipelineSpec::from_json(spec).map_err(|_| damaged("a pipeline"))?;
    let shape = shape(&spec).ok_or_else(|| damaged("a pipeline without windows"))?;
    let expected = setup.spec(&shape);
    if expected != spec {
        return Err(other(&expected, &spec));
    }
    let state = reader.block()?;
    let pipeline = setup.pipeline_of(shape);
    let mut engine = pipeline.open(|spec| Engine::restore(spec, options(), state))?;
    engine.fired = reader.u64()?;
    for _ in 0..reader.length()? {
        let row = reader.row(&engine.columns)?;
        engine.rows.push_back(row);
    }
    Ok(engine)
}

/// Returns the aggregations of the windows of `spec`.
fn shape(spec: &PipelineSpec) -> Option<Vec<Aggregation>> {
    match spec.stages.as_slice() {
        [Stage::Window(window)] => Some(window.aggregations.clone()),
        _ => None,
    }
}

/// Returns the error of a snapshot of the pipeline `found` instead of `expected`.
fn other(expected: &PipelineSpec, found: &PipelineSpec) -> Error {
    match first_difference(expected, found) {
        Some(difference) => Error::OtherSnapshot {
            option: difference.path,
            expected: difference.first,
            found: difference.second,
        },
        None => damage(SnapshotError::OtherPipeline),
    }
}

fn damaged(what: &'static str) -> Error {
    damage(SnapshotError::Damaged(what))
}

fn damage(error: SnapshotError) -> Error {
    Error::Engine(engine::Error::Snapshot(error))
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_block(bytes: &mut Vec<u8>, block: &[u8]) {
    bytes.extend((block.len() as u64).to_le_bytes());
    bytes.extend(block);
}

fn put_row(bytes: &mut Vec<u8>, row: &Row) {
    let Row { result, firing, rank } = row;
    let Window { start_us, end_us } = result.window;
    bytes.extend(firing.to_le_bytes());
    bytes.extend(rank.to_le_bytes());
    bytes.extend(start_us.unwrap_or(NO_TIME).to_le_bytes());
    bytes.extend(end_us.unwrap_or(NO_TIME).to_le_bytes());
    bytes.push(u8::from(result.early) | u8::from(result.retracted) << 1);
    bytes.extend(u64::from(result.revision).to_le_bytes());
    bytes.extend(result.event_count.to_le_bytes());
    put_block(bytes, result.key.as_bytes());
    for value in &result.results.values {
        bytes.extend(value.unwrap_or(f64::NAN).to_le_bytes());
    }
}

/// Reads a snapshot from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or_else(|| damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| damaged("it ends early"))
    }

    fn length(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, Error> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn block(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.u64()?).map_err(|_| damaged("a length"))?;
        self.take(length)
    }

    fn row(&mut self, columns: &ResultColumns) -> Result<Row, Error> {
        let (firing, rank) = (self.i64()?, self.u64()?);
        let mut bound = || Ok::<_, Error>(Some(self.i64()?).filter(|time| *time != NO_TIME));
        let window = Window { start_us: bound()?, end_us: bound()? };
        let [flags] = self.array()?;
        let revision = u32::try_from(self.u64()?).map_err(|_| damaged("a revision"))?;
        let event_count = self.u64()?;
        let key = std::str::from_utf8(self.block()?).map_err(|_| damaged("a key"))?.to_owned();
        let names = Arc::clone(&columns.names);
        let mut values = Vec::with_capacity(names.len());
        for _ in 0..names.len() {
            values.push(Some(f64::from_le_bytes(self.array()?)).filter(|value| !value.is_nan()));
        }
        let results = AggregationResult { names, values };
        let (early, retracted) = (flags & 1 != 0, flags & 2 != 0);
        let result = WindowResult { window, key, results, event_count, revision, early, retracted };
        Ok(Row { result, firing, rank })
    }
}
