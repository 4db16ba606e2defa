//! An instance of the module: its own memory and limits, and one open pipeline.

use std::time::Duration;

use stream_processor_core::wire::{self, BatchColumns, BatchShape, ReportedError};
use stream_processor_core::{
    Batch, Dropped, Identity, KeyDefinitions, Merged, Options, PipelineSpec, Progress, Pushed,
    Rows, Stats,
};
use wasmtime::{Store, Trap, WasmParams, WasmResults};

use super::exports::{Exports, Function};
use super::limits::{CALL_DEADLINE, MemoryLimit, epochs_of};
use super::runtime::Runtime;
use super::worker::Worker;
use crate::error::Error;

/// Maximum bytes of a snapshot that one call passes.
const SNAPSHOT_PART_BYTES: u32 = 1 << 20;

/// The minimum size of the transfer buffer.
const MIN_TRANSFER_BYTES: u32 = 256 << 10;

/// An instance of the module with an open pipeline.
///
/// A call that traps, runs out of memory or exceeds its deadline ends the instance. Every later
/// call returns [`Error::Poisoned`].
pub struct Instance {
    store: Store<MemoryLimit>,
    exports: Exports,
    handle: i32,
    /// The address of the transfer buffer: a block of the module's memory to which the host writes
    /// arguments. It is kept between calls and grows.
    transfer: u32,
    transfer_bytes: u32,
    call_deadline: Duration,
    poisoned: bool,
}

impl Instance {
    /// Instantiates the module and opens `spec` in it.
    ///
    /// # Errors
    /// The engine refuses the pipeline, or the module does not start.
    pub fn open(
        runtime: &Runtime,
        spec: &PipelineSpec,
        options: Options,
        memory_limit_bytes: usize,
    ) -> Result<Self, Error> {
        let engine = runtime.instances.module().engine();
        let limit = MemoryLimit { limit_bytes: memory_limit_bytes, was_reached: false };
        let mut store = Store::new(engine, limit);
        store.limiter(|limit| limit);
        store.set_epoch_deadline(epochs_of(CALL_DEADLINE));
        let instance = runtime.instances.instantiate(&mut store);
        let instance = match instance {
            Ok(instance) => instance,
            Err(_) if store.data().was_reached => {
                return Err(Error::MemoryLimit { limit_bytes: memory_limit_bytes });
            }
            Err(error) => return Err(Error::module(error)),
        };
        let exports = Exports::new(&mut store, &instance)?;
        let mut opened = Self {
            store,
            exports,
            handle: 0,
            transfer: 0,
            transfer_bytes: 0,
            call_deadline: CALL_DEADLINE,
            poisoned: false,
        };
        let options = serde_json::to_string(&options).unwrap_or_default();
        let arguments = opened.write_two(spec.to_json().as_bytes(), options.as_bytes())?;
        opened.handle = opened.checked(|exports| &exports.open, arguments)?;
        opened.call(|exports| &exports.free, arguments.2)?;
        Ok(opened)
    }

    /// Sets the maximum time of each later call; [`CALL_DEADLINE`] before. Deadlines are rounded up
    /// to 200 ms.
    pub fn set_call_deadline(&mut self, deadline: Duration) {
        self.call_deadline = deadline;
    }

    /// Returns the identity of each of `lines`, which are JSON objects, by the `strategies` of a
    /// `dedup` stage in JSON. It is [`stream_processor_core::NO_IDENTITY`] if no strategy applies.
    ///
    /// # Errors
    /// The strategies are invalid, or the engine fails.
    pub fn identify(&mut self, strategies: &str, lines: &str) -> Result<Vec<Identity>, Error> {
        let arguments = self.write_two(strategies.as_bytes(), lines.as_bytes())?;
        let found = self.fetch(|exports| &exports.identify, arguments)?;
        let half =
            |bytes: &[u8]| bytes.iter().rev().fold(0, |half, byte| half << 8 | u64::from(*byte));
        let found = found.map(|bytes| {
            let each = bytes.chunks_exact(16).map(|bytes| bytes.split_at(8));
            each.map(|(low, high)| [half(low), half(high)]).collect()
        });
        self.call(|exports| &exports.free, arguments.2)?;
        found.ok_or_else(|| self.last_error())
    }

