//! Data structures and loops without knowledge of events: tables, queues, sorting, SIMD.

pub(crate) mod byte_table;
#[cfg_attr(
    not(feature = "host"),
    allow(unreachable_pub, reason = "the feature `host` makes it public")
)]
pub(crate) mod escaped;
pub(crate) mod front_queue;
pub(crate) mod id_table;
#[cfg_attr(
    not(feature = "host"),
    allow(dead_code, unreachable_pub, reason = "the feature `host` makes it public")
)]
pub mod json;
pub(crate) mod lru;
pub(crate) mod names;
pub(crate) mod select;
pub(crate) mod short_bytes;
pub(crate) mod simd;
pub(crate) mod siphash;
pub(crate) mod sort;
pub(crate) mod timer_queue;
