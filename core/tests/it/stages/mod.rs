//! Stages that change events one by one: filters, maps and keys.

mod columns;
mod filters;
mod key_by;
mod maps;