    /// Writes two texts into the module, the second into a block that the caller frees. Returns the
    /// address and the length of both.
    fn write_two(&mut self, first: &[u8], second: &[u8]) -> Result<(u32, u32, u32, u32), Error> {
        let (first_len, second_len) = (length(first.len())?, length(second.len())?);
        let first_block = self.write(first_len, |bytes| bytes.copy_from_slice(first))?;
        let second_block = self.allocate(second_len)?;
        self.copy_in(second_block, second_len, |bytes| bytes.copy_from_slice(second))?;
        Ok((first_block, first_len, second_block, second_len))
    }

    /// Returns the stream's watermark, or `i64::MIN` before the first event.
    ///
    /// # Errors
    /// The engine fails.
    pub fn watermark(&mut self) -> Result<i64, Error> {
        self.call(|exports| &exports.watermark, self.handle)
    }

    /// Returns the same as [`Worker::snapshot`], but reads it in parts of at most
    /// `max_part_bytes`.
    ///
    /// # Errors
    /// Those of [`Worker::snapshot`].
    pub fn snapshot_in_parts(&mut self, max_part_bytes: u32) -> Result<Vec<u8>, Error> {
        self.checked(|exports| &exports.snapshot, self.handle)?;
        let mut snapshot = Vec::new();
        loop {
            let arguments = (self.handle, max_part_bytes);
            match self.fetch(|exports| &exports.snapshot_read, arguments)? {
                Some(part) => snapshot.extend_from_slice(part),
                None => break,
            }
        }
        // The end of a snapshot and a failure are both the address 0. `sp_error` is empty at the
        // end.
        match self.fetch(|exports| &exports.error, ())? {
            None => Ok(snapshot),
            Some(_) => Err(self.last_error()),
        }
    }

    /// Does the same as [`Worker::restore`], but writes the snapshot in parts of at most
    /// `max_part_bytes`.
    ///
    /// # Errors
    /// Those of [`Worker::restore`].
    pub fn restore_in_parts(&mut self, snapshot: &[u8], max_part_bytes: u32) -> Result<(), Error> {
        let mut parts = snapshot.chunks(max_part_bytes.max(1) as usize).peekable();
        if parts.peek().is_none() {
            self.checked(|exports| &exports.restore, (self.handle, 0, 0, 1))?;
        }
        while let Some(part) = parts.next() {
            let part_len = length(part.len())?;
            let block = self.write(part_len, |bytes| bytes.copy_from_slice(part))?;
            let last = u32::from(parts.peek().is_none());
            self.checked(|exports| &exports.restore, (self.handle, block, part_len, last))?;
        }
        Ok(())
    }

