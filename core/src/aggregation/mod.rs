//! Aggregation of values outside windows, by the accumulators of windows.
//!
//! A [`Group`] gives bit by bit what a window gives for the same values. With the feature
//! `custom-aggregators`, windows also run the types of a program that implement `Aggregator`:
//! `Engine::open_with` takes their `AggregatorFactory`.

mod group;
#[cfg(feature = "custom-aggregators")]
mod own;

pub use group::Group;
#[cfg(feature = "custom-aggregators")]
pub(crate) use own::OwnColumn;
#[cfg(feature = "custom-aggregators")]
pub use own::{Aggregator, AggregatorFactory};
