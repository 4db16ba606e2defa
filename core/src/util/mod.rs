//! Data structures and loops that know nothing of events: tables, queues, sorting, vector instructions.

pub(crate) mod byte_table;
pub(crate) mod id_table;
pub mod json;
pub(crate) mod lru;
pub(crate) mod select;
pub(crate) mod short_bytes;
pub(crate) mod simd;
pub(crate) mod sort;
pub(crate) mod timer_queue;
