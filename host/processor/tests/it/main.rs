//! Tests of the crate's behaviour, in one program.
#![allow(unreachable_pub, reason = "a program has no public interface")]

mod bad_input;
mod common;
mod config_fields;
mod documents;
mod extremes;
mod first_programs;
mod limits;
mod own_aggregators;
mod results;
mod series;
mod shapes;
mod snapshots;
mod vectors;
mod watermarks;
