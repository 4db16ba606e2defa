//! Aggregations: their list, and the state of all aggregations of a window stage as columns indexed
//! by slot.
//!
//! A slot is a dense number that the stage assigns to one key in one slice, window or session. An
//! aggregation is computed from accumulators, and each accumulator is a column with one entry for
//! each slot. Several aggregations of a field can share a column, and a column exists only if an
//! output needs it.
//!
//! ```text
//! Accumulators                    one for a window stage; also partials and aggregate tree nodes
//! ├─ events        BySlot<u64>               count of events, without a field
//! └─ columns[i]    Column                    the columns of each field that outputs read:
//!      Summary            BySlot<Summary>            count rate sum avg min max range
//!      Moments            BySlot<OnlineVariance>     variance stddev
//!      SummaryAndMoments  BySlot<SummaryAndMoments>  both, in one cache line
//!      First, Last        BySlot<FirstOrLast>        first last
//!      Distinct           BySlot<Distinct>           distinct
//!      Sketch             Sketches                   percentiles, engine "sketch"
//!      SketchRange        BySlot<ValueRange>         the same in nodes that need no sketches
//!      Digest             Percentiles<Digest>        percentiles, engine "tdigest"
//!      Exact              Percentiles<ValueSet>      percentiles, engine "exact"
//!      Own                OwnBySlot                  aggregators of the program, if it has any
//!                  slot 0 │ slot 1 │ slot 2 │ …       every column has this shape
//! ```
//!
//! The calls in the life of a slot:
//!
//! ```text
//! reset ─► count, add (batches of events) ─► merge or join (slices, sessions) ─► seal
//!       ─► results, result (rows) ─► release
//! ```
//!
//! `save` and `load` write and read columns for snapshots and partials. The kind of a column is
//! decided once for each batch of events, slots or rows: loops over a batch know their accumulator.
//!
//! | what | where |
//! |---|---|
//! | the list of aggregations | at the end of this file |
//! | properties of an aggregation: names, input, options, state | `registry.rs` |
//! | all columns of a stage | `accumulators.rs` |
//! | kinds of columns, and which outputs need them | `column.rs` |
//! | the accumulator of a slot, and a column of them | `slots.rs` |
//! | the hot loop of ingestion | `add.rs` |
//! | `count`, `rate`, `sum`, `avg`, `min`, `max`, `range` of a field | `summary.rs` |
//! | `variance`, `stddev` | `moments.rs` |
//! | both in one cache line | `summary_and_moments.rs` |
//! | `first`, `last` | `first_last.rs` |
//! | `distinct` | `distinct.rs` |
//! | percentiles | `percentile/` |
//! | aggregators of the program | `own.rs`, `crate::aggregation` |
//! | incremental sliding windows | `sliding.rs`, `percentile/sketches.rs` |

mod accumulators;
mod add;
mod column;
mod distinct;
mod first_last;
pub(crate) mod moments;
#[cfg(feature = "custom-aggregators")]
mod own;
mod percentile;
mod registry;
mod sliding;
mod slots;
pub(crate) mod summary;
mod summary_and_moments;

pub(crate) use accumulators::Accumulators;
pub(crate) use column::State;
pub(crate) use registry::{Definition, Input, OwnOption, RollingSupport, Unit};

use crate::spec::Operation;

registry::aggregations! {
    Count => summary::COUNT,
    Sum => summary::SUM,
    Avg => summary::AVG,
    Min => summary::MIN,
    Max => summary::MAX,
    Range => summary::RANGE,
    Variance => moments::VARIANCE,
    Stddev => moments::STDDEV,
    First => first_last::FIRST,
    Last => first_last::LAST,
    Distinct => distinct::DISTINCT,
    Rate => summary::RATE,
}
