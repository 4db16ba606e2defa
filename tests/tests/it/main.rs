//! Tests across crates, in one program: the built program, the module and the npm package.

mod conformance;
mod documents;
mod examples;
mod identities;
mod module_imports;
mod module_state;
mod one_module;
mod test_files;
