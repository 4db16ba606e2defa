//! Tests of the engine's behaviour, in one program: one folder for each subject.
//!
//! Rows are compared with oracles that are slow and simple, for any batches, polls and snapshots.
//! `common` holds what several subjects use.
#![allow(unreachable_pub, reason = "a program has no public interface")]

mod aggregations;
mod batches;
mod common;
mod conformance;
mod dedup;
mod event_time;
mod examples;
mod limits;
mod normalize;
mod partials;
mod snapshots;
mod stages;
mod statistics;
mod text;
mod windows;
