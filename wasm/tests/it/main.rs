//! Tests of the module inside JavaScript runtimes, for what the tests of the npm package cannot
//! reach: `cargo xtask test wasm-bindgen` runs them in Node.js and in Chromium.
#![cfg(target_arch = "wasm32")]

mod bad_pointers;
mod common;
mod errors;
mod full_buffers;
mod reserved_memory;
mod trap;
