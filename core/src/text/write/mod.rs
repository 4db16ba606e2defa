//! Writes rows, and events that pass as they came, as lines of NDJSON and CSV.

pub(super) mod passed;
pub(super) mod writer;
