//! State backends: one conformance suite for all of them, on real servers.

#![cfg(all(feature = "redis", feature = "sled", feature = "embedded", feature = "postgres"))]

mod backends;
mod conformance;
mod crash;
mod full;
mod pgbouncer;
mod race;
mod servers;
mod shared_dedup;
mod tls;
mod unavailable;
