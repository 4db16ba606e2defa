//! Text formats: reading NDJSON and CSV, keys, numbers and times.

mod csv;
mod cuts;
mod fields;
mod keys;
mod missing;
mod ndjson;
mod values;
