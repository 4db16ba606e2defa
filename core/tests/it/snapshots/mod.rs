//! Snapshots: stored ones of earlier versions, and forged ones.

mod forged;
mod stored;
