//! The engine compiled into this program (`--engine native`), for comparison with the module.

use stream_processor_core::{
    Batch, Dropped, Engine, KeyDefinitions, Merged, Options, PipelineSpec, Progress, Pushed, Rows,
    Stats,
};

use super::worker::Worker;
use crate::error::Error;

/// An engine without the module. It has no memory limit and no deadline.
pub struct NativeEngine {
    engine: Engine,
    spec: PipelineSpec,
}

impl NativeEngine {
    /// Opens an engine for `spec`.
    ///
    /// # Errors
    /// The engine refuses the pipeline.
    pub fn open(spec: &PipelineSpec, options: Options) -> Result<Self, Error> {
        Ok(Self { engine: Engine::open(spec, options)?, spec: spec.clone() })
    }
}

impl Worker for NativeEngine {
    fn define_keys(&mut self, keys: &KeyDefinitions<'_>) -> Result<(), Error> {
        Ok(self.engine.define_keys(keys)?)
    }

    fn define_partitions(&mut self, partitions: &KeyDefinitions<'_>) -> Result<(), Error> {
        Ok(self.engine.define_partitions(partitions, false)?)
    }

    fn tick(&mut self, now: i64) -> Result<Progress, Error> {
        Ok(self.engine.tick(now)?)
    }

    fn next_deadline(&mut self) -> Result<i64, Error> {
        Ok(self.engine.next_deadline().unwrap_or(i64::MAX))
    }

    fn push(&mut self, batch: &Batch<'_>) -> Result<Pushed, Error> {
        Ok(self.engine.push(batch)?)
    }

    fn advance(&mut self, watermark: i64) -> Result<Progress, Error> {
        Ok(self.engine.advance_watermark(watermark)?)
    }

    fn finish(&mut self) -> Result<Progress, Error> {
        Ok(self.engine.finish()?)
    }

    fn poll(&mut self, max_rows: u32) -> Result<Option<Rows<'_>>, Error> {
        Ok(self.engine.poll(max_rows as usize))
    }

    fn drops(&mut self, max: u32) -> Result<Vec<Dropped>, Error> {
        Ok(self.engine.drops(max as usize))
    }

    fn stats(&mut self) -> Result<Stats, Error> {
        Ok(self.engine.stats())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.engine.snapshot()?)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Error> {
        self.engine = Engine::restore(&self.spec, self.engine.options(), snapshot)?;
        Ok(())
    }

    fn partial(&mut self, source: &str) -> Result<Vec<u8>, Error> {
        Ok(self.engine.partial(source)?)
    }

    fn merge(&mut self, partial: &[u8]) -> Result<Merged, Error> {
        Ok(self.engine.merge(partial)?)
    }
}
