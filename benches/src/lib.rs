//! The data of all benchmarks, and the loops that measure the engine on it.
//!
//! - [`data`] generates the events, and [`cases`] lists the pipelines to measure.
//! - [`loops`] runs the native engine and the module, [`ceilings`] the plain loops.
//! - [`measure`] takes processor times, [`memory`] counts bytes, and [`table`] prints the
//!   comparison.

pub mod cases;
pub mod ceilings;
pub mod data;
pub mod loops;
pub mod measure;
pub mod memory;
pub mod table;