    /// Pushes events that `write` writes directly into the module's memory, without the copy that
    /// [`Worker::push`] makes. Columns have no nulls, and keys are ids that are defined. If not all
    /// events are consumed, push the remaining ones again.
    ///
    /// # Errors
    /// The batch does not fit the pipeline, or the engine fails.
    pub fn push_in_place(
        &mut self,
        shape: BatchShape,
        write: impl FnOnce(BatchColumns<'_>),
    ) -> Result<Pushed, Error> {
        let len = length(shape.block_len())?;
        let mut laid_out = Ok(());
        let block = self.write(len, |bytes| laid_out = shape.lay_out(bytes).map(write))?;
        laid_out?;
        self.push_block(block, len)
    }

    fn push_block(&mut self, block: u32, len: u32) -> Result<Pushed, Error> {
        let pushed = self.checked(|exports| &exports.push, (self.handle, block, len))?;
        Ok(Pushed { consumed: pushed as u32 as usize, full: pushed >> 32 == 1 })
    }

    /// Calls a function of the module under the deadline.
    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        function: impl Fn(&Exports) -> &Function<P, R>,
        arguments: P,
    ) -> Result<R, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        self.store.set_epoch_deadline(epochs_of(self.call_deadline));
        let function = function(&self.exports);
        function.function.call(&mut self.store, arguments).map_err(|error| {
            self.poisoned = true;
            failure(function.name, &error, self.call_deadline, self.store.data())
        })
    }

    /// Calls a function whose negative result is an error, and returns that error.
    fn checked<P: WasmParams, R: WasmResults + Copy + Into<i64>>(
        &mut self,
        function: impl Fn(&Exports) -> &Function<P, R>,
        arguments: P,
    ) -> Result<R, Error> {
        let result = self.call(function, arguments)?;
        if result.into() < 0 { Err(self.last_error()) } else { Ok(result) }
    }

    /// Calls a function that returns the address and length of a block, and returns the block.
    /// `None` stands for the address 0: there is no block.
    fn fetch<P: WasmParams>(
        &mut self,
        function: impl Fn(&Exports) -> &Function<P, u64>,
        arguments: P,
    ) -> Result<Option<&[u8]>, Error> {
        let location = self.call(function, arguments)?;
        if location == 0 {
            return Ok(None);
        }
        let (start, len) = (location as u32 as usize, (location >> 32) as usize);
        let memory = self.exports.memory.data(&self.store);
        match memory.get(start..start.saturating_add(len)) {
            Some(block) => Ok(Some(block)),
            None => Err(Error::Module("it returned a block outside of its memory".into())),
        }
    }

    /// Returns the error of the last call of the module.
    fn last_error(&mut self) -> Error {
        match self.fetch(|exports| &exports.error, ()) {
            Ok(block) => match wire::decode_error(block.unwrap_or_default()) {
                Ok(ReportedError { limit_reached: Some(limit), .. }) => Error::LimitReached(limit),
                Ok(ReportedError { code, message, .. }) => Error::Engine { code, message },
                Err(error) => Error::Module(format!("it reported an error badly: {error}")),
            },
            Err(error) => error,
        }
    }

    /// Calls `fill` to write `len` bytes into the transfer buffer, which grows if it is too small.
    /// Returns the address of the buffer.
    fn write(&mut self, len: u32, fill: impl FnOnce(&mut [u8])) -> Result<u32, Error> {
        if len > self.transfer_bytes {
            let grown = len.checked_next_power_of_two().unwrap_or(len).max(MIN_TRANSFER_BYTES);
            self.call(|exports| &exports.free, self.transfer)?;
            self.transfer_bytes = 0;
            self.transfer = self.allocate(grown)?;
            self.transfer_bytes = grown;
        }
        self.copy_in(self.transfer, len, fill)?;
        Ok(self.transfer)
    }

    fn allocate(&mut self, len: u32) -> Result<u32, Error> {
        match self.call(|exports| &exports.alloc, len)? {
            0 => Err(Error::MemoryLimit { limit_bytes: self.store.data().limit_bytes }),
            block => Ok(block),
        }
    }

    fn copy_in(&mut self, block: u32, len: u32, fill: impl FnOnce(&mut [u8])) -> Result<(), Error> {
        let (start, len) = (block as usize, len as usize);
        match self.exports.memory.data_mut(&mut self.store).get_mut(start..start + len) {
            Some(bytes) => fill(bytes),
            None => return Err(Error::Module("it allocated a block outside of its memory".into())),
        }
        Ok(())
    }
}

impl Worker for Instance {
    fn define_keys(&mut self, keys: &KeyDefinitions<'_>) -> Result<(), Error> {
        let len = length(wire::key_definitions_len(keys))?;
        let block = self.write(len, |bytes| wire::encode_key_definitions(keys, bytes))?;
        self.checked(|exports| &exports.define_keys, (self.handle, block, len))?;
        Ok(())
    }

    fn define_partitions(&mut self, partitions: &KeyDefinitions<'_>) -> Result<(), Error> {
        let len = length(wire::key_definitions_len(partitions))?;
        let encode = |bytes: &mut [u8]| {
            wire::encode_partition_definitions(partitions, false, bytes);
        };
        let block = self.write(len, encode)?;
        self.checked(|exports| &exports.define_partitions, (self.handle, block, len))?;
        Ok(())
    }

