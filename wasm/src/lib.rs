//! stream-processor as one WebAssembly module: thin bindings to the engine, without own logic.
//!
//! `js` has the class that wasm-bindgen exports to JavaScript. `abi` has the C functions for all
//! other hosts. Both use `block` for memory that the host writes.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "exporting a function under its own name is an unsafe attribute")]
pub mod abi;
mod block;
pub mod js;
