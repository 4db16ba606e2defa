//! The functions of the module's C ABI (docs/abi.md), with their types.

use wasmtime::{Instance, Memory, Store, TypedFunc, WasmParams, WasmResults};

use super::ABI_VERSION;
use super::limits::MemoryLimit;
use crate::error::Error;

/// A function of the module, with its name for error messages.
pub(super) struct Function<P, R> {
    pub(super) name: &'static str,
    pub(super) function: TypedFunc<P, R>,
}

/// The functions that the host calls. A pointer or length is a `u32`, a handle an `i32`.
pub(super) struct Exports {
    pub(super) memory: Memory,
    pub(super) alloc: Function<u32, u32>,
    pub(super) free: Function<u32, ()>,
    pub(super) open: Function<(u32, u32, u32, u32), i32>,
    pub(super) define_keys: Function<(i32, u32, u32), i32>,
    pub(super) define_partitions: Function<(i32, u32, u32), i32>,
    pub(super) push: Function<(i32, u32, u32), i64>,
    pub(super) advance: Function<(i32, i64), i32>,
    pub(super) tick: Function<(i32, i64), i32>,
    pub(super) finish: Function<i32, i32>,
    pub(super) poll: Function<(i32, u32), u64>,
    pub(super) drops: Function<(i32, u32), u64>,
    pub(super) watermark: Function<i32, i64>,
    pub(super) next_deadline: Function<i32, i64>,
    pub(super) stats: Function<i32, u64>,
    pub(super) snapshot: Function<i32, i32>,
    pub(super) snapshot_read: Function<(i32, u32), u64>,
    pub(super) restore: Function<(i32, u32, u32, u32), i32>,
    pub(super) partial: Function<(i32, u32, u32), u64>,
    pub(super) merge: Function<(i32, u32, u32), i32>,
    pub(super) identify: Function<(u32, u32, u32, u32), u64>,
    pub(super) error: Function<(), u64>,
}

impl Exports {
    /// Looks up all functions and checks the version of the ABI.
    pub(super) fn new(store: &mut Store<MemoryLimit>, instance: &Instance) -> Result<Self, Error> {
        let memory = instance
            .get_memory(&mut *store, "memory")
            .ok_or_else(|| Error::Module("it exports no memory".into()))?;
        let version: Function<(), u32> = function(store, instance, "sp_abi_version")?;
        let version = version.function.call(&mut *store, ()).map_err(Error::module)?;
        if version != ABI_VERSION {
            let message = format!(
                "its C interface has version {version}, but this program needs version {ABI_VERSION}"
            );
            return Err(Error::Module(message));
        }
        Ok(Self {
            memory,
            alloc: function(store, instance, "sp_alloc")?,
            free: function(store, instance, "sp_free")?,
            open: function(store, instance, "sp_open")?,
            define_keys: function(store, instance, "sp_define_keys")?,
            define_partitions: function(store, instance, "sp_define_partitions")?,
            push: function(store, instance, "sp_push")?,
            advance: function(store, instance, "sp_advance")?,
            tick: function(store, instance, "sp_tick")?,
            finish: function(store, instance, "sp_finish")?,
            poll: function(store, instance, "sp_poll")?,
            drops: function(store, instance, "sp_drops")?,
            watermark: function(store, instance, "sp_watermark")?,
            next_deadline: function(store, instance, "sp_next_deadline")?,
            stats: function(store, instance, "sp_stats")?,
            snapshot: function(store, instance, "sp_snapshot")?,
            snapshot_read: function(store, instance, "sp_snapshot_read")?,
            restore: function(store, instance, "sp_restore")?,
            partial: function(store, instance, "sp_partial")?,
            merge: function(store, instance, "sp_merge")?,
            identify: function(store, instance, "sp_identify")?,
            error: function(store, instance, "sp_error")?,
        })
    }
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<MemoryLimit>,
    instance: &Instance,
    name: &'static str,
) -> Result<Function<P, R>, Error> {
    let function = instance.get_typed_func(store, name).map_err(Error::module)?;
    Ok(Function { name, function })
}