    fn tick(&mut self, now: i64) -> Result<Progress, Error> {
        self.checked(|exports| &exports.tick, (self.handle, now)).map(progress)
    }

    fn next_deadline(&mut self) -> Result<i64, Error> {
        self.call(|exports| &exports.next_deadline, self.handle)
    }

    fn push(&mut self, batch: &Batch<'_>) -> Result<Pushed, Error> {
        let len = length(wire::batch_len(batch))?;
        let block = self.write(len, |bytes| wire::encode_batch(batch, bytes))?;
        self.push_block(block, len)
    }

    fn advance(&mut self, watermark: i64) -> Result<Progress, Error> {
        self.checked(|exports| &exports.advance, (self.handle, watermark)).map(progress)
    }

    fn finish(&mut self) -> Result<Progress, Error> {
        self.checked(|exports| &exports.finish, self.handle).map(progress)
    }

    fn poll(&mut self, max_rows: u32) -> Result<Option<Rows<'_>>, Error> {
        match self.fetch(|exports| &exports.poll, (self.handle, max_rows))? {
            Some(block) => Ok(Some(wire::decode_rows(block)?)),
            None => Ok(None),
        }
    }

    fn drops(&mut self, max: u32) -> Result<Vec<Dropped>, Error> {
        match self.fetch(|exports| &exports.drops, (self.handle, max))? {
            Some(block) => Ok(wire::decode_drops(block)?),
            None => Ok(Vec::new()),
        }
    }

    fn stats(&mut self) -> Result<Stats, Error> {
        let block = self.fetch(|exports| &exports.stats, self.handle)?;
        serde_json::from_slice(block.unwrap_or_default())
            .map_err(|error| Error::Module(format!("its counters cannot be read: {error}")))
    }

    fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        self.snapshot_in_parts(SNAPSHOT_PART_BYTES)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), Error> {
        self.restore_in_parts(snapshot, SNAPSHOT_PART_BYTES)
    }

    fn partial(&mut self, source: &str) -> Result<Vec<u8>, Error> {
        let len = length(source.len())?;
        let block = self.write(len, |bytes| bytes.copy_from_slice(source.as_bytes()))?;
        let partial = self.fetch(|exports| &exports.partial, (self.handle, block, len))?;
        match partial.map(<[u8]>::to_vec) {
            Some(partial) => Ok(partial),
            None => Err(self.last_error()),
        }
    }

    fn merge(&mut self, partial: &[u8]) -> Result<Merged, Error> {
        let len = length(partial.len())?;
        let block = self.write(len, |bytes| bytes.copy_from_slice(partial))?;
        let merged = self.checked(|exports| &exports.merge, (self.handle, block, len))?;
        Ok(Merged { is_new: merged & 1 != 0, full: merged & 2 != 0 })
    }
}

fn progress(result: i32) -> Progress {
    if result == 1 { Progress::Full } else { Progress::Done }
}

/// Returns the error of a call that ended in a trap.
fn failure(
    call: &'static str,
    error: &wasmtime::Error,
    deadline: Duration,
    limit: &MemoryLimit,
) -> Error {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            let seconds = deadline.as_secs() + u64::from(deadline.subsec_nanos() > 0);
            Error::Deadline { call, seconds }
        }
        _ if limit.was_reached => Error::MemoryLimit { limit_bytes: limit.limit_bytes },
        Some(trap) => Error::Trap { call, reason: trap.to_string() },
        None => Error::Trap { call, reason: format!("{error:#}") },
    }
}

/// Converts a length to the type of the module's ABI.
///
/// # Errors
/// The length exceeds 32 bits.
fn length(bytes: usize) -> Result<u32, Error> {
    u32::try_from(bytes).map_err(|_| Error::Engine {
        code: "batch_too_large".into(),
        message: format!("a block of {bytes} bytes exceeds the 4 GiB that the module can address: push smaller batches"),
    })
}
