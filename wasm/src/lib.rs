//! stream-processor as one WebAssembly module: thin doors to the engine, without logic of their own.
//!
//! `js` has the classes that wasm-bindgen gives to JavaScript, `abi` the plain functions that every other host calls.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "exporting a function under its own name is an unsafe attribute")]
pub mod abi;
mod block;
mod js;
mod rows;
