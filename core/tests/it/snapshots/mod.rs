//! Snapshots: stored ones of earlier versions, and forged ones.

#[path = "../../../../tests/fuzz/src/drive.rs"]
#[allow(dead_code, reason = "shared with the fuzz targets")]
pub(crate) mod drive;
mod forged;
mod mutated;
#[path = "../../../../tests/fuzz/src/pipelines.rs"]
#[allow(dead_code, clippy::disallowed_methods, reason = "shared with the fuzz targets")]
mod pipelines;
mod refused;
mod stored;
