//! Batches: their key columns, and malformed ones.

mod bad_batches;
mod key_columns;
