//! Rows do not depend on how a stream is cut: random pipelines, and small examples.
#![allow(unreachable_pub, reason = "a program has no public interface")]

mod cases;
mod random_pipelines;
mod same_rows;
