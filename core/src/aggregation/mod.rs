//! Aggregation of values outside windows, by the accumulators of windows.
//!
//! A [`Group`] gives bit by bit what a window gives for the same values.

mod group;

pub use group::Group;
