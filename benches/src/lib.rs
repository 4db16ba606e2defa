//! The data that every benchmark measures with, and the loops that run over it.

pub mod cases;
pub mod ceilings;
pub mod data;
pub mod loops;
pub mod measure;
pub mod memory;
pub mod table;
