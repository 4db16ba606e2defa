//! The C ABI over linear memory (docs/abi.md). Every function checks its arguments; none calls a
//! function outside the module.
//!
//! Blocks that a host allocates are kept in a table: a block is read by a look-up of its address,
//! and no host pointer is dereferenced.

use std::cell::RefCell;

use stream_processor_control as control;
use stream_processor_core::{
    Engine, Error, PipelineSpec, Progress, Restore, SnapshotCursor, SnapshotError, wire,
};

use crate::block::{AlignedBlock, address};

/// The version of docs/abi.md.
pub const ABI_VERSION: u32 = 1;

/// The results of a call that failed, and of one that a limit stopped.
const FAILED: i32 = -1;
const LIMIT_REACHED: i32 = -2;
const FULL_BIT: i64 = 1 << 32;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The state behind the ABI.
#[derive(Default)]
struct State {
    /// Blocks allocated by the host.
    blocks: Vec<AlignedBlock>,
    /// Open engines by handle; the first handle is 1.
    instances: Vec<Option<Instance>>,
    /// The result of the last `sp_identify`.
    identities: Vec<u8>,
    /// The error of the last failed call, as JSON.
    error: Vec<u8>,
}

/// An open engine and the buffers of its results.
struct Instance {
    spec: PipelineSpec,
    engine: Engine,
    /// The block of rows or dropped events that the last call returned.
    out: wire::Block,
    /// The JSON or partial state that the last call returned.
    bytes: Vec<u8>,
    snapshot: Option<SnapshotRead>,
    restore: Option<Restore>,
}

/// A snapshot that the host is reading.
struct SnapshotRead {
    cursor: SnapshotCursor,
    /// The current section, and the number of its bytes that the host has read.
    section: Vec<u8>,
    read: usize,
}

impl State {
    /// Returns the first `len` bytes of the block at `ptr`.
    fn block(&self, ptr: u32, len: u32) -> Result<&[u8], Error> {
        if len == 0 {
            return Ok(&[]);
        }
        let block = self.blocks.iter().find(|block| block.address() == ptr);
        let bytes = block.and_then(|block| block.bytes().get(..len as usize));
        bytes.ok_or(Error::MalformedBlock("pointer and length are no block of sp_alloc"))
    }

    /// Returns the engine with the handle `handle`.
    fn instance(&mut self, handle: i32) -> Result<&mut Instance, Error> {
        let index = index_of(handle);
        let instance =
            index.and_then(|index| self.instances.get_mut(index)).and_then(Option::as_mut);
        instance.ok_or(Error::MalformedBlock("the handle is no open engine"))
    }

    /// Calls `use_block` with an engine and a block of the host.
    fn with_block<T>(
        &mut self,
        handle: i32,
        (ptr, len): (u32, u32),
        use_block: impl FnOnce(&mut Instance, &[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut instances = std::mem::take(&mut self.instances);
        let index = index_of(handle);
        let result = match index.and_then(|index| instances.get_mut(index)).and_then(Option::as_mut)
        {
            Some(instance) => self.block(ptr, len).and_then(|block| use_block(instance, block)),
            None => Err(Error::MalformedBlock("the handle is no open engine")),
        };
        self.instances = instances;
        result
    }

    /// Stores `error` as JSON for `sp_error`.
    fn store_error(&mut self, error: &Error) {
        self.error = control::encode_error(error);
    }
}

/// Runs `call`. If it fails, stores the error for `sp_error` and returns `failed`.
fn run_or<T>(failed: T, call: impl FnOnce(&mut State) -> Result<T, Error>) -> T {
    run(call, |_| failed)
}

/// Runs `call`. If it fails, stores the error for `sp_error` and returns its negative status.
fn run_or_status<T: From<i32>>(call: impl FnOnce(&mut State) -> Result<T, Error>) -> T {
    let status = |error: &Error| match error {
        Error::LimitReached(_) => LIMIT_REACHED,
        _ => FAILED,
    };
    run(call, |error| status(error).into())
}

/// Runs `call`. If it fails, stores the error and returns what `on_error` makes of it.
fn run<T>(
    call: impl FnOnce(&mut State) -> Result<T, Error>,
    on_error: impl FnOnce(&Error) -> T,
) -> T {
    STATE.with_borrow_mut(|state| match call(state) {
        Ok(value) => value,
        Err(error) => {
            state.store_error(&error);
            on_error(&error)
        }
    })
}

/// Packs the pointer and the length of a block that the module owns into one result: the pointer in
/// the low 32 bits. Returns 0 for an empty block.
fn packed(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    u64::from(address(bytes.as_ptr())) | (bytes.len() as u64) << 32
}

/// Returns the index of the engine with the handle `handle`; handles start at 1.
fn index_of(handle: i32) -> Option<usize> {
    usize::try_from(handle).ok()?.checked_sub(1)
}

/// Returns the result of a call: 1 if the result buffer is full, else 0.
fn progress(progress: Progress) -> i32 {
    match progress {
        Progress::Done => 0,
        Progress::Full => 1,
    }
}

/// Returns the version of this ABI.
#[unsafe(no_mangle)]
pub extern "C" fn sp_abi_version() -> u32 {
    ABI_VERSION
}

/// Allocates a block of `len` bytes, aligned to 64 bytes; returns 0 if memory is exhausted.
#[unsafe(no_mangle)]
pub extern "C" fn sp_alloc(len: u32) -> u32 {
    let Some(block) = AlignedBlock::new(len as usize) else { return 0 };
    let address = block.address();
    STATE.with_borrow_mut(|state| state.blocks.push(block));
    address
}

/// Frees a block.
#[unsafe(no_mangle)]
pub extern "C" fn sp_free(ptr: u32) {
    STATE.with_borrow_mut(|state| state.blocks.retain(|block| block.address() != ptr));
}

/// Opens an engine; returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn sp_open(spec_ptr: u32, spec_len: u32, options_ptr: u32, options_len: u32) -> i32 {
    run_or_status(|state| {
        let spec = control::parse_pipeline(text(state.block(spec_ptr, spec_len)?)?)?;
        let options = control::parse_options(state.block(options_ptr, options_len)?)?;
        let engine = control::open(&spec, options)?;
        let instance = Instance {
            spec,
            engine,
            out: wire::Block::default(),
            bytes: Vec::new(),
            snapshot: None,
            restore: None,
        };
        let free = state.instances.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            state.instances.push(None);
            state.instances.len() - 1
        });
        if let Some(slot) = state.instances.get_mut(index) {
            *slot = Some(instance);
        }
        i32::try_from(index + 1).map_err(|_| Error::MalformedBlock("too many open engines"))
    })
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::MalformedBlock("the text is not UTF-8"))
}

