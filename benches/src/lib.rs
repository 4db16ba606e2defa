//! The data that every benchmark measures with, and the loops that run over it.

pub mod data;
pub mod loops;
