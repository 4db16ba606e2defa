//! Batches: built event by event, their key columns, and malformed ones.

mod bad_batches;
mod builder;
mod key_columns;
