//! Tests of the program and of the library, in one program.

mod bad_lines;
mod calendar;
#[path = "../../../core/tests/pipelines/cases/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "the engine's tests use the rest")]
mod cases;
mod common;
mod completions;
mod connectors;
mod first_tries;
mod formats;
mod host_time;
mod inputs;
mod instances;
mod limits;
mod live;
mod losses;
mod one_line;
mod outputs;
mod passing;
mod random_pipelines;
mod recipes;
#[path = "../../processor/tests/state/servers.rs"]
#[allow(dead_code, reason = "the tests of the state backends use the rest")]
mod servers;
mod shards;
mod shared_dedup;
mod signals;
mod standard_streams;
mod usage;
mod worker;
