//! Common code of the fuzz targets: pipelines, seeds, and the checks that an input must pass.
//!
//! | file | contents |
//! |---|---|
//! | `pipelines.rs` | the pipelines of `tests/vectors`, each also with small limits |
//! | `drive.rs` | runs an engine to its end in a bounded number of calls, and the checks of state |
//! | `../examples/seeds.rs` | the program that writes the first corpus of each target |
//!
//! The first byte of an input selects the pipeline, apart from the target `pipeline`.

pub mod drive;
pub mod pipelines;