/// Closes an engine.
#[unsafe(no_mangle)]
pub extern "C" fn sp_close(handle: i32) -> i32 {
    run_or_status(|state| {
        state.instance(handle)?;
        if let Some(slot) = index_of(handle).and_then(|index| state.instances.get_mut(index)) {
            *slot = None;
        }
        Ok(0)
    })
}

/// Adds the key definitions of a block.
#[unsafe(no_mangle)]
pub extern "C" fn sp_define_keys(handle: i32, ptr: u32, len: u32) -> i32 {
    run_or_status(|state| {
        state.with_block(handle, (ptr, len), |instance, block| {
            instance.engine.define_keys(&wire::decode_key_definitions(block)?)?;
            Ok(0)
        })
    })
}

/// Adds the partition definitions of a block.
#[unsafe(no_mangle)]
pub extern "C" fn sp_define_partitions(handle: i32, ptr: u32, len: u32) -> i32 {
    run_or_status(|state| {
        state.with_block(handle, (ptr, len), |instance, block| {
            let (definitions, known) = wire::decode_partition_definitions(block)?;
            instance.engine.define_partitions(&definitions, known)?;
            Ok(0)
        })
    })
}

/// Pushes a block of events; returns the number consumed, with a bit set if the result buffer is
/// full.
#[unsafe(no_mangle)]
pub extern "C" fn sp_push(handle: i32, ptr: u32, len: u32) -> i64 {
    run_or_status(|state| {
        state.with_block(handle, (ptr, len), |instance, block| {
            let pushed = instance.engine.push(&wire::decode_batch(block)?.batch())?;
            let consumed = i64::try_from(pushed.consumed).unwrap_or(i64::MAX);
            Ok(consumed | if pushed.full { FULL_BIT } else { 0 })
        })
    })
}

/// Advances the stream's watermark.
#[unsafe(no_mangle)]
pub extern "C" fn sp_advance(handle: i32, watermark: i64) -> i32 {
    run_or_status(|state| {
        Ok(progress(state.instance(handle)?.engine.advance_watermark(watermark)?))
    })
}

/// Passes the host's time to the engine.
#[unsafe(no_mangle)]
pub extern "C" fn sp_tick(handle: i32, now: i64) -> i32 {
    run_or_status(|state| Ok(progress(state.instance(handle)?.engine.tick(now)?)))
}

/// Ends the stream.
#[unsafe(no_mangle)]
pub extern "C" fn sp_finish(handle: i32) -> i32 {
    run_or_status(|state| Ok(progress(state.instance(handle)?.engine.finish()?)))
}

/// Returns a block of rows; 0 if there are none or the call fails.
#[unsafe(no_mangle)]
pub extern "C" fn sp_poll(handle: i32, max_rows: u32) -> u64 {
    run_or(0, |state| {
        let Instance { engine, out, .. } = state.instance(handle)?;
        match engine.poll(max_rows as usize) {
            Some(rows) => {
                wire::encode_rows(&rows, out);
                Ok(packed(out.as_bytes()))
            }
            None => Ok(0),
        }
    })
}

