//! Writes rows, and events that pass unchanged, as lines of NDJSON and CSV.

pub(super) mod event_writer;
pub(super) mod row_writer;