/// Returns a block of dropped events; 0 if there are none or the call fails.
#[unsafe(no_mangle)]
pub extern "C" fn sp_drops(handle: i32, max: u32) -> u64 {
    run_or(0, |state| {
        let Instance { engine, out, .. } = state.instance(handle)?;
        let drops = engine.drops(max as usize);
        if drops.is_empty() {
            return Ok(0);
        }
        wire::encode_drops(&drops, out);
        Ok(packed(out.as_bytes()))
    })
}

/// Returns the stream's watermark.
#[unsafe(no_mangle)]
pub extern "C" fn sp_watermark(handle: i32) -> i64 {
    run_or(i64::MIN, |state| Ok(state.instance(handle)?.engine.watermark()))
}

/// Returns the earliest host time at which a tick has an effect.
#[unsafe(no_mangle)]
pub extern "C" fn sp_next_deadline(handle: i32) -> i64 {
    run_or(i64::MAX, |state| Ok(state.instance(handle)?.engine.next_deadline().unwrap_or(i64::MAX)))
}

/// Returns the counters as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn sp_stats(handle: i32) -> u64 {
    run_or(0, |state| {
        let Instance { engine, bytes, .. } = state.instance(handle)?;
        *bytes = control::stats(engine).into_bytes();
        Ok(packed(bytes))
    })
}

/// Begins a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn sp_snapshot(handle: i32) -> i32 {
    run_or_status(|state| {
        let instance = state.instance(handle)?;
        let cursor = control::begin_snapshot(&mut instance.engine);
        instance.snapshot = Some(SnapshotRead { cursor, section: Vec::new(), read: 0 });
        Ok(0)
    })
}

/// Returns the next bytes of a snapshot; 0 at its end, or if it fails. `sp_error` is empty at the
/// end and has the error after a failure.
#[unsafe(no_mangle)]
pub extern "C" fn sp_snapshot_read(handle: i32, max_len: u32) -> u64 {
    run_or(0, |state| {
        state.error.clear();
        let Instance { engine, snapshot, .. } = state.instance(handle)?;
        let Some(SnapshotRead { cursor, section, read }) = snapshot else {
            return Err(SnapshotError::Outdated.into());
        };
        if *read == section.len() {
            section.clear();
            *read = 0;
            if !control::write_section(engine, cursor, section)? {
                return Ok(0);
            }
        }
        let rest = section.get(*read..).unwrap_or_default();
        let piece = rest.get(..max_len as usize).unwrap_or(rest);
        *read += piece.len();
        Ok(packed(piece))
    })
}

/// Restores an engine from a snapshot, piece by piece.
#[unsafe(no_mangle)]
pub extern "C" fn sp_restore(handle: i32, ptr: u32, len: u32, last: u32) -> i32 {
    run_or_status(|state| {
        state.with_block(handle, (ptr, len), |instance, block| {
            let (started, options) = (instance.restore.take(), instance.engine.options());
            let restore = control::restore_piece(started, &instance.spec, options, block)?;
            if last == 0 {
                instance.restore = Some(restore);
            } else {
                instance.engine = control::finish_restore(restore)?;
                instance.snapshot = None;
            }
            Ok(0)
        })
    })
}

/// Removes and returns the state of the windows; the source names this engine among all senders.
/// Returns 0 if it fails.
#[unsafe(no_mangle)]
pub extern "C" fn sp_partial(handle: i32, source_ptr: u32, source_len: u32) -> u64 {
    run_or(0, |state| {
        state.with_block(handle, (source_ptr, source_len), |instance, source| {
            let Instance { engine, bytes, .. } = instance;
            *bytes = control::partial(engine, text(source)?)?;
            Ok(packed(bytes))
        })
    })
}

/// Merges the result of `sp_partial` of another engine. Bit 0 of the result is set if the state is
/// new, bit 1 if the result buffer is full.
#[unsafe(no_mangle)]
pub extern "C" fn sp_merge(handle: i32, ptr: u32, len: u32) -> i32 {
    run_or_status(|state| {
        state.with_block(handle, (ptr, len), |instance, block| {
            let merged = control::merge(&mut instance.engine, block)?;
            Ok(i32::from(merged.is_new) | i32::from(merged.full) << 1)
        })
    })
}

/// Returns the identities of events, one JSON object a line, by the strategies of a `dedup` stage
/// in JSON; 0 if it fails.
#[unsafe(no_mangle)]
pub extern "C" fn sp_identify(
    strategies_ptr: u32,
    strategies_len: u32,
    lines_ptr: u32,
    lines_len: u32,
) -> u64 {
    run_or(0, |state| {
        let strategies = text(state.block(strategies_ptr, strategies_len)?)?;
        let mut identities = Vec::new();
        let lines = state.block(lines_ptr, lines_len)?;
        control::parse_strategies(strategies)?.write(lines, &mut identities);
        state.identities = identities;
        Ok(packed(&state.identities))
    })
}

/// Returns the error of the last failed call, as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn sp_error() -> u64 {
    STATE.with_borrow(|state| packed(&state.error))
}
